// Goodput: limits on sliders, and the share of all requests that keep them, counted anew with every move.

// A limit on a metric of requests: those that always have a slider, and with _sent those that count from the sending.
const LIMITS = vocabulary.metrics.flatMap((metric) => {
  const limit = { key: metric.key, words: metric.label, metric };
  return metric.from_due ? [limit, { ...limit, key: `${metric.key}_sent`, words: `${metric.label} from sending`, sent: true }] : [limit];
});

// A limit counts from the schedule, where one says when a request was due; undefined where it was not measured.
const taken = (row, { metric, sent }) => (has(row[metric.name]) && metric.from_due && !sent ? row[metric.name] + (row.waited_seconds ?? 0) : row[metric.name]);
// What is better when it is more has a fixed limit: a slider begins at the slowest request, which is the worst of what is better when less.
const isFixed = ({ metric }) => [...columns.values()].find((column) => column.metric === metric.key).better > 0;
const limitText = ({ metric }, value) => (metric.unit === "s" || metric.unit === "ms" ? lasting(value) : say(value, metric.unit, metric.scale));

function goodput() {
  const measured = rows.filter((row) => !row.warmup);
  // A limit that was asked for is always there: who was not measured has not kept it. Times from the sending differ from the
  // others only in an open loop, and are there only when they were asked for.
  const limits = LIMITS.map((limit) => ({ ...limit, asked: has(data.slo?.[limit.key]), values: sorted(counted.map((row) => taken(row, limit))) }))
    .filter(({ metric, sent, asked, values }) => asked || (metric.slider && !sent && values.length > 1 && values[0] > 0));
  if (!limits.length || measured.length < 2) return null;
  const said = Object.fromEntries((state.slo ?? "").split(",").filter(Boolean).map((part) => part.split("=")));
  const asked = limits.filter((limit) => limit.asked).map((limit) => `${limit.key} ${limitText(limit, data.slo[limit.key])}`);
  const controls = el("div", { class: "limits" });
  const origin = asked.length ? `The limits begin as they were asked for (--slo): ${asked.join(", ")}; the others at the slowest request, which keeps them.`
    : "No limits were asked for (--slo). Each begins at the slowest request, so that only failures are lost; move them to ask.";
  for (const limit of limits) {
    if (isFixed(limit)) {
      [limit.value, limit.named] = [data.slo[limit.key], true];
      controls.append(el("label", {}, el("span", {}, limit.words), el("output", {}, limitText(limit, limit.value))));
      continue;
    }
    // A limit that nobody named is the slowest request's own time: everything that did not fail keeps it.
    const slowest = limit.values[limit.values.length - 1] ?? 0;
    const told = Number(said[limit.key]) || 0;
    const given = told > 0 ? told : limit.asked ? data.slo[limit.key] : slowest;
    const high = Math.max(slowest, given) || 1;
    const least = Math.min(...[limit.values.find((v) => v > 0) * 0.7, given].filter((v) => v > 0));
    const low = least < high ? least : high / 10;
    limit.value = given;
    // At its end a slider that nobody asked for is no limit.
    const named = () => { limit.named = limit.asked || limit.value < slowest; };
    named();
    const span = Math.log(high / low) || 1;
    const place = (v) => (v > low ? Math.round((1000 * Math.log(v / low)) / span) : 0);
    const words = () => (limit.named ? limitText(limit, limit.value) : `${limitText(limit, limit.value)} (all)`);
    const output = el("output", {}, words());
    const slider = el("input", { type: "range", min: 0, max: 1000, value: place(given), "data-limit": limit.key, "aria-label": `Limit of ${limit.words}`, "aria-valuetext": words() });
    slider.addEventListener("input", () => {
      limit.value = Number(slider.value) === 1000 ? high : low * Math.exp((span * slider.value) / 1000);
      named();
      output.textContent = words();
      slider.setAttribute("aria-valuetext", output.textContent);
      keep({ slo: limits.filter(({ named }) => named).map(({ key, value }) => `${key}=${Number(value.toPrecision(6))}`).join(",") });
      chart.made?.redraw();
    });
    controls.append(el("label", {}, el("span", {}, limit.words), slider, output));
  }
  controls.append(el("p", { class: "note", "data-slo-origin": asked.length ? "asked" : "data" }, origin));
  // What was not measured is not known to be kept; but an answer of one chunk has no gap that could be too long, and no time per
  // token after it unless one was measured. Numbers are held to six digits, so that a limit is met within as many.
  const oneChunk = (row, { metric }) => metric.between_chunks && !has(row[metric.name]) && has(row.ttft_seconds) && !has(row.inter_chunk_latency_seconds);
  const within = (value, limit) => (isFixed(limit) ? value >= limit.value * (1 - 1e-5) : value <= limit.value * (1 + 1e-5));
  const keeps = (row, limit) => oneChunk(row, limit) || within(taken(row, limit), limit);
  // A limit that nobody named is kept by all.
  const asAsked = () => asked.length > 0 && limits.every((limit) => (limit.asked ? limit.value === data.slo[limit.key] : !limit.named));
  const moved = (row) => !row.kind && limits.every((limit) => !limit.named || keeps(row, limit));
  const chart = {
    title: "Goodput", note: `share of all requests, failed ones included, within every limit${data.results > rows.length ? ", of the sample that the page holds" : ""}`, controls,
    draw(width) {
      // At the limits that were asked for the verdict is the table's.
      const good = asAsked() ? (row) => row.good === 1 : moved;
      const tally = groups.map(() => [0, 0]);
      for (const row of measured) { tally[row.group][0] += 1; tally[row.group][1] += good(row); }
      const all = shownGroups().map((one) => ({ ...one, tried: tally[one.at][0], kept: tally[one.at][1] })).filter((one) => one.tried);
      if (!all.length) return nothing(width);
      const list = all.sort((a, b) => b.kept / b.tried - a.kept / a.tried).slice(0, MOST);
      const { left, lead, tall, name } = rowNames(width, 21);
      const right = width - 50, top = 4, bottom = top + list.length * tall;
      const x = linear(0, 100, left, right);
      const image = canvas(width, bottom + 34, axisX(x, { top, bottom, left, right, label: "% good", n: 5 }));
      list.forEach(({ group, tried, kept }, i) => {
        const y = top + i * tall + lead + 3;
        const share = (100 * kept) / tried;
        image.append(name(group.name, y - lead - 3, y + 12),
          svg("rect", { x: left, y, width: right - left, height: 15, fill: "var(--line2)" }),
          svg("rect", { x: left, y, width: Math.max(0, x(share) - left), height: 15, fill: "var(--c2)", "data-tip": `${group.name}\n${kept} of ${tried} good` }),
          text(right + 6, y + 12, `${share.toFixed(0)} %`));
      });
      return [image, ...more(all.length - list.length)];
    },
  };
  return chart;
}
