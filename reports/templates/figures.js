// Draws plotly's figures as they come into view, in the page's colours; offers their data.
const Figures = (() => {
  const sources = new Map();
  const drawn = new Set();
  const looks = () => ({ "font.color": colour("--ink"), "hoverlabel.bgcolor": colour("--panel") });

  const draw = (place) => {
    if (drawn.has(place)) return;
    drawn.add(place);
    const figure = JSON.parse(sources.get(place).textContent);
    figure.layout.font = { ...figure.layout.font, color: colour("--ink") };
    figure.layout.hoverlabel = { bgcolor: colour("--panel"), font: { color: colour("--ink") } };
    Plotly.newPlot(place, figure.data, figure.layout, { displayModeBar: false, responsive: true });
  };

  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
    },
    { rootMargin: "300px" },
  );
  const take = (root) => {
    for (const source of root.querySelectorAll("script[type='application/json'][data-element]")) {
      const place = document.getElementById(source.dataset.element);
      sources.set(place, source);
      place.style.minHeight = `${source.dataset.height ?? 340}px`;
      seen.observe(place);
    }
  };
  const drop = (root) => {
    for (const place of [...sources.keys()].filter((each) => root.contains(each))) {
      seen.unobserve(place);
      sources.delete(place);
      if (drawn.delete(place)) Plotly.purge(place);
    }
  };
  take(document);

  const colourAnew = () => {
    for (const place of drawn) Plotly.relayout(place, looks());
  };
  window.addEventListener("beforeprint", () => {
    colourAnew();
    // What lies in the drawer isn't printed.
    [...sources.keys()].filter((place) => !place.closest("dialog")).forEach(draw);
  });
  window.addEventListener("afterprint", colourAnew);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", colourAnew);

  // A figure of lines alone may leave its table to be filled in once somebody looks at it.
  const numbers = (held) =>
    held.bdata ? [...new Float64Array(Uint8Array.from(atob(held.bdata), (each) => each.charCodeAt(0)).buffer)] : held;
  const unescaped = (name) => name.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
  const fill = (table) => {
    const { data } = JSON.parse(sources.get(document.getElementById(table.dataset.of)).textContent);
    const rows = data.flatMap((trace) => {
      const name = unescaped(trace.name), across = numbers(trace.x), up = numbers(trace.y);
      return across.map((x, place) => [name, x, up[place]]);
    });
    const told = (value) =>
      typeof value === "number" ? element("td", { class: "number", "data-value": String(value) }, figure(value)) : element("td", {}, value ?? "");
    table.tBodies[0].replaceChildren(...rows.map((row) => element("tr", {}, ...row.map(told))));
    delete table.dataset.of;
  };
  // A details' own event doesn't rise: it is caught on its way down.
  document.addEventListener("toggle", (event) => event.target.querySelectorAll("table[data-of]").forEach(fill), true);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-csv]");
    if (!button) return;
    const table = document.getElementById(button.dataset.csv);
    const rows = [...table.rows].map((row) => [...row.cells].map((each) => each.dataset.value ?? each.textContent.trim()));
    downloadTable(button.dataset.csv.replace(/^data-/, ""), rows);
  });
  return { take, drop };
})();
