// While a search is watched, the page reloads at intervals; the choices of the reader are kept.
(() => {
  // The address doesn't contain which details are open: they are kept in the history's state.
  const nameOf = (details) => details.querySelector("[id]")?.id ?? details.textContent.slice(0, 80);
  const open = history.state?.open ?? [];
  for (const details of document.querySelectorAll("details")) if (open.includes(nameOf(details))) details.open = true;

  const button = document.getElementById("watch");
  if (!button) return;
  const seconds = Number(button.dataset.seconds), STILL_MS = 3000;
  let due = 0, paused = false, touched = -Infinity;
  for (const kind of ["keydown", "pointerdown", "pointermove", "wheel"]) {
    addEventListener(kind, () => { touched = performance.now(); }, { capture: true, passive: true });
  }
  // The page isn't reloaded while it is hidden or in use, or while a trial is open or a lasso drawn.
  const busy = () =>
    document.hidden || performance.now() - touched < STILL_MS || document.querySelector("dialog[open], #lasso-clear:not([hidden])");
  const start = () => {
    paused = false;
    due = performance.now() + 1000 * seconds;
    button.textContent = `Reloads every ${seconds} s: pause`;
  };
  setInterval(() => {
    if (paused || performance.now() < due || busy()) return;
    paused = true;
    history.replaceState({ open: [...document.querySelectorAll("details[open]")].map(nameOf) }, "");
    location.reload();
  }, 500);
  button.addEventListener("click", () => {
    if (paused) return start();
    paused = true;
    button.textContent = "Paused: continue";
  });
  document.getElementById("watch-written").textContent = `written ${new Date(document.lastModified).toLocaleTimeString("en-GB")}`;
  start();
})();
