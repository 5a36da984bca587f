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
  filter.addEventListener("input", () => { keep({ q: filter.value }); suggest(filter); applyFilter(); });
  tellKeys();
  narrowNames();
  edges();
  $("#none-left button").addEventListener("click", () => { filter.value = ""; keep({ q: "" }); applyFilter(); filter.focus(); });
  for (const box of $$("input[name=column], input[name=set]")) box.addEventListener("change", () => choose(box));
  bars();
  restore();
}

// What the hash says: sort, filter, columns, open rows.
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

// Keeps the rows that the filter lets through; while it cannot be read, all of them.
function applyFilter() {
  const input = $("#filter");
  let test = () => true, wrong = "";
  try {
    test = parseFilter(input.value);
  } catch (why) {
    wrong = String(why);
  }
  input.setAttribute("aria-invalid", wrong ? "true" : "false");
  $("#count").classList.toggle("wrong", wrong !== "");
  let shown = 0;
  for (const line of lines) {
    const group = groups[Number(line.dataset.g)];
    const on = test(group, textOf(group));
    line.hidden = !on;
    const detail = line.nextElementSibling;
    if (detail?.classList.contains("detail")) detail.hidden = !on;
    shown += on;
  }
  $("#count").textContent = (wrong && `Filter not applied: ${wrong}.`.replace("?.", "?")) || (shown === lines.length ? `${shown} row${shown === 1 ? "" : "s"}` : `${shown} of ${lines.length} rows`);
  $("#none-left").hidden = shown > 0;
  document.dispatchEvent(new CustomEvent("shown", { detail: new Set(lines.filter((l) => !l.hidden).map((l) => Number(l.dataset.g))) }));
}
const textOf = (group) => (group.text ??= (Object.values(group.cells).filter((v) => typeof v === "string").join(" ") + " " + group.name).toLowerCase());

// What a condition can be about: the keys, under the list of suggestions and in the help beside the filter.
function tellKeys() {
  const known = heads.map((head) => columns.get(head.dataset.key)).filter(Boolean);
  $("#keys div").append(el("p", {}, "Words that must stand in a row, and conditions on columns: ", el("code", {}, "ttft<100ms"), ", ", el("code", {}, "tok_s>50 and not (gemma or failed>0)"), ". Joined by and, or, not and parentheses; a number without a unit is in the one below."),
    el("table", { class: "plain" }, el("tbody", {}, known.map((column) => el("tr", {}, el("td", {}, el("code", {}, column.key)), el("td", {}, headOf(column)), el("td", {}, column.unit))))));
}
// Suggestions complete the word that is being typed.
function suggest(filter) {
  const [, before, begun] = /^(.*?)([\w]*)$/s.exec(filter.value);
  const keys = begun.length < 2 ? [] : heads.map((head) => head.dataset.key).filter((key) => key.startsWith(begun.toLowerCase()) && key !== begun);
  $("#filter-keys").replaceChildren(...keys.map((key) => el("option", { value: before + key }, headOf(columns.get(key)))));
}

// On a phone a row is named without its publisher, where that is enough, and says beneath how many requests there were: the columns
// of numbers have the room.
function narrowNames() {
  const names = lines.map((line) => $(".name", line));
  const publishers = new Map();
  for (const name of names) {
    const short = bare(name.textContent);
    (publishers.get(short) ?? publishers.set(short, new Set()).get(short)).add(name.textContent);
  }
  const [ok, failed] = [byKey("ok"), byKey("failed")];
  lines.forEach((line, i) => {
    const whole = names[i].textContent, short = bare(whole);
    const cut = publishers.get(short).size === 1 ? whole.length - short.length : 0;
    names[i].replaceChildren(el("span", { class: "lab" }, whole.slice(0, cut)), whole.slice(cut));
    const { ok: n, failed: lost } = groups[Number(line.dataset.g)];
    if (ok > 0 && failed > 0) names[i].after(el("span", { class: "tally" }, `${n} ok`, el("b", {}, lost ? `, ${lost} failed` : "")));
  });
  for (const at of [ok, failed]) if (at > 0) for (const row of [heads[at], ...lines.map((line) => line.children[at])]) row.classList.add("tallied");
}

// Where columns lie beyond an edge, a shadow stands there, and a sentence says how many.
function edges() {
  const window = table.parentElement, frame = window.parentElement, said = $("#beyond");
  const look = () => {
    const left = window.scrollLeft > 2, right = window.scrollLeft + window.clientWidth < window.scrollWidth - 2;
    frame.classList.toggle("before", left);
    frame.classList.toggle("beyond", right);
    const edge = window.getBoundingClientRect().right;
    const n = right ? heads.filter((head) => head.offsetWidth && head.getBoundingClientRect().right > edge + 2).length : 0;
    const words = n ? `${n} more column${n === 1 ? "" : "s"} to the right: scroll the table sideways.` : "";
    if (said.textContent !== words) said.textContent = words;
  };
  window.addEventListener("scroll", look, { passive: true });
  const sizes = new ResizeObserver(() => requestAnimationFrame(look));
  sizes.observe(window);
  sizes.observe(table);
  look();
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

const works = new Set(groups.map((group) => group.work));
const groupOf = (cell) => groups[Number(cell.parentElement.dataset.g)];

// A bar under each number, against the largest of its column; the best of a column is marked.
function bars() {
  heads.forEach((head, at) => {
    const column = columns.get(head.dataset.key);
    if (!column.numeric || ["ok", "failed"].includes(column.key)) return;
    const cells = lines.map((line) => line.children[at]).filter((cell) => cell.dataset.v !== undefined);
    const values = cells.map((cell) => Number(cell.dataset.v));
    const largest = Math.max(...values.map(Math.abs));
    cells.forEach((cell, i) => cell.style.setProperty("--w", largest > 0 ? Math.abs(values[i]) / largest : 0));
    if (!column.better) return;
    // Only rows that did the same work are compared.
    for (const work of works) {
      const same = cells.map((cell, i) => [cell, values[i]]).filter(([cell]) => groupOf(cell).work === work);
      markBest(same.map(([cell]) => cell), same.map(([, value]) => value), column);
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

// The best of a column, and those that cannot be told from it: their intervals overlap its own. Where that is everybody, nobody is best.
// What is doubtful wins nothing; and where it is better than all that is not, nobody is known to be best.
function markBest(cells, values, column) {
  const all = cells.map((cell, i) => ({ cell, value: values[i], between: groupOf(cell).intervals?.[column.key] ?? [values[i], values[i]], doubt: $(".doubt", cell) !== null }));
  const sure = all.filter(({ doubt }) => !doubt);
  if (sure.length < 2) return;
  const best = sure.reduce((a, b) => ((b.value - a.value) * column.better > 0 ? b : a));
  if (all.some(({ value, doubt }) => doubt && (value - best.value) * column.better > 0)) return;
  const tied = sure.filter(({ value, between }) => value === best.value || (between[0] <= best.between[1] && between[1] >= best.between[0]));
  if (tied.length === sure.length) return;
  for (const { cell } of tied) {
    cell.classList.add(tied.length > 1 ? "tied" : "best");
    if (works.size > 1) cell.title = [cell.title, `${tied.length > 1 ? "among the best" : "the best"} of ${sure.length} rows that did the same work`].filter(Boolean).join("; ");
  }
}
