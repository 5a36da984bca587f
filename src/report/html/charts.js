// Charts of groups and of single requests. Each says when it has something to show; the others are not there.

const MOST = 40;
const MANY = 500;
let visible = new Set(groups.map((_, i) => i));
const drawn = [];
const counted = rows.filter((row) => !row.warmup && !row.kind);
const ofGroup = (at) => counted.filter((row) => row.group === at);
const shownGroups = () => groups.map((group, at) => ({ group, at })).filter(({ at }) => visible.has(at));
// Evenly thinned: a chart of many thousand dots shows no more than one of some hundred.
const thin = (list, most) => (list.length <= most ? list : Array.from({ length: most }, (_, i) => list[Math.floor((i * list.length) / most)]));

function initCharts() {
  const section = $("#charts");
  if (!section) return;
  const grid = $(".grid", section);
  for (const make of [timeBars, strips, scatter, pareto, loadCurve, tails, energySplit, goodput, health]) {
    const chart = make();
    if (chart) drawn.push(() => chart);
    if (chart) section.hidden = false;
    if (chart) chart.made = figure(grid, chart);
  }
  document.addEventListener("shown", (event) => {
    const changed = event.detail.size !== visible.size || [...event.detail].some((at) => !visible.has(at));
    visible = event.detail;
    if (changed) drawn.forEach((chart) => chart().made?.redraw());
  });
}

const nothing = (width) => canvas(width, 60, text(width / 2, 34, "nothing of what the filter leaves was measured", { "text-anchor": "middle", class: "faint" }));
const labelRoom = (width) => Math.min(210, Math.max(96, width * 0.33));
const more = (left) => (left > 0 ? [el("p", { class: "note" }, `${left} more rows are not drawn; filter the table to choose.`)] : []);
const legend = (entries) => el("div", { class: "legend" }, entries.map(([fillWith, words]) => { const i = el("i"); i.style.background = fillWith; return el("span", {}, i, words); }));

// Where the time of an answer goes: medians of the parts.
function timeBars() {
  const median = (group, name) => group.stats[name]?.[4];
  const timed = () => shownGroups().filter(({ group }) => has(median(group, "generation_time_seconds")));
  if (!timed().length) return null;
  return {
    title: "Time of an answer", note: "medians: prompt, reasoning, answer",
    draw(width) {
      const all = timed().sort((a, b) => median(a.group, "generation_time_seconds") - median(b.group, "generation_time_seconds"));
      if (!all.length) return nothing(width);
      const list = all.slice(0, MOST);
      const left = labelRoom(width), right = width - 52, top = 4, high = 21, bottom = top + list.length * high;
      const x = linear(0, Math.max(...list.map(({ group }) => median(group, "generation_time_seconds"))), left, right);
      const image = canvas(width, bottom + 34, axisX(x, { top, bottom, left, right, label: "seconds" }));
      list.forEach(({ group }, i) => {
        const y = top + i * high + 3;
        const whole = median(group, "generation_time_seconds");
        const first = Math.min(median(group, "ttft_seconds") ?? 0, whole);
        const answer = Math.min(Math.max(median(group, "time_to_first_answer_token_seconds") ?? first, first), whole);
        const words = `${group.name}\nfirst token ${say(first || undefined, "s")}, first answer ${say(answer || undefined, "s")}, whole ${say(whole, "s")}`;
        image.append(text(left - 8, y + 12, fit(group.name, left - 12), { "text-anchor": "end", class: "label" }));
        for (const [from, to, fillWith] of [[0, first, "var(--prompt)"], [first, answer, "var(--reasoning)"], [answer, whole, "var(--answer)"]]) {
          if (to > from) image.append(svg("rect", { x: x(from), y, width: Math.max(1, x(to) - x(from)), height: 15, fill: fillWith, "data-tip": words }));
        }
        image.append(text(x(whole) + 5, y + 12, digits(whole)));
      });
      return [legend([["var(--prompt)", "to first token"], ["var(--reasoning)", "reasoning"], ["var(--answer)", "answer"]]), image, ...more(all.length - list.length)];
    },
  };
}

// Ranks between which the true median lies with 95 % certainty, whatever the distribution: the binomial of order statistics.
function medianRanks(n) {
  let p = 0.5 ** n;
  if (n < 6 || p === 0) return n >= 6 ? [Math.floor(n / 2 - 0.98 * Math.sqrt(n)), Math.min(n - 1, Math.ceil(n / 2 + 0.98 * Math.sqrt(n)))] : null;
  let below = 0, k = 0;
  while (k < n / 2 && below + p <= 0.025) { below += p; p *= (n - k) / (k + 1); k += 1; }
  return [Math.max(0, k - 1), Math.min(n - 1, n - k)];
}

// Iglewicz and Hoaglin's modified z-score: farther than 3.5 from the median, in units of the median distance. They are marked, never dropped.
function outlying(values) {
  const middle = quantile(values, 0.5);
  const far = quantile(values.map((v) => Math.abs(v - middle)).sort((a, b) => a - b), 0.5);
  return values.length < 8 || !far ? () => false : (v) => (0.6745 * Math.abs(v - middle)) / far > 3.5;
}

const STRIPS = [["ttft_seconds", "time to first token", "s"], ["decode_tokens_per_second", "decode rate", "tok/s"], ["tokens_per_second", "tokens per second", "tok/s"],
  ["time_to_first_answer_token_seconds", "time to first answer", "s"], ["generation_time_seconds", "time of the answer", "s"], ["itl_p99", "itl p99 of a request", "s"],
  ["output_tokens", "output tokens", "tok"], ["total_watts", "total power", "W"], ["joules_per_output_token", "energy per token", "J"], ["cost_usd", "cost", "$"]];

// Every request a dot; the median and what is known of it.
function strips() {
  const options = STRIPS.filter(([key]) => counted.some((row) => has(row[key])));
  if (!options.length || counted.length < 2) return null;
  return {
    title: "Spread", note: "a dot per request, a ring if outlying; line: median; bar: its 95 % interval, from 6 requests on",
    options: options.map(([key, words]) => [key, words]),
    draw(width, key) {
      const [, words, unit] = STRIPS.find(([k]) => k === key);
      const all = shownGroups().map((one) => ({ ...one, values: sorted(ofGroup(one.at).map((row) => row[key])) })).filter((one) => one.values.length);
      if (!all.length) return nothing(width);
      const list = all.slice(0, MOST);
      const flat = list.flatMap((one) => one.values);
      const low = Math.min(...flat.map((v) => v)), high = Math.max(...flat);
      const left = labelRoom(width), right = width - 14, top = 4, tall = 24, bottom = top + list.length * tall;
      const log = low > 0 && high / low > 30;
      const pad = (high - low || high || 1) * 0.04;
      const x = log ? logarithmic(low / 1.1, high * 1.1, left, right) : linear(low >= 0 && low < high * 0.5 ? 0 : low - pad, high + pad, left, right);
      const image = canvas(width, bottom + 34, axisX(x, { top, bottom, left, right, label: `${words}, ${unit}${log ? " (log)" : ""}`, n: 5 }));
      list.forEach(({ group, at, values }, i) => {
        const y = top + i * tall + tall / 2;
        const middle = quantile(values, 0.5);
        const ranks = medianRanks(values.length);
        const out = outlying(values);
        const outs = values.filter(out).length;
        const told = `${group.name}\nmedian ${say(middle, unit)}${ranks ? ` (${digits(values[ranks[0]])} to ${digits(values[ranks[1]])})` : ""}, n ${values.length}\n${say(values[0], unit)} to ${say(values[values.length - 1], unit)}${outs ? `\n${outs} outlying` : ""}`;
        image.append(text(left - 8, y + 4, fit(group.name, left - 12), { "text-anchor": "end", class: "label" }));
        if (ranks) image.append(svg("rect", { x: x(values[ranks[0]]), y: y - 9, width: Math.max(2, x(values[ranks[1]]) - x(values[ranks[0]])), height: 18, fill: color(at), opacity: 0.22, rx: 3 }));
        thin(values, MANY).forEach((v, k) => image.append(svg("circle", { cx: x(v), cy: y + (((k * 7) % 11) - 5) * (values.length > 3 ? 0.9 : 0), r: values.length > 100 ? 1.8 : 3, fill: out(v) ? "none" : color(at), stroke: out(v) ? color(at) : "none", opacity: out(v) ? 1 : 0.65 })));
        if (values.length > 1) image.append(svg("rect", { x: x(middle) - 1, y: y - 9, width: 2, height: 18, fill: "var(--ink)" }));
        image.append(svg("rect", { x: left, y: y - tall / 2, width: right - left, height: tall, fill: "transparent", "data-tip": told }));
      });
      return [image, ...more(all.length - list.length)];
    },
  };
}

// Dots of groups on two axes, with names where there is room.
function dots(width, points, { xLabel, yLabel, xLog, size, after }) {
  const height = Math.round(Math.min(330, Math.max(240, width * 0.62)));
  const left = 46, right = width - 16, top = 22, bottom = height - 36;
  const xs = points.map((p) => p.x), ys = points.map((p) => p.y);
  const log = xLog && Math.min(...xs) > 0 && Math.max(...xs) / Math.min(...xs) > 8;
  const x = log ? logarithmic(Math.min(...xs) / 1.4, Math.max(...xs) * 1.4, left, right) : linear(0, Math.max(...xs) * 1.12 || 1, left, right);
  const y = linear(0, Math.max(...ys) * 1.12 || 1, bottom, top);
  const image = canvas(width, height, axisX(x, { top, bottom, left, right, label: xLabel + (log ? " (log)" : "") }), axisY(y, { left, right, label: yLabel, top }));
  image.append(...(after?.(x, y) ?? []));
  const most = Math.max(...points.map((p) => p.size ?? 0));
  const taken = [];
  for (const p of [...points].sort((a, b) => (b.size ?? 0) - (a.size ?? 0))) {
    const r = size && most > 0 ? 4 + 13 * Math.sqrt((p.size ?? 0) / most) : 6;
    image.append(svg("circle", { cx: x(p.x), cy: y(p.y), r, fill: color(p.at), "fill-opacity": 0.55, stroke: color(p.at), "data-tip": p.tip }));
    taken.push([x(p.x) - r, y(p.y) - r, x(p.x) + r, y(p.y) + r]);
  }
  for (const p of points) {
    const r = size && most > 0 ? 4 + 13 * Math.sqrt((p.size ?? 0) / most) : 6;
    const words = fit(p.name.includes("/") ? p.name.split("/").slice(1).join("/") : p.name, 150);
    const w = words.length * 5.9;
    const places = [[x(p.x) + r + 4, y(p.y) + 4], [x(p.x) - r - 4 - w, y(p.y) + 4], [x(p.x) - w / 2, y(p.y) - r - 5], [x(p.x) - w / 2, y(p.y) + r + 13]];
    const free = places.find(([a, b]) => a >= left - 20 && a + w <= width && !taken.some(([l, t, rr, bb]) => a < rr && a + w > l && b - 10 < bb && b + 2 > t));
    if (!free) continue;
    taken.push([free[0], free[1] - 10, free[0] + w, free[1] + 2]);
    image.append(text(free[0], free[1], words, { class: "label" }));
  }
  return image;
}

function scatter() {
  const axes = [["j_tok", "energy per output token, J"], ["j_tok_net", "net energy per output token, J"], ["gpu_w", "GPU power, W"], ["total_w", "total power, W"], ["mem_high", "memory high water, GB"]];
  const speed = (group) => group.cells.decode_tok_s ?? group.cells.tok_s;
  const options = axes.filter(([key]) => groups.filter((g) => has(g.cells[key]) && has(speed(g))).length > 1);
  if (!options.length) return null;
  return {
    title: "Speed against what it takes", note: "upper left is better; size: memory high water", options,
    draw(width, key) {
      const column = columns.get(key);
      const points = shownGroups().filter(({ group }) => has(group.cells[key]) && has(speed(group))).map(({ group, at }) => ({
        at, name: group.name, x: group.cells[key] / column.scale, y: speed(group), size: group.cells.mem_high,
        tip: `${group.name}\n${say(speed(group), "tok/s")}\n${column.label} ${cellOf(group, key)}\nmemory ${cellOf(group, "mem_high")}`,
      }));
      if (!points.length) return nothing(width);
      return dots(width, points, { xLabel: axes.find(([k]) => k === key)[1], yLabel: "decode, tok/s", size: key !== "mem_high" });
    },
  };
}

function pareto() {
  const options = [["usd_1m", "paid per 1M output tokens, $"], ["usd_request", "paid per request, $"], ["usd_1m_out_list", "listed per 1M output tokens, $"]]
    .filter(([key]) => groups.filter((g) => has(g.cells[key]) && has(g.cells.tok_s)).length > 1);
  if (!options.length) return null;
  return {
    title: "Speed against cost", note: "line: nobody is both faster and cheaper", options,
    draw(width, key) {
      const points = shownGroups().filter(({ group }) => group.cells[key] > 0 && has(group.cells.tok_s)).map(({ group, at }) => ({
        at, name: group.name, x: group.cells[key], y: group.cells.tok_s,
        tip: `${group.name}\n${cellOf(group, "tok_s")}\n${cellOf(group, key)}`,
      }));
      if (!points.length) return nothing(width);
      const front = [];
      for (const p of [...points].sort((a, b) => a.x - b.x || b.y - a.y)) if (!front.length || p.y > front[front.length - 1].y) front.push(p);
      const after = (x, y) => [svg("polyline", { points: front.map((p) => `${x(p.x)},${y(p.y)}`).join(" "), fill: "none", stroke: "var(--faint)", "stroke-dasharray": "4 3" })];
      return dots(width, points, { xLabel: options.find(([k]) => k === key)[1], yLabel: "tok/s", xLog: true, after });
    },
  };
}

// Throughput and time to first token against the load, where a model was run at several.
function loadCurve() {
  const level = (group) => group.rate ?? group.concurrency;
  const series = () => {
    const by = new Map();
    for (const { group, at } of shownGroups()) {
      if (!has(level(group)) || !has(group.cells.throughput)) continue;
      const key = JSON.stringify([group.model, group.cells.source, group.cells.provider, has(group.rate)]);
      by.set(key, [...(by.get(key) ?? []), { group, at, x: level(group) }]);
    }
    return [...by.values()].filter((list) => list.length > 1).map((list) => list.sort((a, b) => a.x - b.x));
  };
  if (!series().length) return null;
  const rate = groups.some((group) => has(group.rate));
  return {
    title: "Load", note: "◆ knee: most throughput for its waiting", options: [["ttft_p50", "ttft median"], ["ttft_p95", "ttft p95"], ["gen_s", "time of the answer"], ["itl_p99", "itl p99"]].filter(([key]) => groups.some((g) => has(g.cells[key]))),
    draw(width, key) {
      const list = series();
      if (!list.length) return nothing(width);
      const flat = list.flat();
      const left = 50, right = width - 14, panel = 118;
      const xs = flat.map((p) => p.x);
      const x = Math.max(...xs) / Math.min(...xs) > 6 ? logarithmic(Math.min(...xs) * 0.9, Math.max(...xs) * 1.1, left, right) : linear(0, Math.max(...xs) * 1.05, left, right);
      const levels = [...new Set(xs)].sort((a, b) => a - b);
      if (levels.length <= 9) x.ticks = () => levels;
      const image = canvas(width, 2 * panel + 94);
      [["throughput", "all together, tok/s", 22], [key, columns.get(key).label + ", s", panel + 58]].forEach(([name, label, top], at) => {
        const bottom = top + panel;
        const y = linear(0, Math.max(...flat.map((p) => p.group.cells[name] ?? 0)) * 1.1 || 1, bottom, top);
        image.append(...axisX(x, { top, bottom, left, right, label: at ? (rate ? "requests per second" : "requests at once") : "" }).flat(), ...axisY(y, { left, right, label, top, n: 4 }).flat());
        list.forEach((points, k) => {
          const known = points.filter((p) => has(p.group.cells[name]));
          const power = (p) => p.group.cells.throughput / (p.group.cells.ttft_p50 ?? p.group.cells.gen_s ?? Infinity);
          const knee = points.reduce((best, p) => (power(p) > power(best) ? p : best));
          image.append(svg("polyline", { points: known.map((p) => `${x(p.x)},${y(p.group.cells[name])}`).join(" "), fill: "none", stroke: color(k), "stroke-width": 2 }));
          for (const p of known) {
            const [cx, cy] = [x(p.x), y(p.group.cells[name])];
            const tipWords = `${p.group.name}\ntogether ${cellOf(p.group, "throughput")}\nttft ${cellOf(p.group, "ttft_p50")}, p95 ${cellOf(p.group, "ttft_p95")}${p === knee ? "\nknee" : ""}`;
            image.append(p === knee ? svg("path", { d: `M${cx} ${cy - 7}l7 7-7 7-7-7z`, fill: color(k), "data-tip": tipWords }) : svg("circle", { cx, cy, r: 4, fill: color(k), "data-tip": tipWords }));
          }
        });
      });
      return [list.length > 1 ? legend(list.map((points, k) => [color(k), points[0].group.model])) : "", image].filter(Boolean);
    },
  };
}

// How many requests are slower than a time: the tail on a logarithm, where it can be seen.
function tails() {
  const options = [["generation_time_seconds", "time of the answer"], ["ttft_seconds", "time to first token"], ["itl_p99", "itl p99 of a request"]].filter(([key]) => groups.some((_, at) => ofGroup(at).filter((row) => has(row[key])).length >= 5));
  if (!options.length) return null;
  return {
    title: "Tail", note: "share of requests that took longer (log)", options,
    draw(width, key) {
      const all = shownGroups().map((one) => ({ ...one, values: sorted(ofGroup(one.at).map((row) => row[key])) })).filter((one) => one.values.length >= 5);
      if (!all.length) return nothing(width);
      const list = all.slice(0, 8);
      const height = 260, left = 50, right = width - 14, top = 20, bottom = height - 36;
      const flat = list.flatMap((one) => one.values);
      const [low, high] = [Math.min(...flat), Math.max(...flat)];
      const x = low > 0 && high / low > 12 ? logarithmic(low / 1.1, high * 1.1, left, right) : linear(0, high * 1.05, left, right);
      const least = 100 / Math.max(...list.map((one) => one.values.length));
      const y = logarithmic(least * 0.8, 110, bottom, top);
      const image = canvas(width, height, axisX(x, { top, bottom, left, right, label: "seconds" }), axisY(y, { left, right, label: "% slower", top }));
      for (const { group, at, values } of list) {
        const n = values.length;
        const points = thin(values.map((v, i) => [v, (100 * (n - i)) / n]), MANY);
        let d = `M${x(points[0][0])} ${y(100)}`;
        for (const [v, share] of points) d += `V${y(share)}H${x(v)}`;
        d = `M${x(Math.max(values[0], low))} ${y(100)}`;
        points.forEach(([v], i) => { d += `H${x(v)}`; const next = points[i + 1]; if (next) d += `V${y(next[1])}`; });
        image.append(svg("path", { d, fill: "none", stroke: color(at), "stroke-width": 2, "data-tip": `${group.name}\nmedian ${say(quantile(values, 0.5), "s")}, slowest ${say(values[n - 1], "s")}, n ${n}` }));
      }
      return [legend(list.map(({ group, at }) => [color(at), group.name])), image, ...more(all.length - list.length)];
    },
  };
}

// What a request draws, split into what idling would have drawn and what the work drew; and the load beside it.
function energySplit() {
  const known = () => shownGroups().filter(({ group }) => group.energy && group.energy.n);
  if (!known().length) return null;
  return {
    title: "Energy of a request", note: "mean; whisker: certain bounds",
    draw(width) {
      const all = known().sort((a, b) => a.group.energy.j / a.group.energy.n - b.group.energy.j / b.group.energy.n);
      if (!all.length) return nothing(width);
      const list = all.slice(0, MOST);
      const left = labelRoom(width), right = width - 20, top = 4, tall = 24, bottom = top + list.length * tall;
      const loadOf = (group) => group.stats.load_energy_joules?.[4] ?? 0;
      const most = Math.max(...list.map(({ group }) => Math.max(group.energy.high ?? 0, group.energy.j) / group.energy.n + loadOf(group)));
      const x = linear(0, most, left, right);
      const image = canvas(width, bottom + 34, axisX(x, { top, bottom, left, right, label: "joules", n: 5 }));
      list.forEach(({ group }, i) => {
        const { j, low, high, net, n } = group.energy;
        const y = top + i * tall + 4;
        const load = loadOf(group);
        const idle = has(net) ? Math.max(0, (j - net) / n) : 0;
        const words = `${group.name}\nrequest ${say(j / n, "J")}${has(net) ? `, of it idling ${say(idle, "J")}` : ""}${has(low) ? `\nbetween ${digits(low / n)} and ${say(high / n, "J")}` : ""}${load ? `\nload ${say(load, "J")}` : ""}`;
        image.append(text(left - 8, y + 12, fit(group.name, left - 12), { "text-anchor": "end", class: "label" }));
        let from = 0;
        for (const [part, fillWith] of [[load, "var(--c1)"], [idle, "var(--prompt)"], [j / n - idle, "var(--answer)"]]) {
          if (part > 0) image.append(svg("rect", { x: x(from), y, width: Math.max(1, x(from + part) - x(from)), height: 15, fill: fillWith, "data-tip": words }));
          from += Math.max(0, part);
        }
        if (has(low) && has(high)) image.append(svg("path", { d: `M${x(load + low / n)} ${y + 7.5}H${x(load + high / n)}m0-4v8M${x(load + low / n)} ${y + 3.5}v8`, stroke: "var(--ink)", fill: "none" }));
      });
      return [legend([["var(--c1)", "load of the model"], ["var(--prompt)", "idling"], ["var(--answer)", "work"]]), image, ...more(all.length - list.length)];
    },
  };
}

// How late the client itself was: above the dots of the gaps, it would be measuring itself.
function health() {
  const late = counted.filter((row) => has(row.client_lag_seconds) && has(row.start));
  if (late.length < 10) return null;
  return {
    title: "The client's own lateness", note: "worst of its event loop while a request ran (log)",
    draw(width) {
      const list = thin(late.filter((row) => visible.has(row.group)), 2000);
      if (!list.length) return nothing(width);
      const height = 220, left = 50, right = width - 14, top = 20, bottom = height - 36;
      const [low, high] = [Math.max(1e-5, Math.min(...list.map((row) => row.client_lag_seconds))), Math.max(1e-4, ...list.map((row) => row.client_lag_seconds))];
      const x = linear(0, Math.max(...list.map((row) => row.start)) || 1, left, right);
      const y = logarithmic(low * 1e3 / 2, high * 1e3 * 2, bottom, top);
      const image = canvas(width, height, axisX(x, { top, bottom, left, right, label: "sent, seconds into the run" }), axisY(y, { left, right, label: "ms", top }));
      for (const row of list) image.append(svg("circle", { cx: x(row.start), cy: y(Math.max(low, row.client_lag_seconds) * 1e3), r: 2.5, fill: color(row.group), opacity: 0.7, "data-tip": `${groups[row.group].name}, request ${row.id}\nlate by ${say(row.client_lag_seconds * 1e3, "ms")} at worst` }));
      return image;
    },
  };
}
