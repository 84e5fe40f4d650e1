// Error against speed on logarithmic axes: hover, click, lasso, a speed budget, arrow keys.
(() => {
  const canvas = document.getElementById("front-canvas");
  if (!canvas) return;
  let pen = canvas.getContext("2d");
  const say = document.getElementById("front-say");
  const tip = document.getElementById("front-tip");
  const slider = document.getElementById("budget");
  const told = document.getElementById("budget-told");
  const clear = document.getElementById("lasso-clear");
  const everything = document.getElementById("front-everything");
  const MARGIN = { left: 70, right: 18, top: 14, bottom: 50 };
  const SHAPES = ["circle", "square", "triangle", "cross", "x", "star"];

  const drawable = (error) => typeof error === "number" && error >= 0;
  const points = Filter.trials
    .filter((trial) => trial.state === "complete" && drawable(trial.error) && trial.speedup > 0)
    .map((trial) => ({ trial, x: trial.speedup, told: trial.error, kind: Data.encodings.indexOf(trial.encoding) }));
  const entrants = Data.entrants.map((each) => ({
    ...each, x: each.speedup[0], told: each.error[0], kind: each.trial === null ? -1 : Data.encodings.indexOf(each.encoding),
  })).filter((each) => each.x > 0 && drawable(each.told));
  const all = [...points, ...entrants];
  if (!all.length) return;

  // An error of 0 has no place on a logarithmic axis: it stands below all others.
  const positive = all.map((each) => each.told).filter((error) => error > 0);
  const floor = (positive.length ? positive.reduce((a, b) => Math.min(a, b)) : 1) / 3;
  for (const each of all) {
    each.y = each.told > 0 ? each.told : floor;
    [each.logX, each.logY] = [Math.log10(each.x), Math.log10(each.y)];
  }

  const xs = all.map((each) => each.x);
  const ys = all.map((each) => each.y);
  const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
  const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
  const xRange = [Math.log10(least(xs)) - 0.12, Math.log10(most(xs)) + 0.15];
  const lowest = least(ys), highest = most(ys);
  // Intervals are shown to their ends, unless they go on and on.
  const deepest = Math.max(lowest / 3, least([lowest, ...entrants.map((each) => each.error[1])]), floor);
  const yRange = () => [Math.log10(deepest) - 0.1, Math.log10(everything.checked ? highest : Data.usual ?? highest) + 0.15];
  let width = 0, height = 0, budget = null, lasso = null, lassoed = null, hovered = null, dragging = null;

  const toX = (value) => MARGIN.left + ((Math.log10(value) - xRange[0]) / (xRange[1] - xRange[0])) * (width - MARGIN.left - MARGIN.right);
  const fromX = (place) => 10 ** (xRange[0] + ((place - MARGIN.left) / (width - MARGIN.left - MARGIN.right)) * (xRange[1] - xRange[0]));
  const toY = (value) => {
    const [low, high] = yRange();
    return height - MARGIN.bottom - ((Math.log10(value) - low) / (high - low)) * (height - MARGIN.top - MARGIN.bottom);
  };

  // Round numbers, no more of them than there is room for; steps alike where the range is narrow.
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
      const told = times(value), half = pen.measureText(told).width / 2;
      pen.fillText(told, Math.min(x, width - half), height - MARGIN.bottom + 7);
    }
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    const exact = all.some((each) => each.told === 0);
    if (exact) pen.fillText("0", MARGIN.left - 8, toY(floor));
    for (const value of ticks(yRange(), height / 30).filter((value) => !exact || value > 2 * floor)) {
      const y = Math.round(toY(value)) + 0.5;
      pen.beginPath(); pen.moveTo(MARGIN.left, y); pen.lineTo(width - MARGIN.right, y); pen.stroke();
      pen.fillText(figure(value), MARGIN.left - 8, y);
    }
    pen.fillStyle = colour("--ink");
    pen.textAlign = "center";
    pen.fillText("speed-up over the reference  →  faster", (MARGIN.left + width - MARGIN.right) / 2, height - 12);
    pen.save();
    pen.translate(13, (height - MARGIN.bottom + MARGIN.top) / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText(`better  ←  ${canvas.dataset.label}`, 0, 0);
    pen.restore();
  };

  // Marks are drawn once each and then copied: thousands of them are to follow the reader's hand.
  const SIDE = 14;
  const stamps = Data.encodings.map((_, kind) => {
    const stamp = document.createElement("canvas"), scale = Math.max(window.devicePixelRatio || 1, 1), own = pen;
    stamp.width = stamp.height = Math.ceil(SIDE * scale);
    pen = stamp.getContext("2d");
    pen.scale(scale, scale);
    pen.lineWidth = 1.2;
    pen.strokeStyle = tone(kind);
    shape(kind, SIDE / 2, SIDE / 2, 3.6);
    pen.stroke();
    pen = own;
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

  const heat = () => {
    const front = entrants.filter((each) => each.front).sort((a, b) => a.x - b.x);
    pen.strokeStyle = colour("--soft");
    pen.lineWidth = 1.4;
    pen.setLineDash([2, 4]);
    pen.beginPath();
    for (const each of front) pen.lineTo(toX(each.x), toY(each.y));
    pen.stroke();
    pen.setLineDash([]);
    for (const each of entrants) {
      const x = toX(each.x), y = toY(each.y);
      pen.strokeStyle = pen.fillStyle = tone(each.kind);
      pen.lineWidth = 1.2;
      pen.beginPath();
      pen.moveTo(toX(each.speedup[1]), y); pen.lineTo(toX(each.speedup[2]), y);
      pen.moveTo(x, toY(Math.max(each.error[1], 1e-300))); pen.lineTo(x, toY(Math.max(each.error[2], each.y)));
      pen.stroke();
      shape(each.kind, x, y, 5.6);
      if (["x", "cross"].includes(shapeOf(each.kind))) { pen.lineWidth = 3; pen.stroke(); } else pen.fill();
      if (each.trial === Data.knee && each.trial !== null) {
        pen.strokeStyle = colour("--ink"); pen.lineWidth = 1.6;
        pen.beginPath(); pen.arc(x, y, 10, 0, 2 * Math.PI); pen.stroke();
      }
    }
    // Names come last: no mark lies over them.
    pen.fillStyle = colour("--soft"); pen.textBaseline = "bottom"; pen.lineWidth = 4; pen.strokeStyle = colour("--paper");
    for (const each of entrants.filter(({ kind }) => kind < 0)) {
      const x = toX(each.x), y = toY(each.y) - 5, far = x > width * 0.8, across = x + (far ? -9 : 9);
      pen.textAlign = far ? "right" : "left";
      pen.strokeText(each.name.slice(0, 30), across, y);
      pen.fillText(each.name.slice(0, 30), across, y);
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
    heat();
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
  const redraw = drawnWhenSeen(canvas, draw);
  const size = () => {
    const box = canvas.getBoundingClientRect(), scale = Math.max(window.devicePixelRatio || 1, 1);
    width = box.width; height = box.height;
    canvas.width = Math.round(width * scale); canvas.height = Math.round(height * scale);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    redraw();
  };

  const words = (each) => {
    const name = each.trial?.number !== undefined ? `Trial ${each.trial.number}` : each.name;
    const what = each.trial?.network ? `${each.trial.encoding}, ${each.trial.network}, ${each.trial.deployment}` : each.encoding || "baseline";
    return [name, what, `${canvas.dataset.name} ${figure(each.told)}, ${times(each.x)}`];
  };
  const show = (each, aloud) => {
    hovered = each;
    tip.hidden = !each;
    if (each) {
      tip.replaceChildren(...words(each).map((line, place) => element(place ? "span" : "b", {}, line)));
      const left = Math.min(toX(each.x) + 14, width - tip.offsetWidth - 4);
      tip.style.left = `${Math.max(left, 0)}px`;
      tip.style.top = `${Math.max(toY(each.y) - tip.offsetHeight - 12, 0)}px`;
      if (aloud) say.textContent = words(each).join(". ");
    }
    redraw();
  };
  const nearest = (x, y) => {
    let found = null, close = 14;
    for (const each of [...entrants, ...points]) {
      if (each.trial?.number !== undefined && !Filter.visible().has(each.trial)) continue;
      const far = Math.hypot(toX(each.x) - x, toY(each.y) - y);
      if (far < close) { close = far; found = each; }
    }
    return found;
  };
  const open = (each) => {
    const number = each?.trial?.number ?? each?.trial;
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

  const spend = (speed, keep = true) => {
    budget = speed;
    slider.value = speed ? String(Math.log10(speed)) : slider.min;
    slider.setAttribute("aria-valuetext", speed ? `at least ${times(speed)}` : "none");
    if (keep) State.set("budget", speed ? speed.toPrecision(3) : null);
    Filter.set("budget", speed ? (trial) => (trial.speedup ?? 0) >= speed : null);
    const able = points.filter((each) => each.x >= (speed ?? 0)).sort((a, b) => a.y - b.y);
    told.textContent = !speed ? "none: drag the line, or move the slider"
      : able.length ? `at least ${times(speed)}: the smallest error is ${figure(able[0].told)} (trial ${able[0].trial.number}, validation), among ${able.length} trials`
      : `at least ${times(speed)}: no trial is so fast`;
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
      spend(speed > 10 ** xRange[0] ? Math.min(speed, 10 ** xRange[1]) : null);
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
        lassoed = new Set(points.filter((each) => inside(toX(each.x), toY(each.y), ring)).map((each) => each.trial));
        Filter.set("lasso", (trial) => lassoed.has(trial));
        clear.hidden = false;
        clear.textContent = `Lift the lasso (${lassoed.size} trials)`;
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

  const walk = (step) => {
    const able = [...entrants, ...points.filter((each) => each.trial.front && Filter.visible().has(each.trial))].sort((a, b) => a.x - b.x);
    if (!able.length) return;
    const now = able.indexOf(hovered);
    show(able[Math.min(Math.max(now + step, 0), able.length - 1)], true);
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") walk(1);
    else if (event.key === "ArrowLeft") walk(-1);
    else if (event.key === "Enter") open(hovered);
    else if (event.key === "Escape") show(null, false);
    else return;
    event.preventDefault();
  });

  slider.min = xRange[0].toFixed(3);
  slider.max = xRange[1].toFixed(3);
  slider.addEventListener("input", () => {
    const power = Number(slider.value);
    spend(power > Number(slider.min) + 0.005 ? 10 ** power : null);
  });
  everything.addEventListener("change", redraw);
  State.on("budget", (value) => spend(Number(value) || null, false));
  Filter.on(redraw);
  new ResizeObserver(size).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  size();
  spend(Number(State.get("budget")) || null, false);
})();
