// While a search is watched, the page comes anew now and then; what the reader chose stays.
(() => {
  const button = document.getElementById("watch");
  if (!button) return;
  const seconds = Number(button.dataset.seconds);
  let timer = null;
  const start = () => {
    timer = setTimeout(() => location.reload(), 1000 * seconds);
    button.textContent = `Comes anew every ${seconds} s: pause`;
  };
  button.addEventListener("click", () => {
    if (timer === null) return start();
    clearTimeout(timer);
    timer = null;
    button.textContent = "Paused: go on";
  });
  start();
})();
