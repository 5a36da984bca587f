// The distribution of times, told from its slow end: how many requests took longer, on a logarithm, where a tail can be seen.

// Times that are recorded of each request, the whole one first.
const TAILS = vocabulary.metrics.filter(({ listed, unit }) => listed && (unit === "s" || unit === "ms")).sort((a, b) => (b.key === "e2e") - (a.key === "e2e"));

// The times of a row, in order, with how many took each: of all its requests where the page has their classes, else one by one.
function timesOf({ group, at }, key) {
  const classes = group.shapes?.[key];
  const values = classes ? classes.map(([v]) => v) : sorted(ofGroup(at).map((row) => row[key] / metrics.get(key).scale));
  const until = [];
  let n = 0;
  values.forEach((_, i) => { n += classes ? classes[i][1] : 1; until.push(n); });
  const first = (rank) => { let [a, b] = [0, values.length - 1]; while (a < b) { const m = (a + b) >> 1; if (until[m] > rank) b = m; else a = m + 1; } return a; };
  return {
    values, n, until,
    quantile: (q) => (classes ? values[first(q * (n - 1))] : quantile(values, q)),
    longer: (v) => { const i = values.findLastIndex((one) => one <= v); return i < 0 ? n : n - until[i]; },
  };
}

function tails() {
  const options = TAILS.map(({ name, label }) => [name, label]).filter(([key]) => groups.some((_, at) => ofGroup(at).filter((row) => has(row[key])).length >= 5));
  if (!options.length) return null;
  return {
    title: "Latency tail", note: "ECDF from its slow end: share of requests that took longer (log)", options,
    draw(width, key) {
      const { unit, scale } = metrics.get(key);
      const all = shownGroups().map((one) => ({ ...one, ...timesOf(one, key) })).filter((one) => one.n >= 5);
      if (!all.length) return nothing(width);
      const list = all.slice(0, 8);
      const height = 260, left = 50, right = width - 14, top = 20, bottom = height - 36;
      const flat = list.flatMap((one) => [one.values[0], one.values[one.values.length - 1]]);
      const [low, high] = [Math.min(...flat), Math.max(...flat)];
      const x = low > 0 && high / low > 12 ? logarithmic(low / 1.1, high * 1.1, left, right) : linear(Math.max(0, low - (high - low || high) * 0.08), high + (high - low || high) * 0.05, left, right);
      x.back = (at) => { let [a, b] = [low / 1.1, high * 1.1]; for (let i = 0; i < 40; i += 1) { const m = (a + b) / 2; if (x(m) < at) a = m; else b = m; } return a; };
      const y = logarithmic((100 / Math.max(...list.map((one) => one.n))) * 0.8, 110, bottom, top);
      const image = canvas(width, height, axisX(x, { top, bottom, left, right, label: unit }), axisY(y, { left, right, label: "% slower", top }));
      const marks = [];
      list.forEach(({ group, values, n, until, quantile: at }, k) => {
        const m = values.length;
        // The tail is drawn whole; of the many that are faster, some.
        const kept = m <= MANY ? values.map((_, i) => i) : [...new Set([...thin([...values.keys()], MANY), ...Array.from({ length: 60 }, (_, i) => m - 1 - i)])].sort((p, q) => p - q);
        let d = `M${x(values[0])} ${y(100)}`;
        for (const i of kept) d += `H${x(values[i]).toFixed(1)}${i < m - 1 ? `V${y((100 * (n - until[i])) / n).toFixed(1)}` : `V${bottom}`}`;
        image.append(svg("path", { d, fill: "none", stroke: color(k), "stroke-width": 2, "stroke-dasharray": dash(k) }));
        for (const { label, fraction: q } of vocabulary.percentiles) {
          if (n * (1 - q) < 1) continue;
          const v = at(q);
          const weak = n * (1 - q) < 5 - 1e-9 ? " (too few to know it)" : "";
          marks.push(svg("circle", { cx: x(v), cy: y(100 * (1 - q)), r: 3, fill: "var(--card)", stroke: color(k), "stroke-width": 1.6, "data-tip": `${group.name}\n${label}: ${lasting(v * scale)}${weak}\nn ${n}, slowest ${lasting(values[m - 1] * scale)}` }));
        }
      });
      const tell = (at) => {
        const v = x.back(at);
        return [`longer than ${lasting(v * scale)}`, ...list.map(({ group, n, longer }) => `${fit(group.name, 200)}: ${digits((100 * longer(v)) / n)} %`)].join("\n");
      };
      image.append(...hovering(image, { left, right, top, bottom }, tell), ...marks);
      return [lineLegend(list.map(({ group }) => group.name)), image, ...more(all.length - list.length)];
    },
  };
}
