// What every part of the page needs: the data, numbers for people, elements, and the state in the hash.

const data = await embedded();
const { groups, vocabulary } = data;
const columns = new Map(vocabulary.columns.map((column) => [column.key, column]));
const metrics = new Map(vocabulary.metrics.map((metric) => [metric.name, metric]));
// The statistics of a group are embedded as arrays in one order, whose names are embedded once.
for (const group of groups) {
  for (const [name, numbers] of Object.entries(group.stats)) group.stats[name] = Object.fromEntries(numbers.map((value, i) => [data.statistics[i], value]));
}
const rows = unpack(data.rows);
const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
document.documentElement.classList.add("js");

// Large data is embedded packed. A browser that cannot unpack it keeps what stands in the page without the script.
async function embedded() {
  const holder = document.getElementById("data");
  if (holder.dataset.packed === undefined) return JSON.parse(holder.textContent);
  try {
    const bytes = Uint8Array.from(atob(holder.textContent.trim()), (c) => c.charCodeAt(0));
    return await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  } catch (why) {
    document.getElementById("no-data").hidden = false;
    throw why;
  }
}

// Rows are embedded as columns, words as numbers in a list: here they become objects again.
function unpack({ n, words, columns }) {
  const worded = new Set(["run", "prompt", "finish_reason", "kind", "error", "warnings"]);
  return Array.from({ length: n }, (_, i) => {
    const row = {};
    for (const [name, values] of Object.entries(columns)) {
      const value = values[i];
      if (value !== null) row[name] = worded.has(name) ? words[value] : value;
    }
    return row;
  });
}

// Elements are made of text and attributes only: nothing that a server said is ever parsed as markup.
function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}
function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}
function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(4).filter((child) => child !== null && child !== undefined));
  return node;
}

// Numbers with three to four digits; never a zero for what is not zero.
function digits(value) {
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size >= 1e6) return value.toExponential(2);
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  if (size >= 1) return value.toFixed(2);
  if (size >= 0.001) return String(Number(value.toPrecision(3)));
  if (size >= 1e-5) return String(Number(value.toPrecision(2)));
  return value.toExponential(1);
}
// Times under a second are said in milliseconds.
function lasting(seconds) {
  return has(seconds) && seconds !== 0 && Math.abs(seconds) < 0.1 ? say(seconds * 1e3, "ms") : say(seconds, "s");
}
function say(value, unit, scale = 1) {
  if (value === undefined || value === null) return "–";
  const text = digits(value / scale);
  return unit === "$" ? `$${text}` : unit ? `${text} ${unit}` : text;
}
function cellOf(group, key) {
  const value = group.cells[key];
  const column = columns.get(key);
  return typeof value === "number" ? say(value, column.unit, column.scale) : value ?? "–";
}

// The unit beside a name; none where the name says it.
const unitBeside = ({ label, unit }) => (unit.length > 1 && label.includes(unit) ? "" : unit);

const has = (value) => typeof value === "number" && Number.isFinite(value);
const color = (i) => `var(--c${i % 8})`;
const sorted = (values) => values.filter(has).sort((a, b) => a - b);
// Hyndman and Fan's type 7, as the rest of the report computes it.
function quantile(values, q) {
  if (!values.length) return undefined;
  const at = q * (values.length - 1);
  const low = Math.floor(at);
  return values[low] + ((values[Math.ceil(at)] ?? values[low]) - values[low]) * (at - low);
}

// The state of the page is in its hash, so that a link shows what its sender saw.
// Where its reader was in a page that has read itself again; whatever is kept in the hash takes it away.
const leftAt = history.state?.left;
const state = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
function keep(changes) {
  for (const [key, value] of Object.entries(changes)) {
    if (value === "" || value === null || value === undefined) delete state[key];
    else state[key] = value;
  }
  const hash = new URLSearchParams(state).toString();
  try {
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  } catch {
    // A frame without an origin may not; the page works without.
  }
}

function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
