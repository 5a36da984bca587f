// How right the machine measures: the error against the load, both logarithmic, and the limit that is held to.

function initCalibration() {
  const section = $("#accuracy");
  const levels = data.accuracy?.levels ?? [];
  if (!section || levels.length < 2) return;
  const series = [["time to first token, p99", (l) => l.ttft?.p99, "var(--c0)"], ["time to first token, median", (l) => l.ttft?.p50, "var(--c4)"], ["longest gaps, p99", (l) => l.gap?.p99, "var(--c5)"]]
    .map(([words, of, stroke]) => ({ words, stroke, points: levels.filter((l) => of(l) > 0).map((l) => [l.n, of(l) * 1e3]) }))
    .filter(({ points }) => points.length > 1);
  if (!series.length) return;
  const limit = data.accuracy.limit * 1e3;
  figure($(".grid", section), {
    title: "Error against load", note: `sizes of the errors in milliseconds; the dashed line is the limit of ${tickText(limit)} ms`,
    draw(width) {
      const left = 58, right = width - 16, top = 22, bottom = 230;
      const flat = series.flatMap(({ points }) => points.map(([, v]) => v)).concat(limit);
      const x = logarithmic(Math.max(0.8, levels[0].n * 0.8), levels[levels.length - 1].n * 1.25, left, right);
      const y = logarithmic(Math.min(...flat) / 1.5, Math.max(...flat) * 1.5, bottom, top);
      const image = canvas(width, bottom + 36, axisX(x, { top, bottom, left, right, label: "streams at once" }), axisY(y, { left, right, label: "ms", top }),
        line(left, y(limit), right, y(limit), { class: "axis", "stroke-dasharray": "5 4" }));
      for (const { words, stroke, points } of series) {
        image.append(svg("polyline", { points: points.map(([n, v]) => `${x(n)},${y(v)}`).join(" "), fill: "none", stroke, "stroke-width": 2 }));
        for (const [n, v] of points) image.append(svg("circle", { cx: x(n), cy: y(v), r: 4, fill: stroke, "data-tip": `${n} streams at once\n${words}: ${digits(v)} ms` }));
      }
      return [legend(series.map(({ stroke, words }) => [stroke, words])), image];
    },
  });
}
