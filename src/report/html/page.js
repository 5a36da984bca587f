// What remains: theme, downloads, copying, and the order in which everything begins.

function initTheme() {
  const apply = () => {
    if (state.theme) document.documentElement.dataset.theme = state.theme;
    else delete document.documentElement.dataset.theme;
    $("#theme").textContent = { dark: "Dark", light: "Light" }[state.theme] ?? "Theme";
  };
  $("#theme").addEventListener("click", () => {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const order = dark ? ["", "light", "dark"] : ["", "dark", "light"];
    keep({ theme: order[(order.indexOf(state.theme ?? "") + 1) % 3] });
    apply();
  });
  apply();
}

function initDownloads() {
  if (!$("#get-csv")) return;
  const stem = (document.title.replace(/[^\w.-]+/g, "_").slice(0, 80)) || "report";
  const requests = () => rows.map((row) => {
    const { group, start, ...rest } = row;
    const when = has(start) ? { start_ts: Math.round((data.t0 + start) * 1e4) / 1e4 } : {};
    const { model, concurrency, rate, cells } = groups[group];
    const told = Object.fromEntries(["source", "provider", "set"].filter((key) => cells[key] !== undefined).map((key) => [key, cells[key]]));
    return { type: "row", v: 1, model, ...told, ...(has(rate) ? { rate } : has(concurrency) ? { concurrency } : {}), ...when, ...rest };
  });
  // A cell that a spreadsheet would compute is made a text.
  const cell = (value) => {
    const text = value === undefined || value === null ? "" : typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const csv = (keys, list) => [keys.join(","), ...list.map((one) => keys.map((key) => cell(one[key])).join(","))].join("\r\n") + "\r\n";
  $("#get-ndjson").addEventListener("click", () => save(`${stem}.ndjson`, "application/x-ndjson", requests().map((row) => JSON.stringify(row)).join("\n") + "\n"));
  $("#get-requests").addEventListener("click", () => {
    const list = requests();
    const keys = [...new Set(list.flatMap((row) => Object.keys(row)))].filter((key) => key !== "type" && key !== "v");
    save(`${stem}.requests.csv`, "text/csv", csv(keys, list));
  });
  // The table as it stands: its columns, its order, and what the filter leaves.
  $("#get-csv").addEventListener("click", () => {
    const visible = $$("tr.group", body).filter((line) => !line.hidden);
    save(`${stem}.csv`, "text/csv", csv(shownColumns(), visible.map((line) => groups[Number(line.dataset.g)].cells)));
  });
}

function initCopy() {
  for (const button of $$(".copy")) {
    button.addEventListener("click", async () => {
      const text = $("pre", button.parentElement).textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren($("pre", button.parentElement));
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
}

// One menu or badge is open at a time, and Escape closes it.
function initMenus() {
  const all = $$("details.menu, .badge details");
  document.addEventListener("click", (event) => all.forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; }));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") all.forEach((menu) => { menu.open = false; }); });
}

// Paper has no button to unfold with and nothing to point with: what is folded is unfolded, and what stands under the pointer is put
// beneath: the values of charts, and the reasons of doubtful and of empty cells.
const ON_PAPER = 40;
function initPrint() {
  let undo = [];
  addEventListener("beforeprint", () => {
    for (const one of $$("details[data-print]:not([open]), .badge details:not([open])")) {
      one.open = true;
      undo.push(() => { one.open = false; });
    }
    // Paper waits for no picture that is fetched when it is seen.
    for (const shot of $$("img.shot")) shot.loading = "eager";
    for (const told of $$("figure .told")) {
      const values = valuesOf(told.previousElementSibling, ON_PAPER);
      values.classList.add("on-paper");
      told.after(values);
      undo.push(() => values.remove());
    }
    const reasons = table && reasonsOf();
    if (reasons) {
      table.closest(".framed").after(reasons);
      undo.push(() => reasons.remove());
    }
  });
  addEventListener("afterprint", () => {
    undo.forEach((one) => one());
    undo = [];
  });
}

// What cells say under the pointer: each reason once, with its columns, and its rows where they are not all.
function reasonsOf() {
  const shown = lines.filter((row) => !row.hidden);
  const by = new Map();
  heads.forEach((head, at) => {
    if (head.classList.contains("hidden")) return;
    for (const row of shown) {
      const words = row.children[at].title;
      if (!words) continue;
      const columns = by.get(words) ?? by.set(words, new Map()).get(words);
      const name = $("button", head).textContent;
      columns.set(name, [...(columns.get(name) ?? []), groups[Number(row.dataset.g)].name]);
    }
  });
  if (!by.size) return null;
  // Columns of the same rows stand together.
  const where = (columns) => {
    const same = new Map();
    for (const [name, who] of columns) {
      const rows = who.length === shown.length ? "" : who.length > 3 ? ` (${who.length} rows)` : ` (${who.join(", ")})`;
      same.set(rows, [...(same.get(rows) ?? []), name]);
    }
    return [...same].map(([rows, names]) => names.join(", ") + rows).join("; ");
  };
  const all = [...by].map(([words, columns]) => el("li", {}, el("b", {}, where(columns)), `: ${words}`));
  return el("div", { class: "on-paper reasons" }, el("h3", {}, "What cells say of themselves"), el("ul", { class: "lines" }, all.slice(0, 2 * ON_PAPER)),
    all.length > 2 * ON_PAPER ? el("p", { class: "note" }, `The first ${2 * ON_PAPER} of ${all.length}; the page has all.`) : null);
}

// While a run goes on the page is written anew: it is read again while nobody is in the middle of something, and opens where it was.
function initFollow() {
  const refresh = Number($('meta[name="refresh-seconds"]')?.content ?? 0);
  const unfolded = () => $$("details").map((one, i) => (one.open ? i : -1)).filter((i) => i >= 0);
  const before = leftAt;
  if (before) {
    $$("details").forEach((one, i) => { if (before.unfolded.includes(i) && !one.closest(".menu, .badge")) one.open = true; });
    const back = () => {
      $(".scroll")?.scrollTo(before.table[0], before.table[1]);
      scrollTo({ left: before.page[0], top: before.page[1], behavior: "instant" });
    };
    back();
    // The browser has its own idea of where a page begins that was read again; it has it when everything is loaded.
    if (document.readyState !== "complete") addEventListener("load", () => requestAnimationFrame(back));
    history.replaceState(null, "");
  }
  if (!(refresh > 0)) return;
  const look = () => {
    const busy = document.activeElement?.matches("input, select") || $("dialog[open]") || document.hidden || String(getSelection()) || $(".menu[open], .badge details[open]");
    if (busy) return setTimeout(look, refresh * 1000);
    try {
      const scroll = $(".scroll");
      history.scrollRestoration = "manual";
      history.replaceState({ left: { page: [scrollX, scrollY], table: [scroll?.scrollLeft ?? 0, scroll?.scrollTop ?? 0], unfolded: unfolded() } }, "");
    } catch {
      // A frame without an origin may not; the page begins at its top then.
    }
    return location.reload();
  };
  setTimeout(look, refresh * 1000);
}

initTheme();
initMenus();
initTip();
initTable();
initCharts();
initCalibration();
initRun();
initGallery();
initDownloads();
initCopy();
initPrint();
initFollow();
// The page itself only replaces its hash, which tells nobody. Another hash is a reader's: the page is read again as it says. A link
// to a place in the page leads there, and the hash is again what is shown.
addEventListener("hashchange", () => {
  const place = location.hash.slice(1);
  if (place && !place.includes("=") && document.getElementById(place)) keep({});
  else location.reload();
});
// Whoever waits for the page, a test or a printer, sees here that it is whole.
document.documentElement.dataset.ready = "";
