// Throughput and latency against concurrency or rate, where a model was run at several levels. The knee is where throughput
// divided by the median time to first token is largest (Kleinrock's power).
function levelCurve() {
  const level = (group) => group.rate ?? group.concurrency;
  const series = () => {
    const by = new Map();
    for (const { group, at } of shownGroups()) {
      if (!has(level(group)) || !has(group.cells.throughput)) continue;
      const key = JSON.stringify([group.model, group.cells.source, group.cells.provider, group.cells.settings, has(group.rate)]);
      by.set(key, [...(by.get(key) ?? []), { group, at, x: level(group) }]);
    }
    return [...by.values()].filter((list) => new Set(list.map(({ x }) => x)).size > 1).map((list) => list.sort((a, b) => a.x - b.x));
  };
  if (!series().length) return null;
  // A line is named by its model, and by what else is not the same for all lines of that model: also whether requests were sent at
  // a rate or as soon as others had ended.
  const kindOf = (group) => (has(group.rate) ? "per second" : "at once");
  const TELLS = [(group) => group.cells.source, (group) => group.cells.provider, (group) => group.cells.settings, kindOf];
  const nameOf = ([{ group }], list) => [group.model, ...TELLS.filter((of) => list.some(([{ group: other }]) => other.model === group.model && of(other) !== of(group))).map((of) => of(group))].filter(Boolean).join(" · ");
  return {
    title: "Throughput vs latency", note: "against concurrent requests or requests per second; ◆ knee: most throughput for its latency (throughput ÷ median TTFT)", options: ["ttft_p50", "ttft_p95", "e2e_p50", "icl_p99"].filter((key) => groups.some((g) => has(g.cells[key]))).map((key) => [key, columns.get(key).label]),
    draw(width, key) {
      const list = series();
      if (!list.length) return nothing(width);
      const flat = list.flat();
      const under = ["at once", "per second"].filter((kind) => flat.some(({ group }) => kindOf(group) === kind)).join(", or ");
      const left = 50, right = width - 14, panel = 118;
      const xs = flat.map((p) => p.x);
      const x = Math.max(...xs) / Math.min(...xs) > 6 ? logarithmic(Math.min(...xs) * 0.9, Math.max(...xs) * 1.1, left, right) : linear(0, Math.max(...xs) * 1.05, left, right);
      const levels = [...new Set(xs)].sort((a, b) => a - b);
      if (levels.length <= 9) x.ticks = () => levels;
      const image = canvas(width, 2 * panel + 106);
      const knees = [];
      [["throughput", columns.get("throughput").label, 22], [key, `${columns.get(key).label}, ${columns.get(key).unit}`, panel + 70]].forEach(([name, label, top], at) => {
        const of = ({ group }) => (has(group.cells[name]) ? group.cells[name] / columns.get(name).scale : undefined);
        const bottom = top + panel;
        const y = linear(0, Math.max(...flat.map((p) => of(p) ?? 0)) * 1.1 || 1, bottom, top);
        image.append(...axisX(x, { top, bottom, left, right, label: at ? `requests ${under}` : "" }).flat(), ...axisY(y, { left, right, label, top, n: 4 }).flat());
        list.forEach((points, k) => {
          const known = points.filter((p) => has(of(p)));
          const power = (p) => p.group.cells.throughput / (p.group.cells.ttft_p50 ?? p.group.cells.e2e_p50 ?? Infinity);
          const knee = points.reduce((best, p) => (power(p) > power(best) ? p : best));
          image.append(svg("polyline", { points: known.map((p) => `${x(p.x)},${y(of(p))}`).join(" "), fill: "none", stroke: color(k), "stroke-width": 2, "stroke-dasharray": dash(k) }));
          // The word stands where no other one stands; the sign says the same.
          const [kx, ky] = [x(knee.x), y(of(knee))];
          if (known.includes(knee) && !at && !knees.some(([a, b]) => Math.abs(a - kx) < 30 && Math.abs(b - ky) < 13)) {
            knees.push([kx, ky]);
            image.append(text(Math.min(kx, right - 8), ky - 11, "knee", { "text-anchor": "middle", class: "label over" }));
          }
          for (const p of known) {
            const [cx, cy] = [x(p.x), y(of(p))];
            const tipWords = `${p.group.name}\nthroughput ${cellOf(p.group, "throughput")}\nTTFT ${cellOf(p.group, "ttft_p50")}, p95 ${cellOf(p.group, "ttft_p95")}${p === knee ? "\nknee" : ""}`;
            image.append(p === knee ? svg("path", { d: `M${cx} ${cy - 7}l7 7-7 7-7-7z`, fill: color(k), "data-tip": tipWords }) : svg("circle", { cx, cy, r: 4, fill: color(k), "data-tip": tipWords }));
          }
        });
      });
      return [list.length > 1 ? lineLegend(list.map((points) => nameOf(points, list))) : "", image].filter(Boolean);
    },
  };
}
