// An opened row: the spreads of a group, its requests, and what else is known of it.

function detail(at) {
  const group = groups[at];
  const mine = rows.filter((row) => row.group === at);
  const facts = group.facts.length ? el("dl", {}, group.facts.map(([what, words]) => [el("dt", {}, what), el("dd", {}, words)])) : null;
  return el("div", { class: "inside" }, spreads(group), requests(mine), facts);
}

// Numbers that stand in one column have one format, so that their points stand beneath each other: three to four digits of the
// largest, of money two of the smallest. What is smaller than its last digit says so; tokens are counted, whole ones have no decimals.
function format(values, unit) {
  const sizes = values.filter((value) => has(value) && value !== 0).map(Math.abs);
  const largest = sizes.reduce((a, b) => Math.max(a, b), 0), smallest = sizes.reduce((a, b) => Math.min(a, b), Infinity);
  const exponent = Math.floor(Math.log10(unit === "$" ? smallest : largest));
  const places = !sizes.length || (unit === "tok" && values.filter(has).every(Number.isInteger)) ? 0
    : unit === "$" ? Math.max(2, 1 - exponent) : unit === "tok" ? 1 : exponent >= 0 ? Math.max(0, 3 - exponent) : Math.max(3, 2 - exponent);
  const most = Math.min(places, 8);
  return (value) => {
    const least = 10 ** -most;
    if (value !== 0 && Math.abs(value) < least / 2) return `<\u2009${least.toFixed(most)}`;
    return value.toLocaleString("en-US", { minimumFractionDigits: most, maximumFractionDigits: most });
  };
}

function spreads(group) {
  const names = ["n", "mean", "± sd", "min", ...data.percentiles.map(([label]) => label), "max"];
  const known = data.metrics.filter((metric) => group.stats[metric.name]);
  if (!known.length) return null;
  // The unit stands behind the name, in what the numbers are in.
  const label = ({ name, unit }) => {
    const words = name.replace(/_(seconds|bytes|watts|joules|usd)$/, "");
    return [words.replaceAll("_", " "), words === name && /per_second$|^(input|output|reasoning)_tokens$/.test(name) ? null : el("small", {}, ` ${unit}`)];
  };
  // Of one request there is no spread: its numbers fit into a few lines.
  if (known.every((metric) => group.stats[metric.name][0] === 1)) {
    return el("div", { class: "values" }, known.map((metric) => {
      const value = group.stats[metric.name][1] / metric.scale;
      return el("div", {}, el("span", {}, label(metric)), el("span", {}, format([value], metric.unit)(value)));
    }));
  }
  const cell = (value, i, metric, n, write) => {
    // A percentile needs five measurements beyond it.
    const quant = data.percentiles[i - 4]?.[1];
    const weak = quant && n > 1 && n * (1 - quant) < 5 - 1e-9;
    return el("td", { class: "n" }, i === 0 ? String(value) : value === null ? "–" : write(value / metric.scale),
      weak ? el("span", { class: "doubt", title: `${n} measurements are too few to know this` }, "?") : null);
  };
  return el("div", {}, el("table", { class: "plain" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "spread"), el("th", { scope: "col" }, "unit"), names.map((name) => el("th", { scope: "col", class: "n" }, name)))),
    el("tbody", {}, known.map((metric) => {
      const [n, ...values] = group.stats[metric.name];
      const write = format(values.map((value) => (value === null ? value : value / metric.scale)), metric.unit);
      return el("tr", {}, el("th", { scope: "row" }, label(metric)[0]), el("td", {}, metric.unit), [n, ...values].map((value, i) => cell(value, i, metric, n, write)));
    }))));
}

const REQUEST = [
  ["id", "request"], ["prompt", "prompt"], ["start", "sent at", "s"], ["ttft_seconds", "ttft", "s"],
  ["time_to_first_output_token_seconds", "first answer", "s"], ["decode_tokens_per_second", "decode", "tok/s"],
  ["itl_p99", "itl p99", "ms"], ["end", "time", "s"], ["input_tokens", "in", "tok"], ["output_tokens", "out", "tok"],
  ["reasoning_tokens", "reasoning", "tok"], ["total_watts", "total", "W"], ["joules_per_output_token", "J/token", "J"],
  ["cost_usd", "cost", "$"], ["finish_reason", "finish"], ["warnings", "doubts"],
];

function requests(mine) {
  if (!mine.length) return el("p", { class: "note" }, "No request of this row is in the sample that the page holds.");
  const step = 200;
  const fields = REQUEST.filter(([key]) => mine.some((row) => row[key] !== undefined));
  const files = ["page", "text", "json", "power log"];
  const linked = mine.some((row) => files.some((file) => row[file]));
  // What is in milliseconds here is in seconds in the data.
  const per = new Map(fields.map(([key, , unit]) => [key, unit === "ms" ? 1e3 : 1]));
  const writes = new Map(fields.map(([key, , unit]) => [key, key === "id" ? String : format(mine.map((row) => (has(row[key]) ? row[key] * per.get(key) : row[key])), unit)]));
  const line = (row) => el("tr", {},
    fields.map(([key]) => {
      const value = row[key];
      return el("td", { class: typeof value === "number" ? "n" : "" }, value === undefined ? "–" : typeof value === "number" ? writes.get(key)(value * per.get(key)) : value,
        key === "id" && row.warmup ? el("small", {}, " warm-up") : null);
    }),
    linked ? el("td", { class: "links" }, files.filter((file) => row[file]).map((file) => el("a", { href: row[file], rel: "noreferrer", "data-file": file }, file))) : null,
    el("td", { class: "error" }, row.kind ? `${row.kind}${row.status ? ` ${row.status}` : ""}: ${row.error}` : ""));
  // Of thousands, some: a browser lays out no more than it must.
  let list = mine;
  const tbody = el("tbody");
  const said = el("span", { role: "status" });
  const next = el("button", { type: "button", onclick: () => show(tbody.children.length) }, `Show ${step} more`);
  const show = (at) => {
    if (at === 0) tbody.replaceChildren();
    tbody.append(...list.slice(at, at + step).map(line));
    const shown = tbody.children.length;
    said.textContent = shown < list.length ? `${shown} of ${list.length} requests are shown, in the order of their start. ` : `${shown} request${shown === 1 ? "" : "s"}${data.results > rows.length ? " of the sample that the page holds" : ""}. `;
    next.hidden = shown >= list.length;
  };
  const odd = mine.filter((row) => row.kind || row.warnings);
  const only = odd.length && odd.length < mine.length ? el("label", {}, el("input", { type: "checkbox", onchange: (event) => { list = event.target.checked ? odd : mine; show(0); } }), ` only the ${odd.length} that failed or are doubtful`) : null;
  show(0);
  return el("div", { class: "requests" }, el("table", { class: "plain" },
    el("thead", {}, el("tr", {}, fields.map(([key, label, unit]) => el("th", { scope: "col", class: typeof mine.find((r) => r[key] !== undefined)?.[key] === "number" ? "n" : "" }, label, unit ? el("small", {}, ` ${unit}`) : null)),
      linked ? el("th", { scope: "col" }, "files") : null, el("th", { scope: "col" }, mine.some((row) => row.kind) ? "error" : ""))), tbody), el("p", { class: "note" }, said, next, only));
}
