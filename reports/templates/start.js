"use strict";
const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
for (const source of document.querySelectorAll("script[type='application/json'][data-element]")) {
  const figure = JSON.parse(source.textContent);
  figure.layout.font = { ...figure.layout.font, color: ink };
  Plotly.newPlot(source.dataset.element, figure.data, figure.layout, {
    displaylogo: false,
    displayModeBar: "hover",
    responsive: true,
    modeBarButtonsToRemove: ["lasso2d", "select2d"],
  });
}
