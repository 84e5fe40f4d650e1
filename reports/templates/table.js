// Every trial: sorted by any column, filtered by words and choices, a page at a time, as CSV.
(() => {
  const body = document.getElementById("trials-body");
  const head = document.getElementById("trials-head");
  const count = document.getElementById("trials-count");
  const words = document.getElementById("trials-words");
  const back = document.getElementById("page-back");
  const on = document.getElementById("page-on");
  const place = document.getElementById("page-place");
  const PAGE = 50;
  const COLUMNS = [
    ["trial", "number", true], ["state", "state"], ["encoding", "encoding"], ["network", "network"],
    ["deployment", "deployment"], ["network of", "of", true], [Data.objective.name.replaceAll("_", " "), "error", true, figure],
    ["speed-up", "speedup", true, times], ["µs / sample", "time", true, figure],
    ...(Data.memory ? [["kB", "memory", true, figure]] : []),
    ["ended in", "stage"], ["reason", "reason"],
  ];
  let column = 0, down = false, page = 0, rows = [];

  const shown = (trial, [, key, , told]) => (told ? told(trial[key]) : String(trial[key] ?? ""));
  const compare = (a, b) => {
    const [, key, number] = COLUMNS[column];
    const one = a[key], other = b[key];
    if (one === undefined || other === undefined) return (one === undefined) - (other === undefined) || a.number - b.number;
    const order = number ? one - other : String(one).localeCompare(String(other));
    return (down ? -order : order) || a.number - b.number;
  };
  const row = (trial) => {
    const made = element("tr", { class: trial.state });
    for (const each of COLUMNS) {
      const text = shown(trial, each);
      const inside = each[1] === "number" ? element("a", { href: `#trial=${trial.number}` }, text) : text;
      made.append(element("td", { class: each[2] ? "number" : each[1] === "network" || each[1] === "reason" ? "wide" : "" }, inside));
    }
    return made;
  };
  const draw = () => {
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    page = Math.min(page, pages - 1);
    const own = rows.slice(page * PAGE, (page + 1) * PAGE);
    const none = Filter.trials.length ? "No trial is like that." : "No trial has ended yet.";
    body.replaceChildren(...(own.length ? own.map(row) : [element("tr", {}, element("td", { colSpan: COLUMNS.length }, none))]));
    place.textContent = `page ${page + 1} of ${pages}`;
    back.disabled = page === 0;
    on.disabled = page >= pages - 1;
    count.textContent = `${rows.length.toLocaleString("en-GB")} of ${Filter.trials.length.toLocaleString("en-GB")} trials`;
    [...head.cells].forEach((each, number) => {
      if (number === column) each.setAttribute("aria-sort", down ? "descending" : "ascending");
      else each.removeAttribute("aria-sort");
    });
  };
  const update = (visible) => {
    rows = [...visible].sort(compare);
    draw();
  };

  const sort = (text) => {
    const [, minus, key] = /^(-?)(.*)$/.exec(text ?? "");
    column = Math.max(0, COLUMNS.findIndex((each) => each[1] === key));
    down = minus === "-";
    page = 0;
    update(Filter.visible());
  };
  State.on("sort", sort);
  for (const [number, each] of COLUMNS.entries()) {
    const button = element("button", { type: "button" }, each[0]);
    button.addEventListener("click", () => State.set("sort", `${column === number && !down ? "-" : ""}${each[1]}`));
    head.append(element("th", { scope: "col", class: each[2] ? "number" : "" }, button));
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
  back.addEventListener("click", () => { page -= 1; draw(); });
  on.addEventListener("click", () => { page += 1; draw(); });
  document.getElementById("trials-csv").addEventListener("click", () =>
    downloadTable("trials", [COLUMNS.map(([title]) => title), ...rows.map((trial) => COLUMNS.map(([, key]) => trial[key]))]),
  );
  Filter.on(update);
  words.value = State.get("words") ?? "";
  if (words.value) Filter.set("words", Filter.contains(words.value));
  sort(State.get("sort"));
})();
