// While a search is watched, the page comes anew now and then; what the reader chose stays.
(() => {
  // Which details stand open is in no address: the page hands that on to its successor.
  const named = (details) => details.querySelector("[id]")?.id ?? details.textContent.slice(0, 80);
  const open = history.state?.open ?? [];
  for (const details of document.querySelectorAll("details")) if (open.includes(named(details))) details.open = true;

  const button = document.getElementById("watch");
  if (!button) return;
  const seconds = Number(button.dataset.seconds), STILL_MS = 3000;
  let due = 0, paused = false, touched = -Infinity;
  for (const kind of ["keydown", "pointerdown", "pointermove", "wheel"]) {
    addEventListener(kind, () => { touched = performance.now(); }, { capture: true, passive: true });
  }
  // Nothing is taken from under a reader's hand: an open trial, a lasso, a page out of sight wait.
  const busy = () =>
    document.hidden || performance.now() - touched < STILL_MS || document.querySelector("dialog[open], #lasso-clear:not([hidden])");
  const start = () => {
    paused = false;
    due = performance.now() + 1000 * seconds;
    button.textContent = `Comes anew every ${seconds} s: pause`;
  };
  setInterval(() => {
    if (paused || performance.now() < due || busy()) return;
    paused = true;
    history.replaceState({ open: [...document.querySelectorAll("details[open]")].map(named) }, "");
    location.reload();
  }, 500);
  button.addEventListener("click", () => {
    if (paused) return start();
    paused = true;
    button.textContent = "Paused: go on";
  });
  document.getElementById("watch-written").textContent = `written ${new Date(document.lastModified).toLocaleTimeString("en-GB")}`;
  start();
})();
