// Numbers as text, elements from values. Text is only ever set as text, never as markup.
const formatNumber = (value) => {
  if (value === null || value === undefined || Number.isNaN(value)) return "-";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-3) return value.toExponential(2);
  return Number(value.toPrecision(3)).toLocaleString("en-GB", { maximumFractionDigits: 6 });
};
const formatSpeedup = (value) => (value === null || value === undefined ? "-" : `${formatNumber(value)}${document.body.dataset.speedUnit}`);

const element = (name, properties = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") node.className = value;
    else if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
};

const csvCell = (value) => {
  const text = value === null || value === undefined ? "" : String(value);
  // A spreadsheet reads text that begins with one of these characters as a formula.
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

const download = (name, text, type) => {
  const address = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
};

const downloadTable = (name, rows) =>
  download(`${name}.csv`, `${rows.map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`, "text/csv");

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
const GREY = "#8a8f98";

// Paper is light, whatever the screen is: the attribute is set before anything is drawn for print.
window.addEventListener("beforeprint", () => { document.documentElement.dataset.print = ""; });
window.addEventListener("afterprint", () => { delete document.documentElement.dataset.print; });

// Returns a function that requests a drawing in the next frame, or once the canvas is visible.
const drawWhenVisible = (canvas, draw) => {
  let requested = false, waiting = false, visible = false;
  const redraw = () => {
    requested = true;
    if (waiting || !visible) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = requested = false;
      draw();
    });
  };
  new IntersectionObserver(([entry]) => {
    visible = entry.isIntersecting;
    if (requested) redraw();
  }).observe(canvas);
  window.addEventListener("beforeprint", draw);
  window.addEventListener("afterprint", redraw);
  return redraw;
};
