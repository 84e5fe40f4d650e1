// Parallel coordinates: a line for each trial, a brush on each axis, kept in the address.
(() => {
  const canvas = document.getElementById("parallel-canvas");
  if (!canvas) return;
  const pen = canvas.getContext("2d");
  const note = document.getElementById("parallel-note");
  const limits = document.getElementById("parallel-limits");
  const clear = document.getElementById("brush-clear");
  const TOP = 44, BOTTOM = 26, SIDE = 62, MAX_LINES = 1000, COMBINATION = ["encoding", "architecture", "pruning", "precision", "runtime"];
  const READ = {
    "learning rate": (trial) => trial.parameters["training.learning_rate"],
    weights: (trial) => trial.weights,
    [Data.speed_noun]: (trial) => trial.speedup,
    [Data.objective.name]: (trial) => trial.error,
  };
  for (const name of COMBINATION) READ[name] = (trial) => trial.parameters[name];

  const axisOf = (name) => {
    const values = Filter.trials.map((trial) => READ[name](trial) ?? null);
    const present = values.filter((value) => value !== null);
    const distinct = [...new Set(present)];
    if (distinct.length < 2) return null;
    if (distinct.some((value) => typeof value !== "number")) {
      const order = distinct.map(String).sort();
      const places = new Map(order.map((value, place) => [value, (place + 0.5) / order.length]));
      return { name, options: order, at: values.map((value) => (value === null ? null : places.get(String(value)))) };
    }
    const low = present.reduce((a, b) => Math.min(a, b)), high = present.reduce((a, b) => Math.max(a, b));
    const log = low > 0 && high / low > 10;
    const scale = log ? Math.log10 : (value) => value;
    const at = values.map((value) => (value === null ? null : (scale(value) - scale(low)) / (scale(high) - scale(low))));
    const back = (share) => (log ? 10 ** (scale(low) + share * (scale(high) - scale(low))) : low + share * (high - low));
    return { name, at, back };
  };
  const names = [...COMBINATION, "learning rate", "weights", Data.speed_noun, Data.objective.name];
  const axes = names.map(axisOf).filter(Boolean);
  if (axes.length < 2) { canvas.closest("figure").hidden = true; return; }
  const colourOf = Filter.trials.map((trial) => COLOURS[Data.encodings.indexOf(trial.encoding) % COLOURS.length]);
  const brushes = new Map();
  let width = 0, height = 0, dragging = null;

  const xOf = (place) => SIDE + (place * (width - 2 * SIDE)) / (axes.length - 1);
  const yOf = (share) => height - BOTTOM - share * (height - TOP - BOTTOM);
  const shareOf = (y) => Math.min(Math.max((height - BOTTOM - y) / (height - TOP - BOTTOM), 0), 1);

  const lines = () => {
    const visible = Filter.visible();
    const visibleTrials = Filter.trials.map((_, place) => place).filter((place) => visible.has(Filter.trials[place]));
    const step = Math.max(1, visibleTrials.length / MAX_LINES);
    const drawn = visibleTrials.filter((place, i) => Filter.trials[place].front || Math.floor(i / step) !== Math.floor((i - 1) / step));
    note.textContent = drawn.length < visibleTrials.length ? `${drawn.length} of ${visibleTrials.length} lines are drawn: all of the front, the others evenly spaced.` : `${visibleTrials.length} of ${Filter.trials.length} trials.`;
    for (const front of [false, true]) {
      pen.globalAlpha = front ? 0.95 : drawn.length > 300 ? 0.16 : 0.4;
      pen.lineWidth = front ? 2 : 1;
      for (const place of drawn) {
        if (Boolean(Filter.trials[place].front) !== front) continue;
        pen.strokeStyle = colourOf[place];
        pen.beginPath();
        let broken = true;
        axes.forEach((axis, number) => {
          const share = axis.at[place];
          if (share === null) { broken = true; return; }
          if (broken) pen.moveTo(xOf(number), yOf(share));
          else pen.lineTo(xOf(number), yOf(share));
          broken = false;
        });
        pen.stroke();
      }
    }
    pen.globalAlpha = 1;
  };

  const draw = () => {
    pen.clearRect(0, 0, width, height);
    lines();
    pen.font = "12px system-ui, sans-serif";
    axes.forEach((axis, number) => {
      const x = xOf(number), brush = brushes.get(axis.name);
      pen.strokeStyle = colour("--soft"); pen.lineWidth = 1;
      pen.beginPath(); pen.moveTo(x, yOf(1)); pen.lineTo(x, yOf(0)); pen.stroke();
      if (brush) {
        pen.fillStyle = colour("--shade"); pen.strokeStyle = colour("--accent"); pen.lineWidth = 2;
        const box = [x - 8, yOf(brush[1]), 16, Math.max(yOf(brush[0]) - yOf(brush[1]), 2)];
        pen.fillRect(...box); pen.strokeRect(...box);
      }
      pen.fillStyle = colour("--ink"); pen.textAlign = "center"; pen.textBaseline = "bottom";
      pen.fillText(axis.name.replaceAll("_", " ").slice(0, 18), x, TOP - 20);
      pen.fillStyle = colour("--soft");
      if (axis.options) {
        pen.textAlign = number === axes.length - 1 ? "right" : "left"; pen.textBaseline = "middle";
        for (const [place, option] of axis.options.entries()) {
          if (axis.options.length > 14 && place % Math.ceil(axis.options.length / 14)) continue;
          const text = option.slice(0, 16), across = x + (number === axes.length - 1 ? -7 : 7), at = yOf((place + 0.5) / axis.options.length);
          pen.lineWidth = 4; pen.strokeStyle = colour("--paper"); pen.strokeText(text, across, at);
          pen.fillText(text, across, at);
        }
      } else {
        pen.textBaseline = "bottom"; pen.fillText(formatNumber(axis.back(1)), x, TOP - 4);
        pen.textBaseline = "top"; pen.fillText(formatNumber(axis.back(0)), x, height - BOTTOM + 5);
      }
    });
  };
  const redraw = drawWhenVisible(canvas, draw);
  const size = () => {
    const box = canvas.getBoundingClientRect(), scale = window.devicePixelRatio || 1;
    width = box.width; height = box.height;
    canvas.width = Math.round(width * scale); canvas.height = Math.round(height * scale);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    redraw();
  };

  const apply = () => {
    const active = axes.filter((axis) => brushes.has(axis.name)).map((axis) => [axis.at, ...brushes.get(axis.name)]);
    clear.hidden = !active.length;
    Filter.set("brush", active.length ? (_, place) => active.every(([at, low, high]) => at[place] !== null && at[place] >= low && at[place] <= high) : null);
    for (const input of limits.querySelectorAll("input")) {
      const brush = brushes.get(input.dataset.axis);
      input.value = String(100 * (brush ? brush[Number(input.dataset.end)] : Number(input.dataset.end)));
    }
    redraw();
  };
  const remember = () =>
    State.set("brush", [...brushes].map(([name, [low, high]]) => `${encodeURIComponent(name)}:${low.toFixed(3)}~${high.toFixed(3)}`).join(";") || null);
  const recall = (text) => {
    brushes.clear();
    for (const part of (text ?? "").split(";")) {
      const [name, range] = part.split(":");
      const ends = (range ?? "").split("~").map(Number);
      let axisName = "";
      try { axisName = decodeURIComponent(name); } catch { continue; }
      if (axes.some((axis) => axis.name === axisName) && ends.length === 2 && ends.every(Number.isFinite)) brushes.set(axisName, ends);
    }
    apply();
  };
  const brush = (name, low, high) => {
    if (low <= 0 && high >= 1) brushes.delete(name);
    else brushes.set(name, [Math.min(low, high), Math.max(low, high)]);
    remember();
    apply();
  };

  const axisAt = (x) => axes.find((_, number) => Math.abs(xOf(number) - x) < 22);
  canvas.addEventListener("pointerdown", (event) => {
    const axis = axisAt(event.offsetX);
    if (!axis) return;
    dragging = { name: axis.name, from: shareOf(event.offsetY), moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    canvas.style.cursor = axisAt(event.offsetX) ? "ns-resize" : "default";
    if (!dragging) return;
    dragging.moved = dragging.moved || Math.abs(shareOf(event.offsetY) - dragging.from) > 0.01;
    if (dragging.moved) brush(dragging.name, Math.min(dragging.from, shareOf(event.offsetY)), Math.max(dragging.from, shareOf(event.offsetY)));
  });
  canvas.addEventListener("pointerup", () => {
    if (dragging && !dragging.moved) brush(dragging.name, 0, 1);
    dragging = null;
  });
  clear.addEventListener("click", () => { brushes.clear(); remember(); apply(); });

  for (const axis of axes) {
    const inputs = [0, 1].map((end) => element("input", { type: "range", min: "0", max: "100", step: "1", value: String(100 * end), "data-axis": axis.name, "data-end": String(end), "aria-label": `${axis.name}, ${end ? "upper" : "lower"} limit in per cent of the axis` }));
    for (const input of inputs) input.addEventListener("input", () => brush(axis.name, Number(inputs[0].value) / 100, Number(inputs[1].value) / 100));
    limits.append(element("div", { class: "limit" }, element("span", {}, axis.name.replaceAll("_", " ")), ...inputs));
  }
  State.on("brush", recall);
  Filter.on(redraw);
  new ResizeObserver(size).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  size();
  recall(State.get("brush"));
})();
