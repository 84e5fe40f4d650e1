// Numbers in words, elements from values. Text is only ever set as text, never as markup.
const figure = (value) => {
  if (value === null || value === undefined || Number.isNaN(value)) return "-";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-3) return value.toExponential(2);
  return Number(value.toPrecision(3)).toLocaleString("en-GB", { maximumFractionDigits: 6 });
};
const times = (value) => (value === null || value === undefined ? "-" : `${figure(value)}x`);

const element = (name, properties = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((each) => each !== null));
  return made;
};

const cell = (value) => {
  const text = value === null || value === undefined ? "" : String(value);
  // A spreadsheet would take what begins so for a formula.
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

const download = (name, text, type) => {
  const address = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
};

const downloadTable = (name, rows) =>
  download(`${name}.csv`, `${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`, "text/csv");

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
const GREY = "#8a8f98";

// Paper is light, whatever the screen is: said before anything is drawn for it.
window.addEventListener("beforeprint", () => { document.documentElement.dataset.print = ""; });
window.addEventListener("afterprint", () => { delete document.documentElement.dataset.print; });

// Returns what asks for a drawing in the next frame; out of sight it waits until the canvas is seen.
const drawnWhenSeen = (canvas, draw) => {
  let asked = false, waiting = false, inSight = false;
  const redraw = () => {
    asked = true;
    if (waiting || !inSight) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = asked = false;
      draw();
    });
  };
  new IntersectionObserver(([entry]) => {
    inSight = entry.isIntersecting;
    if (asked) redraw();
  }).observe(canvas);
  window.addEventListener("beforeprint", draw);
  window.addEventListener("afterprint", redraw);
  return redraw;
};
