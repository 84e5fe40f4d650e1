// What the reader has chosen, kept in the address after "#": a link to it shows the same.
const State = (() => {
  const listeners = new Map();
  const read = () => new URLSearchParams(location.hash.slice(1));
  let held = read();

  const tell = (name) => {
    for (const listener of listeners.get(name) ?? []) listener(held.get(name));
  };

  window.addEventListener("hashchange", () => {
    const before = held;
    held = read();
    for (const name of listeners.keys()) {
      if (before.get(name) !== held.get(name)) tell(name);
    }
  });

  return {
    get: (name) => held.get(name),
    set(name, value) {
      if ((held.get(name) ?? "") === (value ?? "")) return;
      if (value) held.set(name, value);
      else held.delete(name);
      history.replaceState(null, "", `#${held}`);
      tell(name);
    },
    on(name, listener) {
      listeners.set(name, [...(listeners.get(name) ?? []), listener]);
    },
  };
})();
