// What a request takes: load of the model, prefill and decode, and how much of it idling would have taken anyway.

function energySplit() {
  const known = () => shownGroups().filter(({ group }) => group.energy && group.energy.n);
  if (!known().length) return null;
  return {
    title: "Energy of a request", note: "means; whisker: certain bounds of a request; loading the model stands before it",
    draw(width) {
      const all = known().sort((a, b) => a.group.energy.j / a.group.energy.n - b.group.energy.j / b.group.energy.n);
      if (!all.length) return nothing(width);
      const list = all.slice(0, MOST);
      const left = labelRoom(width), right = width - 20, top = 4, tall = 28, bottom = top + list.length * tall;
      const most = Math.max(...list.map(({ group }) => Math.max(group.energy.high ?? 0, group.energy.j) / group.energy.n + (loading(group) ?? 0)));
      const x = linear(0, most || 1, left, right);
      const image = canvas(width, bottom + 34, axisX(x, { top, bottom, left, right, label: "joules", n: 5 }));
      const used = new Set();
      list.forEach(({ group }, i) => {
        const { low, high, n } = group.energy;
        const y = top + i * tall + 4;
        const { parts, idle } = shares(group);
        const words = [group.name, `request ${say(group.energy.j / n, "J")}${has(low) && has(high) ? `, certainly between ${digits(low / n)} and ${say(high / n, "J")}` : ""}`,
          ...parts.map(([name, , j, between]) => `${name} ${say(j, "J")}${between ? `, between ${digits(between[0])} and ${say(between[1], "J")}` : ""}`),
          has(idle) ? `idling would have taken ${say(idle, "J")} of the request` : null].filter(Boolean).join("\n");
        image.append(text(left - 8, y + 12, fit(group.name, left - 12), { "text-anchor": "end", class: "label" }));
        let from = 0, start = 0;
        for (const [name, fillWith, j] of parts) {
          used.add(name);
          if (name === "loading") start = j;
          if (j > 0) image.append(svg("rect", { x: x(from), y, width: Math.max(1, x(from + j) - x(from)), height: 14, fill: fillWith, "data-tip": words }));
          from += Math.max(0, j);
        }
        if (idle > 0) image.append(svg("rect", { x: x(start), y: y + 16, width: Math.max(1, x(start + idle) - x(start)), height: 4, fill: "var(--c7)", "data-tip": words }));
        if (has(idle)) used.add("idling");
        if (has(low) && has(high)) image.append(svg("path", { d: `M${x(start + low / n)} ${y + 7}H${x(start + high / n)}m0-4v8M${x(start + low / n)} ${y + 3}v8`, stroke: "var(--ink)", fill: "none" }));
      });
      const colors = [["loading", "var(--c1)"], ["prefill", "var(--prompt)"], ["decode", "var(--answer)"], ["rest", "var(--reasoning)"], ["request", "var(--answer)"], ["idling", "var(--c7)"]];
      const said = { loading: "loading the model", prefill: "prefill", decode: "decode", rest: "before and after", request: "the request", idling: "idling, of the request" };
      return [legend(colors.filter(([name]) => used.has(name)).map(([name, fillWith]) => [fillWith, said[name]])), image, ...more(all.length - list.length)];
    },
  };
}

const loading = (group) => group.stats.load_energy_joules?.[4];

// The parts of a mean request in joules; prefill and decode where the meter is fine enough to tell them apart.
function shares(group) {
  const { j, net, n, prefill, decode } = group.energy;
  const whole = j / n;
  const load = loading(group);
  const parts = has(load) ? [["loading", "var(--c1)", load]] : [];
  const bounds = (part) => (has(part[1]) && has(part[2]) ? [part[1], part[2]] : null);
  if (prefill && decode) {
    parts.push(["prefill", "var(--prompt)", prefill[0], bounds(prefill)], ["decode", "var(--answer)", decode[0], bounds(decode)]);
    const rest = whole - prefill[0] - decode[0];
    if (rest > whole * 0.005) parts.push(["rest", "var(--reasoning)", rest]);
  } else {
    parts.push(["request", "var(--answer)", whole]);
  }
  return { parts, idle: has(net) ? Math.max(0, (j - net) / n) : undefined };
}
