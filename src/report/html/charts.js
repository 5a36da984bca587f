// Charts of groups and of single requests: which there are, when each has something to show, and what they share.

const MOST = 40;
const MANY = 500;
let visible = new Set(groups.map((_, i) => i));
const counted = rows.filter((row) => !row.warmup && !row.kind);
const byGroup = groups.map(() => []);
for (const row of counted) byGroup[row.group].push(row);
const ofGroup = (at) => byGroup[at];
const shownGroups = () => groups.map((group, at) => ({ group, at })).filter(({ at }) => visible.has(at));
// Evenly thinned: a chart of many thousand dots shows no more than one of some hundred.
const thin = (list, most) => (list.length <= most ? list : Array.from({ length: most }, (_, i) => list[Math.floor((i * list.length) / most)]));

const CHARTS = () => [
  ["time", timeBars, "Response time breakdown", "no request has an E2E latency"],
  ["spread", strips, "Spread", "it takes two requests that did not fail and tell the same"],
  ["takes", scatter, "Speed vs energy and memory", "it takes two rows with a speed and with watts, energy or memory (bench-join --power, --mem)"],
  ["cost", pareto, "Speed vs cost", "it takes two rows with a speed and a price or a cost"],
  ["levels", levelCurve, "Throughput vs latency", "it takes one model at two levels (llm-run --concurrency 1,4,16 or --rate 1,2,4)"],
  ["tail", tails, "Latency tail", "it takes five requests of one row that did not fail"],
  ["gaps", gapMap, "Gaps over the answer", "no stream was kept chunk by chunk (llm-run --save-stream)"],
  ["energy", energySplit, "Energy of a request", "no request was joined with a power meter (bench-join --power)"],
  ["goodput", goodput, "Goodput", "it takes two requests and a time that was measured"],
  ["health", health, "Health of the client", "no request tells how late the client was"],
];

function initCharts() {
  const section = $("#charts");
  if (!section) return;
  const grid = $(".grid", section);
  const drawn = [], missing = [];
  for (const [id, make, title, why] of CHARTS()) {
    const chart = make();
    if (!chart) { missing.push(`${title}: ${why}.`); continue; }
    chart.made = figure(grid, { id, ...chart });
    drawn.push(chart);
  }
  if (drawn.length || missing.length) section.hidden = false;
  pack(grid);
  if (missing.length) section.append(el("details", { class: "undrawn" }, el("summary", {}, drawn.length ? `${missing.length} more chart${missing.length > 1 ? "s have" : " has"} nothing to show` : "No chart has anything to show"), el("ul", {}, missing.map((words) => el("li", {}, words)))));
  document.addEventListener("shown", (event) => {
    const changed = event.detail.size !== visible.size || [...event.detail].some((at) => !visible.has(at));
    visible = event.detail;
    if (changed) drawn.forEach((chart) => chart.made.redraw());
  });
  // Which charts there are depends on all rows; what they draw, on what the filter of the address leaves.
  if (table) applyFilter();
}

// Each chart stands in the column that is the shortest when it comes: no column ends far above another.
function pack(grid) {
  const figures = $$("figure", grid);
  grid.classList.add("packed");
  const place = () => {
    const heights = getComputedStyle(grid).gridTemplateColumns.split(" ").map(() => 0);
    for (const one of figures) {
      const tall = Math.ceil(one.getBoundingClientRect().height) + 14;
      const at = heights.indexOf(Math.min(...heights));
      heights[at] += tall;
      Object.assign(one.style, { gridColumn: String(at + 1), gridRow: `span ${tall}` });
    }
  };
  const sizes = new ResizeObserver(() => requestAnimationFrame(place));
  for (const one of [grid, ...figures]) sizes.observe(one);
  place();
}

const nothing = (width) => canvas(width, 60, text(width / 2, 34, "nothing of what the filter leaves was measured", { "text-anchor": "middle", class: "faint" }));
const labelRoom = (width) => Math.min(230, Math.max(110, width * 0.36));
// Names of rows stand to the left of their marks; where that would cut what tells them apart, on a line of their own above them.
const NARROW = 400;
function rowNames(width, tall) {
  const above = width < NARROW;
  const left = above ? 6 : labelRoom(width);
  const lead = above ? 15 : 0;
  const name = (words, top, foot) => (above ? text(left, top + 11, fit(words, width - left), { class: "label" }) : text(left - 8, foot, fit(words, left - 12), { "text-anchor": "end", class: "label" }));
  return { left, lead, tall: tall + lead, name };
}
const more = (left) => (left > 0 ? [el("p", { class: "note" }, `${left} more rows are not drawn; filter the table to choose.`)] : []);
const legend = (entries) => el("div", { class: "legend" }, entries.map(([fillWith, words]) => { const i = el("i"); if (fillWith === IDLE) i.className = "hatch"; else i.style.background = fillWith; return el("span", {}, i, words); }));
// Lines of a legend: no two that follow each other differ in colour alone.
const DASHES = ["", "7 3", "2 3", "9 3 2 3"];
const dash = (k) => DASHES[k % DASHES.length];
const lineLegend = (names) => el("div", { class: "legend" }, names.map((name, k) => el("span", {}, svg("svg", { width: 22, height: 8, "aria-hidden": "true" }, svg("line", { x1: 0, x2: 22, y1: 4, y2: 4, stroke: color(k), "stroke-width": 2.5, "stroke-dasharray": dash(k) })), " ", name)));
