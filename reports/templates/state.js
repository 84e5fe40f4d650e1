// The choices of the reader, kept in the address after "#", so that a link shows the same page.
const State = (() => {
  const listeners = new Map();
  const read = () => new URLSearchParams(location.hash.slice(1));
  let parameters = read();

  const notify = (name) => {
    for (const listener of listeners.get(name) ?? []) listener(parameters.get(name));
  };

  window.addEventListener("hashchange", () => {
    const previous = parameters;
    parameters = read();
    for (const name of listeners.keys()) {
      if (previous.get(name) !== parameters.get(name)) notify(name);
    }
  });

  return {
    get: (name) => parameters.get(name),
    set(name, value) {
      if ((parameters.get(name) ?? "") === (value ?? "")) return;
      if (value) parameters.set(name, value);
      else parameters.delete(name);
      history.replaceState(null, "", `#${parameters}`);
      notify(name);
    },
    on(name, listener) {
      listeners.set(name, [...(listeners.get(name) ?? []), listener]);
    },
  };
})();
