// Drawing: scales, axes, figures, and the one tip that tells the values, by pointer or by arrow keys.

function linear(from, to, a, b, whole) {
  const span = to - from || 1;
  const scale = (v) => a + ((v - from) / span) * (b - a);
  scale.ticks = (n) => niceTicks(from, to, n, whole);
  return scale;
}
function logarithmic(from, to, a, b) {
  const [low, high] = [Math.log10(from), Math.log10(to)];
  const scale = (v) => a + ((Math.log10(v) - low) / (high - low || 1)) * (b - a);
  scale.ticks = () => {
    const ticks = [];
    const steps = high - low > 2.2 ? [1] : high - low > 1 ? [1, 3] : [1, 2, 3, 5, 7];
    for (let e = Math.floor(low); e <= Math.ceil(high); e += 1) for (const s of steps) {
      const tick = s * 10 ** e;
      if (tick >= from * 0.999 && tick <= to * 1.001) ticks.push(tick);
    }
    return ticks;
  };
  return scale;
}
function niceTicks(from, to, n, whole) {
  const span = to - from;
  if (!(span > 0)) return [from];
  const raw = span / n;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, whole ? 2 : 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999 && (!whole || s >= 1)) ?? 1;
  const ticks = [];
  for (let t = Math.ceil(from / step - 1e-9) * step; t <= to + step * 1e-9; t += step) ticks.push(Math.abs(t) < step * 1e-9 ? 0 : t);
  return ticks;
}
const tickText = (v) => (v !== 0 && (Math.abs(v) >= 1e5 || Math.abs(v) < 1e-3) ? v.toExponential(0) : Number(v.toPrecision(4)).toLocaleString("en-US", { maximumFractionDigits: 4 }));

// A chart is a title, one sentence, and a function that draws into a given width; it is drawn again when that changes. Its
// values are in the tips of its marks: under the pointer, with the arrow keys, and all of them as a table beneath it.
function figure(parent, { id, title, note, wide, options, controls, draw }) {
  const holder = el("div");
  let pick = null;
  if (options?.length > 1) {
    pick = el("select", { "aria-label": `${title}: what to draw`, onchange: () => { keep({ [`chart.${id}`]: pick.selectedIndex ? pick.value : "" }); redraw(); } }, options.map(([value, text]) => el("option", { value }, text)));
    const kept = options.findIndex(([value]) => String(value) === state[`chart.${id}`]);
    if (kept > 0) pick.selectedIndex = kept;
  }
  const told = el("details", { class: "told", ontoggle: () => tell() }, el("summary", { "aria-label": `Values of ${title || note}` }, "Values"));
  const fig = el("figure", { class: wide ? "wide" : null, "data-chart": id }, el("figcaption", {}, title ? el("h3", {}, title) : null, el("p", {}, note), pick ? el("label", { class: "pick" }, pick) : null), controls ?? null, holder, told);
  parent.append(fig);
  let width = 0;
  const tell = () => { if (told.open) told.replaceChildren(told.firstChild, valuesOf(holder)); };
  const redraw = () => {
    const w = Math.max(240, Math.floor(holder.clientWidth || fig.clientWidth - 30));
    width = w;
    const drawn = draw(w, pick?.value ?? options?.[0]?.[0]);
    const image = drawn instanceof Array ? drawn : [drawn];
    holder.replaceChildren(...image);
    for (const one of image) if (one.tagName === "svg") {
      one.setAttribute("role", "group");
      one.setAttribute("aria-roledescription", "chart");
      one.setAttribute("aria-label", `${title || "Chart"}. ${note}. The arrow keys tell its values.`);
      steer(one);
    }
    tell();
  };
  new ResizeObserver(() => requestAnimationFrame(() => { if (Math.abs(Math.floor(holder.clientWidth) - width) > 4) redraw(); })).observe(holder);
  redraw();
  return { fig, redraw };
}

// What the marks of a drawing tell, as a table.
const TOLD = 300;
function valuesOf(holder, most = TOLD) {
  const all = [...new Set($$("svg [data-tip]", holder).map((mark) => mark.dataset.tip))];
  const table = el("table", { class: "plain" }, el("tbody", {}, all.slice(0, most).map((words) => {
    const [name, ...rest] = words.split("\n");
    return el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, rest.join("; ")));
  })));
  return el("div", { class: "told-values", tabindex: 0 }, all.length ? table : "There is nothing to tell.", all.length > most ? el("p", { class: "note" }, `The first ${most} of ${all.length}.`) : null);
}
const canvas = (w, h, ...children) => svg("svg", { viewBox: `0 0 ${w} ${h}`, width: w, height: h }, ...children);
const text = (x, y, words, attributes = {}) => svg("text", { x, y, ...attributes }, words);
const line = (x1, y1, x2, y2, attributes = {}) => svg("line", { x1, y1, x2, y2, class: "rule", ...attributes });
function axisX(scale, { top, bottom, left, right, label, n = 6 }) {
  const ticks = scale.ticks(n);
  // A number that would touch the one before it is left to its line.
  let free = -Infinity;
  const said = ticks.filter((t) => {
    const half = tickText(t).length * 3.1;
    if (scale(t) - half < free) return false;
    free = scale(t) + half + 5;
    return true;
  });
  return [
    ticks.map((t) => line(scale(t), top, scale(t), bottom)),
    said.map((t) => text(scale(t), bottom + 15, tickText(t), { "text-anchor": "middle" })),
    text(right, bottom + 29, label, { "text-anchor": "end", class: "faint" }),
    line(left, bottom, right, bottom, { class: "axis" }),
  ];
}
function axisY(scale, { left, right, label, top, n = 5 }) {
  const ticks = scale.ticks(n);
  return [
    ticks.map((t) => line(left, scale(t), right, scale(t))),
    ticks.map((t) => text(left - 7, scale(t) + 4, tickText(t), { "text-anchor": "end" })),
    text(left - 7, top - 7, label, { class: "faint" }),
  ];
}
// What nobody asked for, idling, is hatched: no colour of a mark is like it to any eye, nor on paper.
const IDLE = "url(#hatch)";
document.body.append(svg("svg", { width: 0, height: 0, class: "defs", "aria-hidden": "true" }, svg("defs", {}, svg("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
  svg("rect", { width: 5, height: 5, fill: "var(--card)" }), svg("rect", { width: 1.6, height: 5, fill: "var(--soft)" })))));
// A name without its publisher; the stroke of "8/s" is not meant.
const bare = (name) => name.replace(/^[^\s/]+\//, "");
// A name in the room it has; the whole of it is in the tip.
function fit(words, room) {
  const most = Math.max(4, Math.floor(room / 6.2));
  if (words.length > most) words = bare(words);
  if (words.length <= most) return words;
  // What stands behind a dot tells rows of one model apart: the model gives way first.
  const dot = words.lastIndexOf(" · ");
  if (dot > 0 && most - (words.length - dot) >= 3) return `${words.slice(0, most - (words.length - dot) - 1)}…${words.slice(dot)}`;
  if (dot > 0) return words.length - dot - 2 <= most ? `…${words.slice(dot + 3)}` : `${words.slice(dot + 3, dot + 2 + most)}…`;
  return `${words.slice(0, Math.ceil(most * 0.45))}…${words.slice(words.length - Math.floor(most * 0.5))}`;
}

let tip;
function initTip() {
  tip = $("#tip");
  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest?.("[data-tip]");
    if (mark) showTip(mark.dataset.tip, event.clientX, event.clientY);
    else if (!document.activeElement?.closest?.("svg")) tip.hidden = true;
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });
}
function showTip(words, x, y) {
  tip.textContent = words;
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
  tip.style.top = `${y + 18 + height > innerHeight ? y - height - 12 : y + 18}px`;
}
function steer(image) {
  const marks = $$("[data-tip]", image);
  if (!marks.length) return;
  let at = -1;
  image.setAttribute("tabindex", "0");
  const show = () => {
    marks.forEach((mark, i) => mark.classList.toggle("on", i === at));
    const box = marks[at].getBoundingClientRect();
    showTip(marks[at].dataset.tip, Math.min(box.right, innerWidth - 60), Math.min(Math.max(box.top, 0), innerHeight - 60));
    $("#said").textContent = marks[at].dataset.tip.replaceAll("\n", "; ");
  };
  image.addEventListener("keydown", (event) => {
    const places = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at < 0 ? -1 : at - 1, ArrowUp: at < 0 ? -1 : at - 1, Home: 0, End: marks.length - 1 };
    const to = places[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    at = (to + marks.length) % marks.length;
    show();
  });
  image.addEventListener("blur", () => { marks.forEach((mark) => mark.classList.remove("on")); tip.hidden = true; });
}

// A pane over a drawing: wherever the pointer is, `tell` says what there is at that x, and a line stands there.
function hovering(image, { left, right, top, bottom }, tell) {
  const cursor = svg("line", { y1: top, y2: bottom, class: "cursor" });
  const glass = svg("rect", { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top), fill: "transparent", class: "glass" });
  glass.addEventListener("pointermove", (event) => {
    const box = glass.getBoundingClientRect();
    const x = left + ((event.clientX - box.left) / box.width) * (right - left);
    const words = tell(x);
    if (!words) return;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.classList.add("shown");
    showTip(words, event.clientX, event.clientY);
    event.stopPropagation();
  });
  glass.addEventListener("pointerleave", () => { cursor.classList.remove("shown"); tip.hidden = true; });
  return [cursor, glass];
}
