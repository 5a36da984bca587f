// Ranks between which the true median lies with 95 % certainty, whatever the distribution: the binomial of order statistics.
function medianRanks(n) {
  let p = 0.5 ** n;
  if (n < 6 || p === 0) return n >= 6 ? [Math.floor(n / 2 - 0.98 * Math.sqrt(n)), Math.min(n - 1, Math.ceil(n / 2 + 0.98 * Math.sqrt(n)))] : null;
  let below = 0, k = 0;
  while (k < n / 2 && below + p <= 0.025) { below += p; p *= (n - k) / (k + 1); k += 1; }
  return [Math.max(0, k - 1), Math.min(n - 1, n - k)];
}

// Iglewicz and Hoaglin's modified z-score: farther than 3.5 from the median, in units of the median distance, or of the mean
// distance where half of all numbers are the same; no nearer than a tenth of the median, and no more than a tenth of all. They are
// marked, never dropped.
function outlying(values) {
  if (values.length < 8) return () => false;
  const middle = quantile(values, 0.5);
  const distances = values.map((v) => Math.abs(v - middle)).sort((a, b) => a - b);
  const half = quantile(distances, 0.5);
  const scale = half > 0 ? half / 0.6745 : (distances.reduce((sum, v) => sum + v, 0) / distances.length) * 1.2533;
  const out = (v) => Math.abs(v - middle) > 0.1 * Math.abs(middle) && Math.abs(v - middle) / scale > 3.5;
  return scale > 0 && values.filter(out).length <= Math.ceil(0.1 * values.length) ? out : () => false;
}

// Every number of requests that the page lists of each.
const STRIPS = vocabulary.metrics.filter(({ listed }) => listed);

// Every request a dot; the median and what is known of it.
function strips() {
  const options = STRIPS.filter(({ name }) => counted.filter((row) => has(row[name])).length > 1);
  if (!options.length) return null;
  return {
    title: "Spread", note: `a dot per request${data.results > rows.length ? " of the sample that the page holds" : ""}, a ring if outlying; line: median; bar: its 95 % interval, from 6 requests on`,
    options: options.map(({ name, label }) => [name, label]),
    draw(width, key) {
      const { label: words, unit, scale } = metrics.get(key);
      const all = shownGroups().map((one) => ({ ...one, values: sorted(ofGroup(one.at).map((row) => row[key] / scale)) })).filter((one) => one.values.length);
      if (!all.length) return nothing(width);
      const list = all.slice(0, MOST);
      const flat = list.flatMap((one) => one.values);
      const low = Math.min(...flat.map((v) => v)), high = Math.max(...flat);
      const { left, lead, tall, name } = rowNames(width, 24);
      const right = width - 14, top = 4, bottom = top + list.length * tall;
      const log = low > 0 && high / low > 30;
      const pad = (high - low || high || 1) * 0.04;
      const x = log ? logarithmic(low / 1.1, high * 1.1, left, right) : linear(low >= 0 && low < high * 0.5 ? 0 : low - pad, high + pad, left, right);
      const image = canvas(width, bottom + 34, axisX(x, { top, bottom, left, right, label: `${words}, ${unit}${log ? " (log)" : ""}`, n: 5 }));
      list.forEach(({ group, at, values }, i) => {
        const y = top + i * tall + lead + 12;
        const middle = quantile(values, 0.5);
        const ranks = medianRanks(values.length);
        const out = outlying(values);
        const outs = values.filter(out).length;
        const told = `${group.name}\nmedian ${say(middle, unit)}${ranks ? ` (${digits(values[ranks[0]])} to ${digits(values[ranks[1]])})` : ""}, n ${values.length}\n${say(values[0], unit)} to ${say(values[values.length - 1], unit)}${outs ? `\n${outs} outlying` : ""}`;
        image.append(name(group.name, y - lead - 12, y + 4));
        if (ranks) image.append(svg("rect", { x: x(values[ranks[0]]), y: y - 9, width: Math.max(2, x(values[ranks[1]]) - x(values[ranks[0]])), height: 18, fill: color(at), opacity: 0.22, rx: 3 }));
        thin(values, MANY).forEach((v, k) => image.append(svg("circle", { cx: x(v), cy: y + (((k * 7) % 11) - 5) * (values.length > 3 ? 0.9 : 0), r: values.length > 100 ? 1.8 : 3, fill: out(v) ? "none" : color(at), stroke: out(v) ? color(at) : "none", opacity: out(v) ? 1 : 0.65 })));
        if (values.length > 1) image.append(svg("rect", { x: x(middle) - 1, y: y - 9, width: 2, height: 18, fill: "var(--ink)" }));
        image.append(svg("rect", { x: left, y: y - lead - 12, width: right - left, height: tall, fill: "transparent", "data-tip": told }));
      });
      return [image, ...more(all.length - list.length)];
    },
  };
}
