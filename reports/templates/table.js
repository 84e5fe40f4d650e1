// The table of all trials: sorted by any column, filtered by words and choices, in pages, as CSV.
(() => {
  const body = document.getElementById("trials-body");
  const head = document.getElementById("trials-head");
  const count = document.getElementById("trials-count");
  const words = document.getElementById("trials-words");
  const previous = document.getElementById("page-back");
  const next = document.getElementById("page-on");
  const place = document.getElementById("page-place");
  const PAGE = 50;
  const COLUMNS = [
    ["trial", "number", true], ["state", "state"], ["encoding", "encoding"], ["network", "network"],
    ["deployment", "deployment"], ["network of", "training", true], [Data.objective.name.replaceAll("_", " "), "error", true, formatNumber],
    [Data.speed_noun, "speedup", true, formatSpeedup], ["µs / sample", "time", true, formatNumber],
    ...(Data.memory ? [["kB", "memory", true, formatNumber]] : []),
    ["stage", "stage"], ["reason", "reason"],
  ];
  let column = 0, down = false, page = 0, rows = [];

  const textOf = (trial, [, key, , format]) => (format ? format(trial[key]) : String(trial[key] ?? ""))
    + (key === "speedup" && Data.differing.includes(trial.number) ? " *" : "");
  const compare = (a, b) => {
    const [, key, number] = COLUMNS[column];
    const first = a[key], second = b[key];
    if (first === undefined || second === undefined) return (first === undefined) - (second === undefined) || a.number - b.number;
    const order = number ? first - second : String(first).localeCompare(String(second));
    return (down ? -order : order) || a.number - b.number;
  };
  const row = (trial) => {
    const tableRow = element("tr", { class: trial.state });
    for (const column of COLUMNS) {
      const [, key, number] = column, text = textOf(trial, column);
      const content = key === "number" ? element("a", { href: `#trial=${trial.number}` }, text) : text;
      tableRow.append(element("td", { class: number ? "number" : key === "network" || key === "reason" ? "wide" : "" }, content));
    }
    return tableRow;
  };
  const draw = () => {
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    page = Math.min(page, pages - 1);
    const visibleRows = rows.slice(page * PAGE, (page + 1) * PAGE);
    const none = Filter.trials.length ? "No trial matches." : "No trial has ended yet.";
    body.replaceChildren(...(visibleRows.length ? visibleRows.map(row) : [element("tr", {}, element("td", { colSpan: COLUMNS.length }, none))]));
    place.textContent = `page ${page + 1} of ${pages}`;
    previous.disabled = page === 0;
    next.disabled = page >= pages - 1;
    count.textContent = `${rows.length.toLocaleString("en-GB")} of ${Filter.trials.length.toLocaleString("en-GB")} trials`;
    [...head.cells].forEach((cell, number) => {
      if (number === column) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  };
  const update = (visible) => {
    rows = [...visible].sort(compare);
    draw();
  };

  const sort = (text) => {
    const [, minus, key] = /^(-?)(.*)$/.exec(text ?? "");
    column = Math.max(0, COLUMNS.findIndex(([, name]) => name === key));
    down = minus === "-";
    page = 0;
    update(Filter.visible());
  };
  State.on("sort", sort);
  for (const [number, [title, key, numeric]] of COLUMNS.entries()) {
    const button = element("button", { type: "button" }, title);
    button.addEventListener("click", () => State.set("sort", `${column === number && !down ? "-" : ""}${key}`));
    head.append(element("th", { scope: "col", class: numeric ? "number" : "" }, button));
  }
  body.addEventListener("click", (event) => {
    const link = event.target.closest("tr")?.querySelector("a");
    if (!link || getSelection().toString()) return;
    event.preventDefault();
    State.set("trial", link.textContent);
  });
  for (const [id, key] of [["trials-state", "state"], ["trials-encoding", "encoding"], ["trials-family", "family"]]) {
    const select = document.getElementById(id);
    for (const option of [...new Set(Filter.trials.map((trial) => trial[key]))].sort()) select.append(element("option", { value: option }, option));
    const follow = (chosen) => {
      page = 0;
      select.value = chosen ?? "";
      Filter.set(key, select.value ? (trial) => trial[key] === select.value : null);
    };
    select.addEventListener("change", () => State.set(key, select.value));
    State.on(key, follow);
    if (State.get(key)) follow(State.get(key));
  }
  words.addEventListener("input", () => {
    page = 0;
    State.set("words", words.value);
  });
  State.on("words", (text) => {
    if (words.value !== (text ?? "")) words.value = text ?? "";
    Filter.set("words", Filter.contains(text ?? ""));
  });
  previous.addEventListener("click", () => { page -= 1; draw(); });
  next.addEventListener("click", () => { page += 1; draw(); });
  // A row has the cells that aren't among the parameters of its trial, in the order of the columns.
  const chosen = new Set(Data.chosen);
  const cells = (trial) => {
    const others = Data.rows[trial.number].values();
    return Data.columns.map((name) => (chosen.has(name) ? trial.parameters[name] : others.next().value));
  };
  document.getElementById("trials-csv").addEventListener("click", () =>
    downloadTable("trials", [Data.columns, ...rows.map(cells)]),
  );
  Filter.on(update);
  words.value = State.get("words") ?? "";
  if (words.value) Filter.set("words", Filter.contains(words.value));
  sort(State.get("sort"));
})();
