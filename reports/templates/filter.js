// Which trials are in view: what was typed and chosen, brushed, lassoed, and the speed asked for.
const Data = JSON.parse(document.getElementById("trials-data").textContent);
const Filter = (() => {
  const trials = Data.trials;
  const byNumber = new Map(trials.map((trial) => [trial.number, trial]));
  const haystacks = trials.map((trial) =>
    [trial.number, trial.state, trial.network, trial.encoding, trial.deployment, trial.reason ?? ""]
      .join(" ").toLowerCase(),
  );
  const conditions = new Map();
  const listeners = [];
  let visible = new Set(trials);

  const update = () => {
    const started = performance.now();
    const tests = [...conditions.values()];
    visible = new Set(trials.filter((trial, place) => tests.every((test) => test(trial, place))));
    for (const listener of listeners) listener(visible);
    document.documentElement.dataset.filterMs = (performance.now() - started).toFixed(1);
  };

  return {
    trials,
    byNumber,
    visible: () => visible,
    active: () => conditions.size > 0,
    on: (listener) => listeners.push(listener),
    // A test of a trial under a name; without one the name's condition is lifted.
    set(name, test) {
      if (test) conditions.set(name, test);
      else if (!conditions.delete(name)) return;
      update();
    },
    contains(text) {
      const words = text.toLowerCase().split(/\s+/).filter(Boolean);
      return words.length ? (_, place) => words.every((word) => haystacks[place].includes(word)) : null;
    },
  };
})();
