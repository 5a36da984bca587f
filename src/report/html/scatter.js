// Speed against what it takes and what it costs; the front is what nothing beats in both.

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
    // The ground of a dot hides the line of the front beneath it.
    image.append(svg("circle", { cx: x(p.x), cy: y(p.y), r, fill: "var(--card)" }), svg("circle", { cx: x(p.x), cy: y(p.y), r, fill: color(p.at), "fill-opacity": 0.55, stroke: p.front ? "var(--ink)" : color(p.at), "stroke-width": p.front ? 2 : 1, "data-tip": p.tip }));
    taken.push([x(p.x) - r, y(p.y) - r, x(p.x) + r, y(p.y) + r]);
  }
  // Names stand beside dots and other names, and beside the line of the front where there is room; where there is none they stand on
  // it, and their halo keeps them readable.
  const front = points.filter((p) => p.front).sort((a, b) => a.x - b.x).map((p) => [x(p.x), y(p.y)]);
  const onFront = (l, t, rr, bb) => front.slice(1).some(([x2, y2], i) => crosses(front[i], [x2, y2], l, t, rr, bb));
  for (const p of points) {
    const r = size && most > 0 ? 4 + 13 * Math.sqrt((p.size ?? 0) / most) : 6;
    const words = fit(bare(p.name), 150);
    const w = words.length * 5.9;
    const places = [[x(p.x) + r + 4, y(p.y) + 4], [x(p.x) - r - 4 - w, y(p.y) + 4], [x(p.x) - w / 2, y(p.y) - r - 5], [x(p.x) - w / 2, y(p.y) + r + 13]];
    const open = places.filter(([a, b]) => a >= left - 20 && a + w <= width && b - 10 >= 0 && !taken.some(([l, t, rr, bb]) => a < rr && a + w > l && b - 10 < bb && b + 2 > t));
    const free = open.find(([a, b]) => !onFront(a, b - 10, a + w, b + 2)) ?? open[0];
    if (!free) continue;
    taken.push([free[0], free[1] - 10, free[0] + w, free[1] + 2]);
    image.append(text(free[0], free[1], words, { class: "label over" }));
  }
  return image;
}

// Whether the way from one point to another leads through a box: Liang and Barsky's clipping.
function crosses([x1, y1], [x2, y2], left, top, right, bottom) {
  let [from, to] = [0, 1];
  for (const [step, room] of [[x1 - x2, x1 - left], [x2 - x1, right - x1], [y1 - y2, y1 - top], [y2 - y1, bottom - y1]]) {
    if (step === 0 && room < 0) return false;
    if (step < 0) from = Math.max(from, room / step);
    else if (step > 0) to = Math.min(to, room / step);
  }
  return from <= to;
}

// What nothing beats in both: nobody needs less and is faster.
function frontOf(points) {
  const front = [];
  for (const p of [...points].sort((a, b) => a.x - b.x || b.y - a.y)) if (!front.length || p.y > front[front.length - 1].y) front.push(p);
  for (const p of front) {
    p.front = true;
    p.tip += "\non the front: nothing is better in both";
  }
  return (x, y) => [svg("polyline", { points: front.map((p) => `${x(p.x)},${y(p.y)}`).join(" "), class: "front" })];
}

function scatter() {
  const axes = ["j_tok", "j_tok_net", "gpu_w", "total_w", "mem_peak"].map((key) => [key, `${columns.get(key).label}, ${columns.get(key).unit}`]);
  const speed = (group) => group.cells.decode_tok_s ?? group.cells.tok_s;
  const options = axes.filter(([key]) => groups.filter((g) => has(g.cells[key]) && has(speed(g))).length > 1);
  if (!options.length) return null;
  return {
    title: "Speed vs energy and memory", note: "upper left is better; size: peak memory; line and thick rims: the Pareto front", options,
    draw(width, key) {
      const column = columns.get(key);
      const points = shownGroups().filter(({ group }) => has(group.cells[key]) && has(speed(group))).map(({ group, at }) => ({
        at, name: group.name, x: group.cells[key] / column.scale, y: speed(group), size: group.cells.mem_peak,
        tip: `${group.name}\n${say(speed(group), "tok/s")}\n${column.label} ${cellOf(group, key)}\n${columns.get("mem_peak").label} ${cellOf(group, "mem_peak")}`,
      }));
      if (!points.length) return nothing(width);
      return dots(width, points, { xLabel: axes.find(([k]) => k === key)[1], yLabel: columns.get("decode_tok_s").label, size: key !== "mem_peak", after: frontOf(points) });
    },
  };
}

function pareto() {
  const options = ["usd_1m", "usd_request", "usd_1m_out_list"].map((key) => [key, `${columns.get(key).label}, $`])
    .filter(([key]) => groups.filter((g) => has(g.cells[key]) && has(g.cells.tok_s)).length > 1);
  if (!options.length) return null;
  return {
    title: "Speed vs cost", note: "upper left is better; line and thick rims: the Pareto front, nobody is both faster and cheaper", options,
    draw(width, key) {
      const column = columns.get(key);
      const points = shownGroups().filter(({ group }) => group.cells[key] > 0 && has(group.cells.tok_s)).map(({ group, at }) => ({
        at, name: group.name, x: group.cells[key], y: group.cells.tok_s,
        tip: `${group.name}\n${cellOf(group, "tok_s")}\n${column.label} ${cellOf(group, key)}`,
      }));
      if (!points.length) return nothing(width);
      return dots(width, points, { xLabel: options.find(([k]) => k === key)[1], yLabel: columns.get("tok_s").label, xLog: true, after: frontOf(points) });
    },
  };
}
