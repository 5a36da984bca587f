// Where in an answer the gaps between chunks are long: one map per row of the table, dark where many gaps are.

function gapMap() {
  const options = groups.map((group, at) => [at, group]).filter(([, group]) => group.gaps).map(([at, group]) => [at, group.name]);
  if (!options.length) return null;
  return {
    title: "Gaps over the answer", note: "place in the answer against the gap before the next chunk (log); dark: many of that place; line: median", options,
    draw(width, at) {
      const group = groups[Number(at)];
      const { per, cells, streams, together } = group.gaps;
      const height = 270, left = 50, right = width - 14, top = 20, bottom = height - 36;
      const places = Math.max(...cells.map(([place]) => place)) + 1;
      const lows = cells.map((cell) => cell[1]), highs = cells.map((cell) => cell[2]);
      const x = linear(1, places * per + 1, left, right, true);
      const y = logarithmic(Math.min(...lows) * 1e3, Math.max(...highs) * 1e3, bottom, top);
      const sums = new Map();
      for (const [place, , , n] of cells) sums.set(place, (sums.get(place) ?? 0) + n);
      const image = canvas(width, height, axisX(x, { top, bottom, left, right, label: "chunk of the answer" }), axisY(y, { left, right, label: "gap, ms", top }));
      const seen = new Map(), middle = [];
      for (const [place, low, high, n] of cells) {
        const [from, to] = [place * per + 1, (place + 1) * per];
        const share = n / sums.get(place);
        const y1 = y(high * 1e3), y2 = y(low * 1e3);
        image.append(svg("rect", { x: x(from), y: y1, width: Math.max(1, x(to + 1) - x(from)), height: Math.max(1, y2 - y1), fill: "var(--c0)", opacity: (0.15 + 0.85 * Math.sqrt(share)).toFixed(3), "data-tip": `after chunk ${from}${to > from ? ` to ${to}` : ""}\n${lasting(low)} to ${lasting(high)}\n${n} of ${sums.get(place)} gaps (${digits(share * 100)} %)` }));
        const before = seen.get(place) ?? 0;
        seen.set(place, before + n);
        if (before < sums.get(place) / 2 && before + n >= sums.get(place) / 2) middle.push([(x(from) + x(to + 1)) / 2, (y1 + y2) / 2]);
      }
      if (middle.length > 1) image.append(svg("polyline", { points: middle.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" "), class: "middle" }));
      const words = `${streams} stream${streams === 1 ? "" : "s"}${together ? `; ${together} chunks came in one read with the one before and have no gap` : ""}.`;
      return [image, el("p", { class: "note" }, words)];
    },
  };
}
