// Error over speed-up on logarithmic axes: hover, click, lasso, smallest speed-up, arrow keys.
(() => {
  const canvas = document.getElementById("front-canvas");
  if (!canvas) return;
  let pen = canvas.getContext("2d");
  const say = document.getElementById("front-say");
  const tip = document.getElementById("front-tip");
  const slider = document.getElementById("budget");
  const budgetText = document.getElementById("budget-text");
  const clear = document.getElementById("lasso-clear");
  const everything = document.getElementById("front-everything");
  const MARGIN = { left: 70, right: 18, top: 14, bottom: 50 };
  const SHAPES = ["circle", "square", "triangle", "cross", "x", "star"];

  const drawable = (error) => typeof error === "number" && error >= 0;
  const points = Filter.trials
    .filter((trial) => trial.state === "complete" && drawable(trial.error) && trial.speedup > 0)
    .map((trial) => ({ trial, x: trial.speedup, error: trial.error, kind: Data.encodings.indexOf(trial.encoding) }));
  const finalists = Data.finalists.map((finalist) => ({
    ...finalist, x: finalist.speedup[0], error: finalist.error[0], errorInterval: finalist.error.slice(1),
    kind: finalist.trial === null ? -1 : Data.encodings.indexOf(finalist.encoding),
  })).filter((finalist) => finalist.x > 0 && drawable(finalist.error));
  const all = [...points, ...finalists];
  if (!all.length) return;

  // An error of 0 has no place on a logarithmic axis: it is drawn below all others.
  const positive = all.map((point) => point.error).filter((error) => error > 0);
  const floor = (positive.length ? positive.reduce((a, b) => Math.min(a, b)) : 1) / 3;
  for (const point of all) {
    point.y = point.error > 0 ? point.error : floor;
    [point.logX, point.logY] = [Math.log10(point.x), Math.log10(point.y)];
  }

  const xs = all.map((point) => point.x);
  const ys = all.map((point) => point.y);
  const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
  const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
  const xRange = [Math.log10(least(xs)) - 0.12, Math.log10(most(xs)) + 0.15];
  const lowest = least(ys), highest = most(ys);
  // The range includes the intervals, unless they extend far below the smallest error.
  const bottom = Math.max(lowest / 3, least([lowest, ...finalists.map((finalist) => finalist.errorInterval[0])]), floor);
  const yRange = () => [Math.log10(bottom) - 0.1, Math.log10(everything.checked ? highest : Data.typical_max ?? highest) + 0.15];
  let width = 0, height = 0, budget = null, lasso = null, lassoed = null, hovered = null, dragging = null;

  const toX = (value) => MARGIN.left + ((Math.log10(value) - xRange[0]) / (xRange[1] - xRange[0])) * (width - MARGIN.left - MARGIN.right);
  const fromX = (place) => 10 ** (xRange[0] + ((place - MARGIN.left) / (width - MARGIN.left - MARGIN.right)) * (xRange[1] - xRange[0]));
  const toY = (value) => {
    const [low, high] = yRange();
    return height - MARGIN.bottom - ((Math.log10(value) - low) / (high - low)) * (height - MARGIN.top - MARGIN.bottom);
  };

  // Ticks at round numbers, as many as fit; equally spaced where the range is narrow.
  const within = ([low, high]) => (value) => Math.log10(value) >= low && Math.log10(value) <= high;
  const narrow = (range) => {
    const wide = (10 ** range[1] - 10 ** range[0]) / 5, size = 10 ** Math.floor(Math.log10(wide));
    const step = size * [1, 2, 5, 10].find((digit) => digit * size >= wide), first = Math.ceil(10 ** range[0] / step);
    return [0, 1, 2, 3, 4, 5].map((more) => (first + more) * step).filter(within(range));
  };
  const ticks = (range, room) => {
    const powers = Array.from({ length: Math.ceil(range[1] - range[0]) + 1 }, (_, more) => Math.floor(range[0]) + more);
    const [few, many] = [[1], [1, 2, 5]].map((digits) => powers.flatMap((power) => digits.map((digit) => digit * 10 ** power)).filter(within(range)));
    const fitting = few.length < 3 ? many : few;
    if (fitting.length < 3) return narrow(range);
    const step = Math.ceil(fitting.length / room);
    return fitting.filter((_, place) => place % step === 0);
  };

  const shapeOf = (kind) => (kind < 0 ? "diamond" : SHAPES[(kind + Math.floor(kind / COLOURS.length)) % SHAPES.length]);
  const shape = (kind, x, y, size) => {
    pen.beginPath();
    const name = shapeOf(kind);
    if (name === "circle") pen.arc(x, y, size, 0, 2 * Math.PI);
    else if (name === "square") pen.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8);
    else if (name === "x" || name === "cross") {
      const turn = name === "x" ? Math.PI / 4 : 0;
      for (let arm = 0; arm < 4; arm += 1) {
        const angle = turn + (arm * Math.PI) / 2;
        pen.moveTo(x, y);
        pen.lineTo(x + 1.25 * size * Math.cos(angle), y + 1.25 * size * Math.sin(angle));
      }
    } else {
      const corners = { triangle: 3, diamond: 4, star: 10 }[name];
      for (let corner = 0; corner < corners; corner += 1) {
        const far = name === "star" && corner % 2 ? 0.5 : 1.3;
        const angle = -Math.PI / 2 + (corner * 2 * Math.PI) / corners;
        pen.lineTo(x + far * size * Math.cos(angle), y + far * size * Math.sin(angle));
      }
      pen.closePath();
    }
  };
  const tone = (kind) => (kind < 0 ? GREY : COLOURS[kind % COLOURS.length]);

  const axes = () => {
    pen.font = "12px system-ui, sans-serif";
    pen.lineWidth = 1;
    pen.strokeStyle = colour("--grid");
    pen.fillStyle = colour("--soft");
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const value of ticks(xRange, width / 80)) {
      const x = Math.round(toX(value)) + 0.5;
      pen.beginPath(); pen.moveTo(x, MARGIN.top); pen.lineTo(x, height - MARGIN.bottom); pen.stroke();
      const text = formatSpeedup(value), half = pen.measureText(text).width / 2;
      pen.fillText(text, Math.min(x, width - half), height - MARGIN.bottom + 7);
    }
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    const exact = all.some((point) => point.error === 0);
    if (exact) pen.fillText("0", MARGIN.left - 8, toY(floor));
    for (const value of ticks(yRange(), height / 30).filter((value) => !exact || value > 2 * floor)) {
      const y = Math.round(toY(value)) + 0.5;
      pen.beginPath(); pen.moveTo(MARGIN.left, y); pen.lineTo(width - MARGIN.right, y); pen.stroke();
      pen.fillText(formatNumber(value), MARGIN.left - 8, y);
    }
    pen.fillStyle = colour("--ink");
    pen.textAlign = "center";
    pen.fillText(`${Data.speed}  →  faster`, (MARGIN.left + width - MARGIN.right) / 2, height - 12);
    pen.save();
    pen.translate(13, (height - MARGIN.bottom + MARGIN.top) / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText(`better  ←  ${canvas.dataset.label}`, 0, 0);
    pen.restore();
  };

  // Each symbol is drawn once and then copied, so that thousands of marks can be redrawn quickly.
  const SIDE = 14;
  const stamps = Data.encodings.map((_, kind) => {
    const stamp = document.createElement("canvas"), scale = Math.max(window.devicePixelRatio || 1, 1), mainPen = pen;
    stamp.width = stamp.height = Math.ceil(SIDE * scale);
    pen = stamp.getContext("2d");
    pen.scale(scale, scale);
    pen.lineWidth = 1.2;
    pen.strokeStyle = tone(kind);
    shape(kind, SIDE / 2, SIDE / 2, 3.6);
    pen.stroke();
    pen = mainPen;
    return stamp;
  });
  const cloud = () => {
    const visible = Filter.visible(), [low, high] = yRange();
    const wide = (width - MARGIN.left - MARGIN.right) / (xRange[1] - xRange[0]);
    const tall = (height - MARGIN.top - MARGIN.bottom) / (high - low);
    for (const [inView, alpha] of [[false, 0.1], [true, 0.65]]) {
      pen.globalAlpha = alpha;
      for (const point of points) {
        if (visible.has(point.trial) !== inView) continue;
        const x = MARGIN.left + (point.logX - xRange[0]) * wide, y = height - MARGIN.bottom - (point.logY - low) * tall;
        pen.drawImage(stamps[point.kind], x - SIDE / 2, y - SIDE / 2, SIDE, SIDE);
      }
    }
    pen.globalAlpha = 1;
  };

  const drawFinalists = () => {
    const front = finalists.filter((finalist) => finalist.front).sort((a, b) => a.x - b.x);
    pen.strokeStyle = colour("--soft");
    pen.lineWidth = 1.4;
    pen.setLineDash([2, 4]);
    pen.beginPath();
    for (const finalist of front) pen.lineTo(toX(finalist.x), toY(finalist.y));
    pen.stroke();
    pen.setLineDash([]);
    for (const finalist of finalists) {
      const x = toX(finalist.x), y = toY(finalist.y), [low, high] = finalist.errorInterval;
      pen.strokeStyle = pen.fillStyle = tone(finalist.kind);
      pen.lineWidth = 1.2;
      pen.beginPath();
      pen.moveTo(toX(finalist.speedup[1]), y); pen.lineTo(toX(finalist.speedup[2]), y);
      pen.moveTo(x, toY(Math.max(low, 1e-300))); pen.lineTo(x, toY(Math.max(high, finalist.y)));
      pen.stroke();
      shape(finalist.kind, x, y, 5.6);
      if (["x", "cross"].includes(shapeOf(finalist.kind))) { pen.lineWidth = 3; pen.stroke(); } else pen.fill();
      if (finalist.trial === Data.recommended && finalist.trial !== null) {
        pen.strokeStyle = colour("--ink"); pen.lineWidth = 1.6;
        pen.beginPath(); pen.arc(x, y, 10, 0, 2 * Math.PI); pen.stroke();
      }
    }
    // Names are drawn last, above all marks.
    pen.fillStyle = colour("--soft"); pen.textBaseline = "bottom"; pen.lineWidth = 4; pen.strokeStyle = colour("--paper");
    for (const baseline of finalists.filter(({ kind }) => kind < 0)) {
      const x = toX(baseline.x), y = toY(baseline.y) - 5, far = x > width * 0.8, textX = x + (far ? -9 : 9);
      pen.textAlign = far ? "right" : "left";
      pen.strokeText(baseline.name.slice(0, 30), textX, y);
      pen.fillText(baseline.name.slice(0, 30), textX, y);
    }
  };

  const draw = () => {
    pen.clearRect(0, 0, width, height);
    axes();
    pen.save();
    pen.beginPath();
    pen.rect(MARGIN.left, 0, width - MARGIN.left - MARGIN.right + 14, height - MARGIN.bottom);
    pen.clip();
    cloud();
    drawFinalists();
    if (budget) {
      const x = toX(budget);
      pen.fillStyle = colour("--shade");
      pen.fillRect(MARGIN.left, 0, x - MARGIN.left, height - MARGIN.bottom);
      pen.strokeStyle = colour("--accent"); pen.lineWidth = 2;
      pen.beginPath(); pen.moveTo(x, 0); pen.lineTo(x, height - MARGIN.bottom); pen.stroke();
    }
    if (lasso) {
      pen.strokeStyle = colour("--accent"); pen.fillStyle = colour("--shade"); pen.lineWidth = 1.4;
      pen.beginPath();
      for (const [x, y] of lasso) pen.lineTo(x, y);
      pen.closePath(); pen.fill(); pen.stroke();
    }
    if (hovered) {
      pen.strokeStyle = colour("--ink"); pen.lineWidth = 2;
      pen.beginPath(); pen.arc(toX(hovered.x), toY(hovered.y), 8, 0, 2 * Math.PI); pen.stroke();
    }
    pen.restore();
  };
  const redraw = drawWhenVisible(canvas, draw);
  const size = () => {
    const box = canvas.getBoundingClientRect(), scale = Math.max(window.devicePixelRatio || 1, 1);
    width = box.width; height = box.height;
    canvas.width = Math.round(width * scale); canvas.height = Math.round(height * scale);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    redraw();
  };

  const describe = (point) => {
    const name = point.trial?.number !== undefined ? `Trial ${point.trial.number}` : point.name;
    const details = point.trial?.network ? `${point.trial.encoding}, ${point.trial.network}, ${point.trial.deployment}` : point.encoding || "baseline";
    return [name, details, `${canvas.dataset.name} ${formatNumber(point.error)}, ${formatSpeedup(point.x)}`];
  };
  const show = (point, aloud) => {
    hovered = point;
    tip.hidden = !point;
    if (point) {
      tip.replaceChildren(...describe(point).map((line, place) => element(place ? "span" : "b", {}, line)));
      const left = Math.min(toX(point.x) + 14, width - tip.offsetWidth - 4);
      tip.style.left = `${Math.max(left, 0)}px`;
      tip.style.top = `${Math.max(toY(point.y) - tip.offsetHeight - 12, 0)}px`;
      if (aloud) say.textContent = describe(point).join(". ");
    }
    redraw();
  };
  const nearest = (x, y) => {
    let closest = null, smallest = 14;
    for (const point of [...finalists, ...points]) {
      if (point.trial?.number !== undefined && !Filter.visible().has(point.trial)) continue;
      const distance = Math.hypot(toX(point.x) - x, toY(point.y) - y);
      if (distance < smallest) { smallest = distance; closest = point; }
    }
    return closest;
  };
  const open = (point) => {
    const number = point?.trial?.number ?? point?.trial;
    if (number !== null && number !== undefined) State.set("trial", String(number));
  };
  const inside = (x, y, ring) => {
    let within = false;
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i, i += 1) {
      const [xi, yi] = ring[i], [xj, yj] = ring[j];
      if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) within = !within;
    }
    return within;
  };

  const setBudget = (speed, keep = true) => {
    budget = speed;
    slider.value = speed ? String(Math.log10(speed)) : slider.min;
    slider.setAttribute("aria-valuetext", speed ? `at least ${formatSpeedup(speed)}` : "none");
    if (keep) State.set("budget", speed ? speed.toPrecision(3) : null);
    Filter.set("budget", speed ? (trial) => (trial.speedup ?? 0) >= speed : null);
    const fast = points.filter((point) => point.x >= (speed ?? 0)).sort((a, b) => a.y - b.y);
    budgetText.textContent = !speed ? "none: drag the line, or move the slider"
      : fast.length ? `at least ${formatSpeedup(speed)}: the smallest error is ${formatNumber(fast[0].error)} (trial ${fast[0].trial.number}, validation), among ${fast.length} trials`
      : `at least ${formatSpeedup(speed)}: no trial is as fast`;
    redraw();
  };

  canvas.addEventListener("pointerdown", (event) => {
    const near = budget && Math.abs(event.offsetX - toX(budget)) < 8;
    const atEdge = !budget && Math.abs(event.offsetX - MARGIN.left) < 8;
    dragging = near || atEdge ? "budget" : "lasso";
    if (dragging === "lasso") lasso = [[event.offsetX, event.offsetY]];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (dragging === "budget") {
      const speed = fromX(event.offsetX);
      setBudget(speed > 10 ** xRange[0] ? Math.min(speed, 10 ** xRange[1]) : null);
    } else if (dragging === "lasso") {
      lasso.push([event.offsetX, event.offsetY]);
      redraw();
    } else {
      const near = budget ? Math.abs(event.offsetX - toX(budget)) < 8 : Math.abs(event.offsetX - MARGIN.left) < 8;
      canvas.style.cursor = near ? "ew-resize" : "crosshair";
      show(nearest(event.offsetX, event.offsetY), false);
    }
  });
  const release = (event) => {
    if (dragging === "lasso" && lasso) {
      const ring = lasso;
      lasso = null;
      if (ring.length > 4) {
        lassoed = new Set(points.filter((point) => inside(toX(point.x), toY(point.y), ring)).map((point) => point.trial));
        Filter.set("lasso", (trial) => lassoed.has(trial));
        clear.hidden = false;
        clear.textContent = `Remove the lasso (${lassoed.size} trials)`;
      } else open(nearest(event.offsetX, event.offsetY));
      redraw();
    }
    dragging = null;
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointerleave", () => { if (!dragging) show(null, false); });
  clear.addEventListener("click", () => {
    lassoed = null;
    clear.hidden = true;
    Filter.set("lasso", null);
  });

  const move = (step) => {
    const front = [...finalists, ...points.filter((point) => point.trial.front && Filter.visible().has(point.trial))].sort((a, b) => a.x - b.x);
    if (!front.length) return;
    const current = front.indexOf(hovered);
    show(front[Math.min(Math.max(current + step, 0), front.length - 1)], true);
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") move(1);
    else if (event.key === "ArrowLeft") move(-1);
    else if (event.key === "Enter") open(hovered);
    else if (event.key === "Escape") show(null, false);
    else return;
    event.preventDefault();
  });

  slider.min = xRange[0].toFixed(3);
  slider.max = xRange[1].toFixed(3);
  slider.addEventListener("input", () => {
    const power = Number(slider.value);
    setBudget(power > Number(slider.min) + 0.005 ? 10 ** power : null);
  });
  everything.addEventListener("change", redraw);
  State.on("budget", (value) => setBudget(Number(value) || null, false));
  Filter.on(redraw);
  new ResizeObserver(size).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  size();
  setBudget(Number(State.get("budget")) || null, false);
})();
