// One trial, at #trial=NUMBER: what it was, how it ended, and how to try it again.
(() => {
  const drawer = document.getElementById("drawer");
  const inside = document.getElementById("drawer-inside");
  const title = document.getElementById("drawer-title");
  const SVG = "http://www.w3.org/2000/svg";

  const list = (pairs) => element("dl", {}, ...pairs.filter(([, value]) => value !== undefined && value !== null && value !== "").flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value instanceof Node ? value : String(value))]));
  const part = (name, ...children) => [element("h3", {}, name), ...children];

  const drawing = (name, attributes, ...children) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const curve = (trial) => {
    const points = [...(trial.rungs ?? []), ...(trial.error ? [[1, trial.error]] : [])].filter(([, error]) => error > 0);
    if (points.length < 2) return null;
    const logs = points.map(([, error]) => Math.log10(error));
    const low = Math.min(...logs), span = Math.max(...logs) - low || 1;
    const at = points.map(([share], place) => [30 + 330 * share, 14 + 82 * (1 - (logs[place] - low) / span)]);
    const told = points.map(([share, error]) => `${figure(error)} at ${Math.round(100 * share)} %`).join(", ");
    // A number stands where no line runs: beneath a lowest point, right of the line where it falls.
    const besides = (place) => [logs[place - 1], logs[place + 1]].map((each) => each === undefined || each > logs[place]);
    const beneath = (place) => besides(place).every(Boolean);
    const anchor = (place) => (place === at.length - 1 ? "end" : place > 0 && besides(place)[0] && !beneath(place) ? "start" : "middle");
    return drawing("svg", { viewBox: "0 0 400 138", role: "img", "aria-label": `Error during training: ${told}` },
      drawing("polyline", { class: "curve", points: at.map((each) => each.join(",")).join(" ") }),
      ...at.flatMap(([x, y], place) => {
        const label = drawing("text", { x, y: beneath(place) ? y + 17 : y - 7, "text-anchor": anchor(place) });
        label.textContent = figure(points[place][1]);
        const under = drawing("text", { x, y: 134, "text-anchor": place === at.length - 1 ? "end" : "middle", class: "soft" });
        under.textContent = points[place][0] === 1 ? "deployed" : `${Math.round(100 * points[place][0])} %`;
        return [drawing("circle", { cx: x, cy: y, r: 3.5, class: "dot" }), label, under];
      }));
  };
  const link = (number) => element("button", { type: "button", class: "link", "data-trial": String(number) }, `trial ${number}`);
  const file = (trial) =>
    Object.entries(trial.chosen).map(([name, value], place) => `${place ? "  " : "- "}${JSON.stringify(name)}: ${JSON.stringify(value)}`).join("\n") + "\n";
  const copied = (text, what) => {
    const button = element("button", { type: "button", class: "small" }, `Copy ${what}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select it and copy by hand";
      }
    });
    return button;
  };

  // A front member's figures lie in a template, inert: the drawer shows a copy while it is open.
  const samplesOf = (trial) => document.getElementById(`samples-${trial.number}`)?.content.cloneNode(true);
  const samples = (figures, trial) => [
    element("h3", { id: "drawer-samples" }, "Samples"),
    element("p", { class: "note" }, "Its predictions on the test split: reference pale and solid, prediction dashed.",
      ...(trial.number === Data.knee ? [" ", element("button", { type: "button", class: "link", "data-goto": "validation" }, "The section on validation"), " has its largest errors, too."] : [])),
    figures,
  ];

  const fill = (trial) => {
    Figures.drop(inside);
    const figures = samplesOf(trial);
    const command = Data.command.replaceAll("NUMBER", trial.number);
    const save = element("button", { type: "button", class: "small" }, `Save trial-${trial.number}.yaml`);
    save.addEventListener("click", () => download(`trial-${trial.number}.yaml`, file(trial), "text/yaml"));
    const again = Filter.trials.filter((each) => each.of === trial.number);
    const later = Filter.trials.filter((each) => each.on === trial.number);
    const drawn = curve(trial);
    const heat = Data.entrants.find((each) => each.trial === trial.number);
    title.textContent = `Trial ${trial.number}`;
    inside.replaceChildren(
      element("p", {}, element("span", { class: `pill ${trial.state}` }, trial.state), trial.front ? " on the front of the validation split" : "", trial.number === Data.knee ? " · recommended" : ""),
      element("p", {}, `${trial.encoding}, ${trial.network}, deployed as ${trial.deployment}.`),
      ...(trial.reason ? part(`Ended in ${trial.stage}`, element("pre", { tabIndex: 0 }, trial.reason)) : []),
      ...(trial.trace !== undefined ? [element("details", {}, element("summary", {}, "Traceback"), element("pre", { tabIndex: 0 }, Data.traces[trial.trace]))] : []),
      ...(trial.speedup ? part("Measured", list([
        [`${Data.objective.name.replaceAll("_", " ")} (validation)`, figure(trial.error)],
        ["speed-up", `${times(trial.speedup)} (${times(trial.low)} to ${times(trial.high)})`],
        ["time of a sample", `${figure(trial.time)} µs`],
        ["memory", trial.memory ? `${figure(trial.memory)} kB` : null],
        ["weights", trial.weights?.toLocaleString("en-GB")],
        ...(heat ? [["final heat (test)", `${figure(heat.error[0])} (${figure(heat.error[1])} to ${figure(heat.error[2])}), ${times(heat.speedup[0])}`]] : []),
        ...Object.entries(trial.metrics ?? {}).slice(1).map(([name, value]) => [name.replaceAll("_", " "), figure(value)]),
      ])) : []),
      ...(figures ? [element("p", {}, element("button", { type: "button", class: "link", "data-goto": "drawer-samples" }, "Samples: see what it predicts against the reference"))] : []),
      ...(trial.rungs && drawn ? part("Error during training", drawn) : []),
      ...part("Chosen", list(Object.entries(trial.chosen).map(([name, value]) => [name, typeof value === "number" ? String(value) : value]))),
      ...(trial.of !== undefined ? part("Network", element("p", {}, "It deploys the network that ", link(trial.of), " trained.")) : []),
      ...(trial.on !== undefined ? part("Training", element("p", {}, "It goes on with the training in which ", link(trial.on), " was stopped at a rung.")) : []),
      ...(later.length ? part("Training", element("p", {}, link(later[0].number), " went on with it.")) : []),
      ...(again.length ? part("Deployed again", element("p", {}, ...again.flatMap((each, place) => [place ? ", " : "", link(each.number)]))) : []),
      ...part("Time", list([...Object.entries(trial.seconds ?? {}).map(([name, value]) => [name, `${figure(value)} s`]), ["ended", trial.ended]])),
      ...part("Try it again", element("p", { class: "soft" }, `Save its candidate as trial-${trial.number}.yaml, then:`), element("pre", { tabIndex: 0, class: "command" }, command), element("p", {}, save, " ", copied(command, "the command")), element("pre", { tabIndex: 0 }, file(trial))),
      ...part("Identity", list([["candidate", trial.key], ["artefact", trial.hash]])),
      ...(figures ? samples(figures, trial) : []),
    );
    Figures.take(inside);
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
    Figures.drop(inside);
    inside.replaceChildren();
    State.set("trial", null);
  });
  drawer.addEventListener("click", (event) => { if (event.target === drawer) drawer.close(); });
  document.getElementById("drawer-close").addEventListener("click", () => drawer.close());
  for (const each of document.querySelectorAll("a[href^='#trial=']")) {
    if (each.closest("#trials-body")) continue;
    each.addEventListener("click", (event) => {
      event.preventDefault();
      State.set("trial", each.getAttribute("href").slice(7));
    });
  }
  // Sections are gone to without losing what stands in the address.
  for (const each of document.querySelectorAll("nav a[href^='#'], a.go")) {
    each.addEventListener("click", (event) => {
      event.preventDefault();
      go(document.getElementById(each.getAttribute("href").slice(1)));
    });
  }
  State.on("trial", follow);
  follow(State.get("trial"));
})();
