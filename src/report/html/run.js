// The run on one time axis: loads and requests, how many at once, tokens, watts and memory, all under one cursor.

const LANES = 3000;

function initRun() {
  const section = $("#run");
  if (!section) return;
  const timed = rows.filter((row) => has(row.start) && has(row.end));
  if (!timed.length) return;
  const runs = [...new Set(timed.map((row) => row.run))];
  section.hidden = false;
  const span = (list) => [Math.min(...list.map((row) => row.start)), Math.max(...list.map((row) => row.start + row.end))];
  figure($(".whole", section), {
    title: runs.length > 1 ? "" : "Requests, power and memory", note: "move over it for the values of a moment", wide: true,
    options: runs.map((run) => [run, run || "run"]),
    draw(width, run) {
      const mine = timed.filter((row) => row.run === run);
      let [from, to] = span(mine);
      const near = data.loads.filter((load) => load.to >= from - 600 && load.from <= to);
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
    const answer = Math.min(Math.max(row.time_to_first_answer_token_seconds ?? first, first), row.end);
    const parts = row.kind ? [[0, row.end, "var(--bad)"]] : has(row.ttft_seconds) ? [[0, first, "var(--prompt)"], [first, answer, "var(--reasoning)"], [answer, row.end, "var(--answer)"]] : [[0, row.end, "var(--answer)"]];
    return parts.filter(([a, b]) => b > a).map(([a, b, fillWith]) => svg("rect", { x: x(row.start + a), y: top, width: Math.max(0.8, x(row.start + b) - x(row.start + a)), height: tall, fill: fillWith, opacity: row.warmup ? 0.35 : 0.95, "data-tip": words }));
  });

  // How many at once, and how fast all together: a request's tokens are taken to come evenly from its first to its last.
  const flights = steps(mine.flatMap((row) => [[row.start, 1], [row.start + row.end, -1]]));
  series.push({ label: "at once", points: flights, step: true, color: "var(--c2)", unit: "at once" });
  const flows = steps(mine.filter((row) => has(row.output_tokens) && has(row.ttft_seconds) && row.end > row.ttft_seconds).flatMap((row) => {
    const rate = row.output_tokens / (row.end - row.ttft_seconds);
    return [[row.start + row.ttft_seconds, rate], [row.start + row.end, -rate]];
  }));
  if (flows.length) series.push({ label: "tok/s", points: flows, step: true, color: "var(--c0)", unit: "tok/s" });
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
  // Bands: what the machine was busy with.
  const bands = [];
  for (const load of loads) {
    if (load.baseline) bands.push([load.baseline[0], load.baseline[1], "var(--c7)", `idle before ${load.model}`]);
    bands.push([load.from, load.to, "var(--c1)", `load of ${load.model}${load.failed ? ", failed" : ""}: ${say(load.to - load.from, "s")}`]);
  }
  const warm = mine.filter((row) => row.warmup);
  if (warm.length) bands.push([Math.min(...warm.map((r) => r.start)), Math.max(...warm.map((r) => r.start + r.end)), "var(--c4)", "warm-up"]);
  const drawnBands = bands.map(([a, b, fillWith, words]) => svg("rect", { x: x(a), y: 8, width: Math.max(1, x(b) - x(a)), height: bottom - 8, fill: fillWith, opacity: 0.13, "data-tip": words }));
  const cursor = svg("line", { y1: 8, y2: bottom, stroke: "var(--ink)", "stroke-width": 1, opacity: 0 });
  const glass = svg("rect", { x: left, y: laneBottom + 8, width: right - left, height: Math.max(0, bottom - laneBottom - 8), fill: "transparent" });
  glass.addEventListener("pointermove", (event) => {
    const box = glass.getBoundingClientRect();
    const t = from + ((event.clientX - box.left) / box.width) * (to - from);
    cursor.setAttribute("x1", x(t));
    cursor.setAttribute("x2", x(t));
    cursor.setAttribute("opacity", 0.5);
    const values = cursors.map(({ name, unit, points, step }) => [name, unit, at(points, t, step)]).filter(([, , v]) => has(v));
    const during = bands.filter(([a, b]) => a <= t && t <= b).map(([, , , words]) => words);
    showTip([`${digits(Math.max(0, t - from))} s in`, ...during, ...values.map(([name, unit, v]) => (name === unit ? say(v, unit) : `${name} ${say(v, unit)}`))].join("\n"), event.clientX, event.clientY);
    event.stopPropagation();
  });
  glass.addEventListener("pointerleave", () => { cursor.setAttribute("opacity", 0); tip.hidden = true; });
  image.append(...axisX(seconds, { top: 8, bottom, left, right, label: "seconds", n: Math.max(4, Math.floor(width / 120)) }).flat(), ...drawnBands, ...heads, ...marks.flat(), ...drawnSeries.flat(3), cursor, glass);
  image.setAttribute("viewBox", `0 0 ${width} ${bottom + 34}`);
  image.setAttribute("height", bottom + 34);
  const colors = [["var(--prompt)", "to first token"], ["var(--reasoning)", "reasoning"], ["var(--answer)", "answer"]];
  if (mine.some((row) => row.kind)) colors.push(["var(--bad)", "failed"]);
  if (loads.length) colors.push(["color-mix(in srgb, var(--c1) 30%, transparent)", "load"], ["color-mix(in srgb, var(--c7) 30%, transparent)", "idle"]);
  if (warm.length) colors.push(["color-mix(in srgb, var(--c4) 30%, transparent)", "warm-up"]);
  const notes = mine.length > LANES ? [el("p", { class: "note" }, `${LANES} of ${mine.length} requests are drawn, evenly chosen.`)] : [];
  return [legend(colors), image, ...notes];
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
