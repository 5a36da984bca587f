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
  const stem = (document.title.replace(/[^\w.-]+/g, "_").slice(0, 80)) || "report";
  $("#get-ndjson").addEventListener("click", () => {
    const text = rows.map((row) => {
      const { group, start, ...rest } = row;
      const when = has(start) ? { start_ts: Math.round((data.t0 + start) * 1e4) / 1e4 } : {};
      return JSON.stringify({ type: "row", v: 1, model: groups[group].model, ...when, ...rest });
    });
    save(`${stem}.ndjson`, "application/x-ndjson", text.join("\n") + "\n");
  });
  $("#get-csv").addEventListener("click", () => {
    const keys = shownColumns();
    // A cell that a spreadsheet would compute is made a text.
    const cell = (value) => {
      const text = value === undefined ? "" : typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
      return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const visible = $$("tr.group", body).filter((line) => !line.hidden);
    const list = visible.map((line) => keys.map((key) => cell(groups[Number(line.dataset.g)].cells[key])).join(","));
    save(`${stem}.csv`, "text/csv", [keys.join(","), ...list].join("\r\n") + "\r\n");
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

initTheme();
initMenus();
initTip();
initTable();
initCharts();
initRun();
initGallery();
initDownloads();
initCopy();
// While a run goes on the page is written anew; it looks for it while nobody is in the middle of something.
const refresh = Number($('meta[name="refresh-seconds"]')?.content ?? 0);
if (refresh > 0) {
  const look = () => {
    const busy = document.activeElement?.matches("input, select") || $("dialog[open]") || document.hidden;
    if (busy) setTimeout(look, refresh * 1000);
    else location.reload();
  };
  setTimeout(look, refresh * 1000);
}
addEventListener("hashchange", () => {
  for (const key of Object.keys(state)) delete state[key];
  Object.assign(state, Object.fromEntries(new URLSearchParams(location.hash.slice(1))));
  if (table) restore();
  restoreGallery();
});
