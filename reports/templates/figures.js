// Draws plotly's figures as they come into view, in the page's colours; offers their data.
(() => {
  const sources = new Map();
  for (const source of document.querySelectorAll("script[type='application/json'][data-element]")) {
    const place = document.getElementById(source.dataset.element);
    sources.set(place, source);
    place.style.minHeight = `${source.dataset.height ?? 340}px`;
  }
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
  for (const place of sources.keys()) seen.observe(place);
  const colourAnew = () => {
    for (const place of drawn) Plotly.relayout(place, looks());
  };
  window.addEventListener("beforeprint", () => {
    colourAnew();
    [...sources.keys()].forEach(draw);
  });
  window.addEventListener("afterprint", colourAnew);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", colourAnew);

  for (const button of document.querySelectorAll("button[data-csv]")) {
    button.addEventListener("click", () => {
      const table = document.getElementById(button.dataset.csv);
      const rows = [...table.rows].map((row) =>
        [...row.cells].map((each) => each.dataset.value ?? each.textContent.trim()),
      );
      downloadTable(button.dataset.csv.replace(/^data-/, ""), rows);
    });
  }
})();
