// What a request takes: load of the model, prefill and decode, and how much of it idling would have taken anyway.

function energySplit() {
  const known = () => shownGroups().filter(({ group }) => group.energy && group.energy.n);
  if (!known().length) return null;
  return {
    title: "Energy of a request", note: "means over the same requests; whisker: certain bounds of a request; loading the model stands before it",
    draw(width) {
      const all = known().map((one) => ({ ...one, ...shares(one.group) })).sort((a, b) => a.whole - b.whole);
      if (!all.length) return nothing(width);
      const list = all.slice(0, MOST);
      const { left, lead, tall, name } = rowNames(width, 28);
      const right = width - 20, top = 4, bottom = top + list.length * tall;
      const most = Math.max(...list.map(({ group, whole, between }) => Math.max(between?.[1] ?? 0, whole) + (loading(group) ?? 0)));
      const x = linear(0, most || 1, left, right);
      const image = canvas(width, bottom + 34, axisX(x, { top, bottom, left, right, label: "joules", n: 5 }));
      const used = new Set();
      const bounded = (between) => (between ? `, certainly between ${digits(between[0])} and ${say(between[1], "J")}` : "");
      list.forEach(({ group, parts, of, whole, between, idle }, i) => {
        const y = top + i * tall + lead + 4;
        const tried = group.ok + group.failed;
        const words = [group.name, `request ${say(whole, "J")}${bounded(between)}, ${of === tried ? `mean of ${of === 1 ? "one" : `all ${of}`}` : `mean of the ${of} of ${tried} requests that tell ${parts.some(([name]) => name === "prefill") ? "all parts" : "it"}`}`,
          ...parts.filter(([name]) => name !== "request").map(([name, , j, mine, of]) => `${name === "rest" ? "before and after" : name} ${say(j, "J")}${bounded(mine)}${of}`),
          has(idle) ? `idling would have taken ${say(idle, "J")} of the request` : null].filter(Boolean).join("\n");
        image.append(name(group.name, y - lead - 4, y + 12));
        let from = 0, start = 0;
        for (const [part, fillWith, j] of parts) {
          used.add(part);
          if (part === "loading") start = j;
          if (j > 0) image.append(svg("rect", { x: x(from), y, width: Math.max(1, x(from + j) - x(from)), height: 14, fill: fillWith, "data-tip": words }));
          from += Math.max(0, j);
        }
        if (idle > 0) image.append(svg("rect", { x: x(start), y: y + 16, width: Math.max(1, x(start + idle) - x(start)), height: 5, fill: IDLE, "data-tip": words }));
        if (has(idle)) used.add("idling");
        if (between) image.append(svg("path", { d: `M${x(start + between[0])} ${y + 7}H${x(start + between[1])}m0-4v8M${x(start + between[0])} ${y + 3}v8`, stroke: "var(--ink)", fill: "none" }));
      });
      const colors = [["loading", "var(--c1)"], ["prefill", "var(--prompt)"], ["decode", "var(--answer)"], ["rest", "var(--reasoning)"], ["request", "var(--answer)"], ["idling", IDLE]];
      const said = { loading: "loading the model", prefill: "prefill", decode: "decode", rest: "before and after", request: "the request", idling: "idling, of the request" };
      return [legend(colors.filter(([name]) => used.has(name)).map(([name, fillWith]) => [fillWith, said[name]])), image, ...more(all.length - list.length)];
    },
  };
}

const loading = (group) => group.energy.load?.mean ?? group.stats.load_energy_joules?.p50;

// The parts of a mean request in joules, each with its bounds and what it is the mean of. Prefill and decode are told apart where the
// meter is fine enough; the whole and the parts are then of the same requests, those that tell all of them.
function shares(group) {
  const { j, net, n, low, high, same, load, idle } = group.energy;
  const bounds = (part) => (has(part.low) && has(part.high) ? [part.low, part.high] : null);
  const start = loading(group);
  const parts = has(start) ? [["loading", "var(--c1)", start, load ? bounds(load) : null, load?.n > 1 ? `, mean of ${load.n} loads` : ""]] : [];
  if (!same?.whole) {
    parts.push(["request", "var(--answer)", j / n, null, ""]);
    return { parts, of: n, whole: j / n, between: has(low) && has(high) ? [low / n, high / n] : null, idle: has(net) ? Math.max(0, (j - net) / n) : idle?.n === n ? idle.mean : undefined };
  }
  const { whole, prefill, decode } = same;
  parts.push(["prefill", "var(--prompt)", prefill.mean, bounds(prefill), ""], ["decode", "var(--answer)", decode.mean, bounds(decode), ""]);
  const rest = whole.mean - prefill.mean - decode.mean;
  if (rest > whole.mean * 0.005) parts.push(["rest", "var(--reasoning)", rest, null, ""]);
  // What idling would have taken is drawn where it is known of all of them.
  return { parts, of: whole.n, whole: whole.mean, between: bounds(whole), idle: same.idle?.n === whole.n ? same.idle.mean : undefined };
}
