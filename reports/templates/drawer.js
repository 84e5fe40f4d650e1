// The drawer of a trial, at #trial=NUMBER: parameters, results, and the command that repeats it.
(() => {
  const drawer = document.getElementById("drawer");
  const inside = document.getElementById("drawer-inside");
  const title = document.getElementById("drawer-title");
  const SVG = "http://www.w3.org/2000/svg";

  const list = (pairs) => element("dl", {}, ...pairs.filter(([, value]) => value !== undefined && value !== null && value !== "").flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value instanceof Node ? value : String(value))]));
  const part = (name, ...children) => [element("h3", {}, name), ...children];

  const drawing = (name, attributes, ...children) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const curve = (trial) => {
    const points = [...(trial.rungs ?? []), ...(trial.error ? [[1, trial.error]] : [])].filter(([, error]) => error > 0);
    if (points.length < 2) return null;
    const logs = points.map(([, error]) => Math.log10(error));
    const low = Math.min(...logs), span = Math.max(...logs) - low || 1;
    const at = points.map(([share], place) => [30 + 330 * share, 14 + 82 * (1 - (logs[place] - low) / span)]);
    const summary = points.map(([share, error]) => `${formatNumber(error)} at ${Math.round(100 * share)} %`).join(", ");
    // Labels avoid the line: they are below a local minimum, and to the right where the line falls.
    const higherNeighbours = (place) => [logs[place - 1], logs[place + 1]].map((log) => log === undefined || log > logs[place]);
    const below = (place) => higherNeighbours(place).every(Boolean);
    const anchor = (place) => (place === at.length - 1 ? "end" : place > 0 && higherNeighbours(place)[0] && !below(place) ? "start" : "middle");
    return drawing("svg", { viewBox: "0 0 400 138", role: "img", "aria-label": `Error during training: ${summary}` },
      drawing("polyline", { class: "curve", points: at.map((point) => point.join(",")).join(" ") }),
      ...at.flatMap(([x, y], place) => {
        const label = drawing("text", { x, y: below(place) ? y + 17 : y - 7, "text-anchor": anchor(place) });
        label.textContent = formatNumber(points[place][1]);
        const tick = drawing("text", { x, y: 134, "text-anchor": place === at.length - 1 ? "end" : "middle", class: "soft" });
        tick.textContent = points[place][0] === 1 ? "deployed" : `${Math.round(100 * points[place][0])} %`;
        return [drawing("circle", { cx: x, cy: y, r: 3.5, class: "dot" }), label, tick];
      }));
  };
  const link = (number) => element("button", { type: "button", class: "link", "data-trial": String(number) }, `trial ${number}`);
  const candidateFile = (trial) =>
    Object.entries(trial.parameters).map(([name, value], place) => `${place ? "  " : "- "}${JSON.stringify(name)}: ${JSON.stringify(value)}`).join("\n") + "\n";
  const copyButton = (text, what) => {
    const button = element("button", { type: "button", class: "small" }, `Copy ${what}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select and copy it by hand";
      }
    });
    return button;
  };

  // The figures of a finalist are in a template, which is inert: an open drawer shows a copy.
  const samplesOf = (trial) => document.getElementById(`samples-${trial.number}`)?.content.cloneNode(true);
  const samples = (figures, trial) => [
    element("h3", { id: "drawer-samples" }, "Samples"),
    element("p", { class: "note" }, "Predictions on the test split: the reference is pale and solid, the prediction dashed.",
      ...(trial.number === Data.recommended ? [" ", element("button", { type: "button", class: "link", "data-goto": "validation" }, "The section on validation"), " also shows the samples with the largest errors."] : [])),
    figures,
  ];

  const fill = (trial) => {
    Figures.remove(inside);
    const figures = samplesOf(trial);
    const command = Data.command.replaceAll("NUMBER", trial.number);
    const save = element("button", { type: "button", class: "small" }, `Save trial-${trial.number}.yaml`);
    save.addEventListener("click", () => download(`trial-${trial.number}.yaml`, candidateFile(trial), "text/yaml"));
    const deployments = Filter.trials.filter((other) => other.training === trial.number);
    const resumptions = Filter.trials.filter((other) => other.resumes === trial.number);
    const trainingCurve = curve(trial);
    const finalist = Data.finalists.find((other) => other.trial === trial.number);
    title.textContent = `Trial ${trial.number}`;
    inside.replaceChildren(
      element("p", {}, element("span", { class: `pill ${trial.state}` }, trial.state), trial.front ? " on the front of the validation split" : "", trial.number === Data.recommended ? " · recommended" : ""),
      element("p", {}, `${trial.encoding}, ${trial.network}, deployed as ${trial.deployment}.`),
      ...(trial.reason ? part(`Ended in ${trial.stage}`, element("pre", { tabIndex: 0 }, trial.reason)) : []),
      ...(trial.traceback !== undefined ? [element("details", {}, element("summary", {}, "Traceback"), element("pre", { tabIndex: 0 }, Data.tracebacks[trial.traceback]))] : []),
      ...(trial.speedup ? part("Measured", list([
        [`${Data.objective.name.replaceAll("_", " ")} (validation)`, formatNumber(trial.error)],
        [Data.speed_noun, `${formatSpeedup(trial.speedup)} (${formatSpeedup(trial.low)} to ${formatSpeedup(trial.high)})`],
        ["time per sample", `${formatNumber(trial.time)} µs`],
        ["memory", trial.memory ? `${formatNumber(trial.memory)} kB` : null],
        ["weights", trial.weights?.toLocaleString("en-GB")],
        ...(finalist ? [["final evaluation (test)", `${formatNumber(finalist.error[0])} (${formatNumber(finalist.error[1])} to ${formatNumber(finalist.error[2])}), ${formatSpeedup(finalist.speedup[0])}`]] : []),
        ...Object.entries(trial.metrics ?? {}).slice(1).map(([name, value]) => [name.replaceAll("_", " "), formatNumber(value)]),
      ])) : []),
      ...(figures ? [element("p", {}, element("button", { type: "button", class: "link", "data-goto": "drawer-samples" }, "Samples: predictions and reference"))] : []),
      ...(trial.rungs && trainingCurve ? part("Error during training", trainingCurve) : []),
      ...part("Parameters", list(Object.entries(trial.parameters).map(([name, value]) => [name, typeof value === "number" ? String(value) : value]))),
      ...(trial.training !== undefined ? part("Network", element("p", {}, "Further deployment of the network that ", link(trial.training), " trained.")) : []),
      ...(trial.resumes !== undefined ? part("Training", element("p", {}, "Resumes the training of ", link(trial.resumes), ", which was stopped early.")) : []),
      ...(resumptions.length ? part("Training", element("p", {}, "Resumed by ", link(resumptions[0].number), ".")) : []),
      ...(deployments.length ? part("Further deployments", element("p", {}, ...deployments.flatMap((other, place) => [place ? ", " : "", link(other.number)]))) : []),
      ...part("Time", list([...Object.entries(trial.seconds ?? {}).map(([name, value]) => [name, `${formatNumber(value)} s`]), ["ended", trial.ended]])),
      ...(trial.derived ? [] : part("Repeat the trial", element("p", { class: "soft" }, `Save its candidate as trial-${trial.number}.yaml, then run:`), element("pre", { tabIndex: 0, class: "command" }, command), element("p", {}, save, " ", copyButton(command, "the command")), element("pre", { tabIndex: 0 }, candidateFile(trial)))),
      ...part("Identity", list([["candidate", trial.key], ["artefact", trial.hash]])),
      ...(figures ? samples(figures, trial) : []),
    );
    Figures.add(inside);
    inside.scrollTop = 0;
  };

  const go = (place) => {
    place.scrollIntoView();
    place.setAttribute("tabindex", "-1");
    place.focus({ preventScroll: true });
  };
  const follow = (text) => {
    const trial = text === null || text === undefined ? null : Filter.byNumber.get(Number(text));
    if (trial) {
      fill(trial);
      if (!drawer.open) drawer.showModal();
    } else if (drawer.open) drawer.close();
  };
  inside.addEventListener("click", (event) => {
    const { trial, goto } = event.target.closest("button.link")?.dataset ?? {};
    if (trial) return State.set("trial", trial);
    const place = document.getElementById(goto);
    if (!place) return;
    if (!inside.contains(place)) drawer.close();
    go(place);
  });
  drawer.addEventListener("close", () => {
    Figures.remove(inside);
    inside.replaceChildren();
    State.set("trial", null);
  });
  drawer.addEventListener("click", (event) => { if (event.target === drawer) drawer.close(); });
  document.getElementById("drawer-close").addEventListener("click", () => drawer.close());
  for (const anchor of document.querySelectorAll("a[href^='#trial=']")) {
    if (anchor.closest("#trials-body")) continue;
    anchor.addEventListener("click", (event) => {
      event.preventDefault();
      State.set("trial", anchor.getAttribute("href").slice(7));
    });
  }
  // Links to sections scroll there and keep the choices in the address.
  for (const anchor of document.querySelectorAll("nav a[href^='#'], a.go")) {
    anchor.addEventListener("click", (event) => {
      event.preventDefault();
      go(document.getElementById(anchor.getAttribute("href").slice(1)));
    });
  }
  State.on("trial", follow);
  follow(State.get("trial"));
})();
