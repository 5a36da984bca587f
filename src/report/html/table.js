// The table: sort, filter, columns, bars, and the requests of a row.

const table = $("table.models");
const body = table && $("tbody", table);
const lines = body ? $$("tr.group", body) : [];
const heads = table ? $$("thead th", table) : [];
const byKey = (key) => heads.findIndex((head) => head.dataset.key === key);

function initTable() {
  if (!table) return;
  for (const head of heads) $("button", head).addEventListener("click", () => sortBy(head.dataset.key));
  lines.forEach((line) => $(".open", line).addEventListener("click", () => toggle(line)));
  const filter = $("#filter");
  filter.value = state.q ?? "";
  filter.addEventListener("input", () => { keep({ q: filter.value }); applyFilter(); });
  for (const box of $$("input[name=column], input[name=set]")) box.addEventListener("change", () => choose(box));
  bars();
  restore();
}

// What the hash says: sort, filter, columns, open rows. Also when it changes under an open page.
function restore() {
  showColumns(state.cols ? state.cols.split(",") : heads.filter((h) => !h.classList.contains("hidden")).map((h) => h.dataset.key));
  if (state.sort) order(state.sort);
  applyFilter();
  for (const at of (state.open ?? "").split(",").filter(Boolean)) {
    const line = lines[Number(at)];
    if (line && $(".open", line).getAttribute("aria-expanded") === "false") toggle(line);
  }
}

function sortBy(key) {
  const better = columns.get(key)?.better ?? 0;
  const first = better > 0 ? `-${key}` : key;
  const second = better > 0 ? key : `-${key}`;
  const next = state.sort === first ? second : state.sort === second ? "" : first;
  keep({ sort: next });
  order(next);
}

function order(sort) {
  const down = sort.startsWith("-");
  const key = sort.replace(/^-/, "");
  const numeric = columns.get(key)?.numeric;
  const value = (line) => groups[Number(line.dataset.g)].cells[key];
  const list = [...lines];
  if (columns.has(key)) {
    list.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      // What was not measured is last, whichever way.
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      const difference = numeric ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
      return down ? -difference : difference;
    });
  }
  for (const head of heads) {
    if (head.dataset.key === key) head.setAttribute("aria-sort", down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  for (const line of list) {
    const detail = line.nextElementSibling?.classList.contains("detail") ? line.nextElementSibling : null;
    body.append(line, ...(detail ? [detail] : []));
  }
}

// Words must stand in the row; `key>number` compares a column in the unit that its head shows.
function applyFilter() {
  const input = $("#filter");
  const tests = [];
  let wrong = "";
  for (const part of input.value.trim().split(/\s+/).filter(Boolean)) {
    const match = /^([a-z_0-9]+)(>=|<=|!=|=|>|<)(.+)$/i.exec(part);
    const column = match && columns.get(match[1].toLowerCase());
    if (match && !column) wrong = `no column ${match[1]}`;
    else if (match) tests.push((group) => compare(group.cells[column.key], match[2], match[3], column));
    else tests.push((group, text) => text.includes(part.toLowerCase()));
  }
  input.setAttribute("aria-invalid", wrong ? "true" : "false");
  let shown = 0;
  for (const line of lines) {
    const group = groups[Number(line.dataset.g)];
    const text = (Object.values(group.cells).filter((v) => typeof v === "string").join(" ") + " " + group.name).toLowerCase();
    const on = tests.every((test) => test(group, text));
    line.hidden = !on;
    const detail = line.nextElementSibling;
    if (detail?.classList.contains("detail")) detail.hidden = !on;
    shown += on;
  }
  $("#count").textContent = wrong || (shown === lines.length ? `${shown} row${shown === 1 ? "" : "s"}` : `${shown} of ${lines.length} rows`);
  document.dispatchEvent(new CustomEvent("shown", { detail: new Set(lines.filter((l) => !l.hidden).map((l) => Number(l.dataset.g))) }));
}

function compare(value, sign, text, column) {
  if (value === undefined) return false;
  const number = Number(text);
  if (column.numeric && Number.isNaN(number)) return false;
  const a = column.numeric ? value / column.scale : String(value).toLowerCase();
  const b = column.numeric ? number : text.toLowerCase();
  switch (sign) {
    case ">": return a > b;
    case "<": return a < b;
    case ">=": return a >= b;
    case "<=": return a <= b;
    case "!=": return a !== b;
    default: return a === b;
  }
}

function shownColumns() {
  return heads.filter((head) => !head.classList.contains("hidden")).map((head) => head.dataset.key);
}

function choose(box) {
  const shown = new Set(shownColumns());
  const set = (key) => columns.get(key).set;
  if (box.name === "column") {
    if (box.checked) shown.add(box.value);
    else shown.delete(box.value);
  } else {
    for (const head of heads) {
      if (set(head.dataset.key) !== box.value) continue;
      if (box.checked && !mine.has(head.dataset.key)) continue;
      if (box.checked) shown.add(head.dataset.key);
      else shown.delete(head.dataset.key);
    }
  }
  const list = heads.map((head) => head.dataset.key).filter((key) => shown.has(key));
  keep({ cols: list.join(",") });
  showColumns(list);
}

// The columns that a set shows when it is switched on: those that the page began with, or all where it began with none.
const mine = new Set(heads.filter((head) => !head.classList.contains("hidden")).map((head) => head.dataset.key));
for (const name of new Set(heads.map((head) => head.dataset.set))) {
  const members = heads.filter((head) => head.dataset.set === name);
  if (!members.some((head) => mine.has(head.dataset.key))) members.forEach((head) => mine.add(head.dataset.key));
}

function showColumns(list) {
  const shown = new Set(["model", ...list]);
  let set = "";
  heads.forEach((head, at) => {
    const on = shown.has(head.dataset.key);
    const first = on && head.dataset.set !== set;
    if (on) set = head.dataset.set;
    for (const cell of [head, ...lines.map((line) => line.children[at])]) {
      cell.classList.toggle("hidden", !on);
      cell.classList.toggle("first-of-set", first);
    }
  });
  for (const box of $$("input[name=column]")) box.checked = shown.has(box.value);
  for (const box of $$("input[name=set]")) box.checked = heads.some((h) => h.dataset.set === box.value && shown.has(h.dataset.key));
  for (const detail of $$("tr.detail > td", body)) detail.colSpan = shown.size;
}

// A bar under each number, against the largest of its column; the best of a column is marked.
function bars() {
  heads.forEach((head, at) => {
    const column = columns.get(head.dataset.key);
    if (!column.numeric || ["ok", "failed"].includes(column.key)) return;
    const cells = lines.map((line) => line.children[at]).filter((cell) => cell.dataset.v !== undefined);
    const values = cells.map((cell) => Number(cell.dataset.v));
    const largest = Math.max(...values.map(Math.abs));
    cells.forEach((cell, i) => cell.style.setProperty("--w", largest > 0 ? Math.abs(values[i]) / largest : 0));
    if (column.better && values.length > 1) {
      const best = column.better > 0 ? Math.max(...values) : Math.min(...values);
      if (values.some((value) => value !== best)) cells.forEach((cell, i) => cell.classList.toggle("best", values[i] === best));
    }
  });
}

function toggle(line) {
  const button = $(".open", line);
  const open = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!open));
  if (open) line.nextElementSibling.remove();
  else line.after(el("tr", { class: "detail" }, el("td", { colspan: shownColumns().length }, detail(Number(line.dataset.g)))));
  const opened = lines.filter((l) => $(".open", l).getAttribute("aria-expanded") === "true").map((l) => l.dataset.g);
  keep({ open: opened.join(",") });
}

function detail(at) {
  const group = groups[at];
  const mine = rows.filter((row) => row.group === at);
  const facts = group.facts.length ? el("dl", {}, group.facts.map(([what, words]) => [el("dt", {}, what), el("dd", {}, words)])) : null;
  return el("div", { class: "inside" }, spreads(group), requests(mine), facts);
}

function spreads(group) {
  const names = ["n", "mean", "± sd", "min", "p50", "p90", "p95", "p99", "max"];
  const known = data.metrics.filter((metric) => group.stats[metric.name]);
  if (!known.length) return null;
  const label = (metric) => [metric.name.replaceAll("_", " "), metric.unit === "GB" ? el("small", {}, " in GB") : null];
  // Of one request there is no spread: its numbers fit into a few lines.
  if (known.every((metric) => group.stats[metric.name][0] === 1)) {
    return el("div", { class: "values" }, known.map((metric) => el("div", {}, el("span", {}, label(metric)), el("span", {}, digits(group.stats[metric.name][1] / metric.scale)))));
  }
  const cell = (value, i, metric, n) => {
    // A percentile needs five measurements beyond it.
    const quant = { 4: 0.5, 5: 0.9, 6: 0.95, 7: 0.99 }[i];
    const weak = quant && n > 1 && n * (1 - quant) < 5 - 1e-9;
    return el("td", { class: "n" }, i === 0 ? String(value) : value === null ? "–" : digits(value / metric.scale),
      weak ? el("span", { class: "doubt", title: `${n} measurements are too few to know this` }, "?") : null);
  };
  return el("div", {}, el("table", { class: "plain" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "spread"), names.map((name) => el("th", { scope: "col", class: "n" }, name)))),
    el("tbody", {}, known.map((metric) => el("tr", {},
      el("th", { scope: "row" }, label(metric)),
      group.stats[metric.name].map((value, i) => cell(value, i, metric, group.stats[metric.name][0])))))));
}

const REQUEST = [
  ["id", "request"], ["prompt", "prompt"], ["start", "sent at", "s"], ["ttft_seconds", "ttft", "s"],
  ["time_to_first_answer_token_seconds", "first answer", "s"], ["decode_tokens_per_second", "decode", "tok/s"],
  ["itl_p99", "itl p99", "s"], ["end", "time", "s"], ["input_tokens", "in", "tok"], ["output_tokens", "out", "tok"],
  ["reasoning_tokens", "reasoning", "tok"], ["total_watts", "total", "W"], ["joules_per_output_token", "J/token", "J"],
  ["cost_usd", "cost", "$"], ["finish_reason", "finish"], ["warnings", "doubts"],
];

function requests(mine, from = 0) {
  if (!mine.length) return el("p", { class: "note" }, "No request of this row is in the sample that the page holds.");
  const step = 200;
  const fields = REQUEST.filter(([key]) => mine.some((row) => row[key] !== undefined));
  const files = ["page", "text", "json", "power log"];
  const linked = mine.some((row) => files.some((file) => row[file]));
  const line = (row) => el("tr", {},
    fields.map(([key, , unit]) => {
      const value = row[key];
      return el("td", { class: typeof value === "number" ? "n" : "" }, value === undefined ? "–" : typeof value === "number" ? (key === "id" ? String(value) : digits(value)) : value,
        key === "id" && row.warmup ? el("small", {}, " warm-up") : null);
    }),
    linked ? el("td", { class: "links" }, files.filter((file) => row[file]).map((file) => el("a", { href: row[file], rel: "noreferrer" }, file))) : null,
    el("td", { class: "error" }, row.kind ? `${row.kind}${row.status ? ` ${row.status}` : ""}: ${row.error}` : ""));
  const tbody = el("tbody", {}, mine.slice(0, step).map(line));
  const box = el("div", {}, el("table", { class: "plain" },
    el("thead", {}, el("tr", {}, fields.map(([key, label, unit]) => el("th", { scope: "col", class: typeof mine.find((r) => r[key] !== undefined)?.[key] === "number" ? "n" : "" }, label, unit ? el("small", {}, ` ${unit}`) : null)),
      linked ? el("th", { scope: "col" }, "files") : null, el("th", { scope: "col" }, mine.some((row) => row.kind) ? "error" : ""))), tbody));
  if (mine.length > step) {
    const more = el("button", { type: "button", onclick: () => { const next = tbody.children.length; tbody.append(...mine.slice(next, next + step).map(line)); if (tbody.children.length >= mine.length) more.remove(); } }, `Show more of ${mine.length}`);
    box.append(more);
  }
  return box;
}
