// The visible trials: by words, choices, brushes, the lasso and the smallest speed-up.
const Data = JSON.parse(document.getElementById("trials-data").textContent);
const Filter = (() => {
  const trials = Data.trials;
  const byNumber = new Map(trials.map((trial) => [trial.number, trial]));
  const searchTexts = trials.map((trial) =>
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
    // Sets the test of trials under a name; without a test the condition is removed.
    set(name, test) {
      if (test) conditions.set(name, test);
      else if (!conditions.delete(name)) return;
      update();
    },
    contains(text) {
      const words = text.toLowerCase().split(/\s+/).filter(Boolean);
      return words.length ? (_, place) => words.every((word) => searchTexts[place].includes(word)) : null;
    },
  };
})();
