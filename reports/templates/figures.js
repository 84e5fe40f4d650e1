// Draws figures with plotly when they become visible, in the page's colours; offers their data as CSV.
const Figures = (() => {
  const sources = new Map();
  const drawn = new Set();
  const colours = () => ({ "font.color": colour("--ink"), "hoverlabel.bgcolor": colour("--panel") });

  const draw = (place) => {
    if (drawn.has(place)) return;
    drawn.add(place);
    const figure = JSON.parse(sources.get(place).textContent);
    figure.layout.font = { ...figure.layout.font, color: colour("--ink") };
    figure.layout.hoverlabel = { bgcolor: colour("--panel"), font: { color: colour("--ink") } };
    Plotly.newPlot(place, figure.data, figure.layout, { displayModeBar: false, responsive: true });
  };

  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
    },
    { rootMargin: "300px" },
  );
  const add = (root) => {
    for (const source of root.querySelectorAll("script[type='application/json'][data-element]")) {
      const place = document.getElementById(source.dataset.element);
      sources.set(place, source);
      place.style.minHeight = `${source.dataset.height ?? 340}px`;
      observer.observe(place);
    }
  };
  const remove = (root) => {
    for (const place of [...sources.keys()].filter((key) => root.contains(key))) {
      observer.unobserve(place);
      sources.delete(place);
      if (drawn.delete(place)) Plotly.purge(place);
    }
  };
  add(document);

  const recolour = () => {
    for (const place of drawn) Plotly.relayout(place, colours());
  };
  window.addEventListener("beforeprint", () => {
    recolour();
    // The drawer isn't printed.
    [...sources.keys()].filter((place) => !place.closest("dialog")).forEach(draw);
  });
  window.addEventListener("afterprint", recolour);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);

  // The table of a figure of lines may be empty at first; it is filled once it is opened.
  const numbers = (values) => {
    if (!values.bdata) return values;
    const { buffer } = Uint8Array.from(atob(values.bdata), (byte) => byte.charCodeAt(0));
    // Numbers of float32 have seven digits; as float64 they would be written with digits of no meaning.
    return values.dtype === "f4" ? Array.from(new Float32Array(buffer), (value) => Number(value.toPrecision(7))) : [...new Float64Array(buffer)];
  };
  const pixels = ({ x0, dx, y0, dy, z }) => {
    const columns = Number(z.shape.split(",")[1]);
    return numbers(z).map((value, place) => [y0 + dy * Math.floor(place / columns), x0 + dx * (place % columns), value]);
  };
  const unescaped = (name) => name.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
  const fill = (table) => {
    const { data } = JSON.parse(sources.get(document.getElementById(table.dataset.of)).textContent);
    const rows = data.flatMap((trace) => {
      if (trace.type === "heatmap") return trace.xaxis === "x2" ? [] : pixels(trace); // the other is the bar of colours
      const name = unescaped(trace.name), xs = numbers(trace.x), ys = numbers(trace.y);
      return xs.map((x, place) => [name, x, ys[place]]);
    });
    const cell = (value) =>
      typeof value === "number" ? element("td", { class: "number", "data-value": String(value) }, formatNumber(value)) : element("td", {}, value ?? "");
    table.tBodies[0].replaceChildren(...rows.map((row) => element("tr", {}, ...row.map(cell))));
    delete table.dataset.of;
  };
  // The event "toggle" doesn't bubble, so it is captured.
  document.addEventListener("toggle", (event) => event.target.querySelectorAll("table[data-of]").forEach(fill), true);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-csv]");
    if (!button) return;
    const table = document.getElementById(button.dataset.csv);
    const rows = [...table.rows].map((row) => [...row.cells].map((cell) => cell.dataset.value ?? cell.textContent.trim()));
    const thinned = "thinned" in table.dataset ? "-thinned" : "";
    downloadTable(`${button.dataset.csv.replace(/^data-/, "")}${thinned}`, rows);
  });
  return { add, remove };
})();
