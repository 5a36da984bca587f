// The run on one time axis: loads and requests, how many at once, tokens, watts and memory, all under one cursor.

const LANES = 3000;

function initRun() {
  const section = $("#run");
  if (!section) return;
  const timed = rows.filter((row) => has(row.start) && has(row.end));
  if (!timed.length) return;
  const runs = [...new Set(timed.map((row) => row.run))];
  section.hidden = false;
  const span = (list) => list.reduce(([a, b], row) => [Math.min(a, row.start), Math.max(b, row.start + row.end)], [Infinity, -Infinity]);
  figure($(".whole", section), {
    id: "run", title: ["Requests", data.power.ts.length ? "power" : "", data.memory.ts.length ? "memory" : ""].filter(Boolean).join(", ").replace(/, (?=\w+$)/, " and "), note: `move over it for the values of a moment${data.weight ? "; the requests are the sample that the page holds, how many at once and their tokens are estimated from it" : ""}`, wide: true,
    options: runs.map((run) => [run, run || "run"]),
    draw(width, run) {
      const mine = timed.filter((row) => row.run === run);
      let [from, to] = span(mine);
      const near = data.loads.filter((load) => (!load.run || load.run === run) && load.to >= from - 600 && load.from <= to);
      for (const load of near) from = Math.min(from, load.baseline?.[0] ?? load.from);
      const pad = (to - from) * 0.01 || 0.5;
      return axisOfRun(width, mine, near, from - pad, to + pad);
    },
  });
}

function axisOfRun(width, mine, loads, from, to) {
  const left = 62, right = width - 12;
  const x = linear(from, to, left, right);
  const image = canvas(width, 10);
  const series = [];
  let y = 20;
  const heads = [];
  const panel = (label, tall) => {
    heads.push(text(8, y + 8, label, { class: "faint" }));
    const top = y + 16;
    y = top + tall + 16;
    return [top, top + tall];
  };

  const bands = bandsOf(mine, loads, from, to);
  const [stripTop, stripBottom] = panel("phases", 16);
  const strip = bands.map(({ from: a, to: b, kind, words, label }) => {
    const wide = x(b) - x(a);
    return [svg("rect", { x: x(a), y: stripTop, width: Math.max(1.2, wide - 0.6), height: stripBottom - stripTop, fill: PHASES[kind][0], "fill-opacity": kind === "measured" ? 0.35 : 0.75, class: `phase ${kind}`, "data-phase": kind, "data-tip": words }),
      wide > label.length * 6 + 8 ? text(x(a) + wide / 2, stripTop + 12, label, { "text-anchor": "middle", class: `label on-band${kind === "idle" ? " over" : ""}` }) : null];
  }).flat().filter(Boolean);
  // Lanes: each request in the first row that is free.
  const lanes = [];
  const placed = thin(mine, LANES).map((row) => {
    let lane = lanes.findIndex((until) => until <= row.start + 1e-6);
    if (lane < 0) lane = lanes.push(0) - 1;
    lanes[lane] = row.start + row.end;
    return { row, lane };
  });
  const high = Math.max(2, Math.min(13, Math.floor(260 / lanes.length)));
  const [laneTop, laneBottom] = panel("requests", lanes.length * high);
  const marks = placed.map(({ row, lane }) => {
    const top = laneTop + lane * high;
    const tall = Math.max(1.5, high - 2);
    const words = `${groups[row.group].name}, request ${row.id}${row.warmup ? " (warm-up)" : ""}\nsent ${digits(row.start - from)} s in, took ${say(row.end, "s")}${has(row.ttft_seconds) ? `\nfirst token ${say(row.ttft_seconds, "s")}` : ""}${has(row.decode_tokens_per_second) ? `, decode ${say(row.decode_tokens_per_second, "tok/s")}` : ""}${row.kind ? `\n${row.kind}: ${row.error.slice(0, 120)}` : ""}`;
    const first = Math.min(row.ttft_seconds ?? row.end, row.end);
    const answer = Math.min(Math.max(row.time_to_first_output_token_seconds ?? first, first), row.end);
    const parts = row.kind ? [[0, row.end, "var(--bad)"]] : has(row.ttft_seconds) ? [[0, first, "var(--prompt)"], [first, answer, "var(--reasoning)"], [answer, row.end, "var(--answer)"]] : [[0, row.end, "var(--c4)"]];
    return parts.filter(([a, b]) => b > a).map(([a, b, fillWith]) => svg("rect", { x: x(row.start + a), y: top, width: Math.max(0.8, x(row.start + b) - x(row.start + a)), height: tall, fill: fillWith, opacity: row.warmup ? 0.35 : 0.95, "data-tip": words }));
  });

  // How many at once, and how fast all together: a request's tokens are taken to come evenly from its first token to its end.
  // Of a sample each request stands for as many as it was chosen from.
  const each = data.weight ?? 1;
  const guessed = data.weight ? ", estimated from the sample" : "";
  const flights = steps(mine.flatMap((row) => [[row.start, each], [row.start + row.end, -each]]));
  series.push({ label: `at once${guessed}`, points: flights, step: true, color: "var(--c2)", unit: "at once" });
  const flows = steps(mine.filter((row) => has(row.output_tokens) && has(row.ttft_seconds) && row.end > row.ttft_seconds).flatMap((row) => {
    const rate = (each * row.output_tokens) / (row.end - row.ttft_seconds);
    return [[row.start + row.ttft_seconds, rate], [row.start + row.end, -rate]];
  }));
  if (flows.length) series.push({ label: `tok/s${guessed}`, points: flows, step: true, color: "var(--c0)", unit: "tok/s" });
  const power = channels(data.power, from, to, 1);
  if (power.length) series.push({ label: "watts", many: power, unit: "W" });
  const memory = channels(data.memory, from, to, 1e9);
  if (memory.length) series.push({ label: "memory, GB", many: memory, unit: "GB" });

  const cursors = [];
  const drawnSeries = series.map((one) => {
    const tall = one.many ? 92 : 46;
    const [top, bottom] = panel(one.label, tall);
    const lists = one.many ?? [{ name: one.unit, points: one.points, color: one.color }];
    const most = Math.max(...lists.flatMap((list) => list.points.map((p) => p[1])));
    const scale = linear(0, most * 1.08 || 1, bottom, top, one.unit === "at once");
    const parts = [axisY(scale, { left, right, label: "", top, n: one.many ? 4 : 2 })];
    // The names of lines stand above them, in their colours.
    if (one.many) {
      let end = right;
      for (const list of [...lists].reverse()) {
        parts.push(svg("text", { x: end, y: top - 6, "text-anchor": "end"}, svg("tspan", { fill: list.color, class: "swatch" }, "━ "), list.name));
        end -= 26 + list.name.length * 6.2;
      }
    }
    for (const list of lists) {
      const points = list.points.filter((p) => p[0] >= from && p[0] <= to);
      if (one.step) {
        let d = `M${x(from)} ${bottom}`;
        for (const [t, v] of points) d += `H${x(t)}V${scale(v)}`;
        parts.push(svg("path", { d: `${d}H${x(to)}V${bottom}Z`, fill: list.color, opacity: 0.3 }), svg("path", { d, fill: "none", stroke: list.color, "stroke-width": 1.2 }));
      } else {
        parts.push(svg("polyline", { points: points.map(([t, v]) => `${x(t).toFixed(1)},${scale(v).toFixed(1)}`).join(" "), fill: "none", stroke: list.color, "stroke-width": 1.5 }));
      }
      cursors.push({ name: list.name, unit: one.unit, points: list.points, step: one.step });
    }
    return parts;
  });
  const bottom = y - 12;
  const seconds = linear(0, to - from, left, right);
  // Bands: what the machine was busy with, faintly through everything beneath.
  const drawnBands = bands.filter(({ kind }) => kind !== "measured").map(({ from: a, to: b, kind }) => svg("rect", { x: x(a), y: stripBottom, width: Math.max(1, x(b) - x(a)), height: bottom - stripBottom, fill: PHASES[kind][0], opacity: 0.12 }));
  const tell = (place) => {
    const t = from + ((place - left) / (right - left)) * (to - from);
    const values = cursors.map(({ name, unit, points, step }) => [name, unit, at(points, t, step)]).filter(([, , v]) => has(v));
    const during = bands.filter((band) => band.from <= t && t <= band.to).map(({ words }) => words.split("\n")[0]);
    return [`${digits(Math.max(0, t - from))} s in`, ...during, ...values.map(([name, unit, v]) => (name === unit ? say(v, unit) : `${name} ${say(v, unit)}`))].join("\n");
  };
  const glass = hovering(image, { left, right, top: laneBottom + 8, bottom }, tell);
  image.append(...axisX(seconds, { top: 8, bottom, left, right, label: "seconds", n: Math.max(4, Math.floor(width / 120)) }).flat(), ...drawnBands, ...strip, ...heads, ...marks.flat(), ...drawnSeries.flat(3), ...glass);
  image.setAttribute("viewBox", `0 0 ${width} ${bottom + 34}`);
  image.setAttribute("height", bottom + 34);
  const inks = new Set(marks.flat().map((mark) => mark.getAttribute("fill")));
  const colors = [["var(--prompt)", "to first token"], ["var(--reasoning)", "reasoning"], ["var(--answer)", "answer"], ["var(--c4)", "whole, not told apart"], ["var(--bad)", "failed"]].filter(([ink]) => inks.has(ink));
  for (const [kind, [fillWith, words]] of Object.entries(PHASES)) if (bands.some((band) => band.kind === kind)) colors.push([kind === "idle" ? IDLE : `color-mix(in srgb, ${fillWith} ${kind === "measured" ? 45 : 80}%, transparent)`, words]);
  const notes = mine.length > LANES ? [el("p", { class: "note" }, `${LANES} of ${mine.length} requests are drawn, evenly chosen.`)] : [];
  return [legend(colors), image, ...notes];
}

const PHASES = { loading: ["var(--c1)", "loading"], warmup: ["var(--c3)", "warm-up"], measured: ["var(--c2)", "measured"], idle: [IDLE, "idle"] };

// What the run was doing when: loading a model, warming it up, measuring it at a level, nothing.
function bandsOf(mine, loads, from, to) {
  const bands = loads.map((load) => ({ kind: "loading", from: load.from, to: load.to, label: "loading", words: `loading ${load.model}${load.failed ? ", failed" : ""}\n${say(load.to - load.from, "s")}` }));
  const said = (group) => (has(group.rate) ? `${group.rate}/s` : has(group.concurrency) ? `${group.concurrency} at once` : "");
  // Requests of one row of the table and one phase, as long as no others come between.
  let last = null;
  for (const row of [...mine].sort((a, b) => a.start - b.start)) {
    const kind = row.warmup ? "warmup" : "measured";
    if (last && last.kind === kind && last.group === row.group) {
      last.to = Math.max(last.to, row.start + row.end);
      last.n += 1;
    } else {
      last = { kind, group: row.group, from: row.start, to: row.start + row.end, n: 1 };
      bands.push(last);
    }
  }
  // Rows that take turns with every request have no bands of their own.
  const turns = bands.filter((band) => band.n !== undefined);
  if (turns.length > 200) {
    for (const kind of ["warmup", "measured"]) {
      const of = turns.filter((band) => band.kind === kind);
      if (of.length) bands.push({ kind, from: Math.min(...of.map((b) => b.from)), to: Math.max(...of.map((b) => b.to)), label: PHASES[kind][1], words: `${PHASES[kind][1]}, rows taking turns` });
    }
    turns.forEach((band) => bands.splice(bands.indexOf(band), 1));
  }
  for (const band of bands) if (band.n !== undefined) {
    const group = groups[band.group];
    band.label = [band.kind === "warmup" ? "warm-up" : "", said(group)].filter(Boolean).join(" ") || "measured";
    band.words = `${PHASES[band.kind][1]}: ${group.model}${said(group) ? `, ${said(group)}` : ""}\n${band.n} request${band.n > 1 ? "s" : ""}, ${say(band.to - band.from, "s")}`;
  }
  // What is left is idle, where it is long enough to see.
  let free = Math.min(...bands.map((band) => band.from), ...loads.map((load) => load.baseline?.[0] ?? load.from));
  for (const { from: a, to: b } of [...bands].sort((p, q) => p.from - q.from)) {
    if (a - free > (to - from) * 0.006) bands.push({ kind: "idle", from: free, to: a, label: "idle", words: `idle\n${say(a - free, "s")}` });
    free = Math.max(free, b);
  }
  return bands.sort((p, q) => p.from - q.from);
}

// Changes at moments become levels from moment to moment.
function steps(changes) {
  const points = [];
  let level = 0;
  for (const [t, by] of changes.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    level = Math.max(0, level + by);
    if (level < 1e-9) level = 0;
    if (points.length && points[points.length - 1][0] === t) points[points.length - 1][1] = level;
    else points.push([t, level]);
  }
  return points;
}

function channels({ ts, channels: list }, from, to, scale) {
  return list
    .map(([name, values], i) => ({ name, color: color(i), points: ts.map((t, k) => [t, values[k] === null ? NaN : values[k] / scale]).filter(([t, v]) => has(v) && t >= from && t <= to) }))
    .filter(({ points }) => points.length > 1 && points.some(([, v]) => v !== 0));
}

function at(points, t, step) {
  let [low, high] = [0, points.length - 1];
  if (high < 0 || t < points[0][0]) return step ? 0 : undefined;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (points[middle][0] <= t) low = middle;
    else high = middle - 1;
  }
  if (!step && t > points[points.length - 1][0]) return undefined;
  const next = points[low + 1];
  return !step && next && next[0] - t < t - points[low][0] ? next[1] : points[low][1];
}
