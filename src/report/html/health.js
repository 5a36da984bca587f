// Health of the client: how late its own event loop was. What comes near the gaps it times is its own, not the server's.

function health() {
  const late = counted.filter((row) => has(row.client_lag_seconds));
  if (!late.length) return null;
  const doubted = counted.filter((row) => row.warnings?.includes("client_lag"));
  const options = [["lag", "how late, requests counted"]];
  if (late.filter((row) => has(row.start)).length >= 10) options.push(["time", "over the run"]);
  return {
    title: "Health of the client", note: "worst lateness of its event loop while a request ran (log)", options,
    draw(width, what) {
      const list = late.filter((row) => visible.has(row.group));
      if (!list.length) return nothing(width);
      const mine = doubted.filter((row) => visible.has(row.group)).length;
      const said = mine ? `${mine} of ${list.length} requests (${digits((100 * mine) / list.length)} %) carry client_lag: the client was late enough to matter.` : `None of ${list.length} requests carries client_lag: the client was nowhere late enough to matter.`;
      const image = what === "time" ? lagOverTime(width, list) : lagHistogram(width, list);
      return [image, el("p", { class: "note" }, said), el("p", { class: "note", "data-slot": "calibration" }, data.calibration ?? "")];
    },
  };
}

function lagHistogram(width, list) {
  const height = 210, left = 50, right = width - 14, top = 20, bottom = height - 36;
  // Four classes to a power of ten.
  const classOf = (seconds) => Math.floor(Math.log10(Math.max(seconds, 1e-6)) * 4 + 1e-9);
  const counts = new Map();
  for (const row of list) counts.set(classOf(row.client_lag_seconds), (counts.get(classOf(row.client_lag_seconds)) ?? 0) + 1);
  const bound = (k) => 10 ** (k / 4);
  const [low, high] = [Math.min(...counts.keys()), Math.max(...counts.keys()) + 1];
  const x = logarithmic(bound(low) * 1e3, bound(high) * 1e3, left, right);
  const y = linear(0, Math.max(...counts.values()) * 1.08, bottom, top, true);
  const image = canvas(width, height, axisX(x, { top, bottom, left, right, label: "ms late" }), axisY(y, { left, right, label: "requests", top, n: 4 }));
  for (const k of [...counts.keys()].sort((a, b) => a - b)) {
    const n = counts.get(k);
    const [a, b] = [x(bound(k) * 1e3), x(bound(k + 1) * 1e3)];
    image.append(svg("rect", { x: a + 0.5, y: y(n), width: Math.max(1, b - a - 1), height: bottom - y(n), fill: "var(--c0)", "data-tip": `${lasting(bound(k))} to ${lasting(bound(k + 1))}\n${n} of ${list.length} requests` }));
  }
  return image;
}

function lagOverTime(width, all) {
  const list = thin(all.filter((row) => has(row.start)), 2000);
  if (!list.length) return nothing(width);
  const height = 210, left = 50, right = width - 14, top = 20, bottom = height - 36;
  const lags = list.map((row) => row.client_lag_seconds);
  const [low, high] = [Math.max(1e-5, Math.min(...lags)), Math.max(1e-4, ...lags)];
  const x = linear(0, Math.max(...list.map((row) => row.start)) || 1, left, right);
  const y = logarithmic(low * 1e3 / 2, high * 1e3 * 2, bottom, top);
  const image = canvas(width, height, axisX(x, { top, bottom, left, right, label: "sent, seconds into the run" }), axisY(y, { left, right, label: "ms late", top }));
  for (const row of list) image.append(svg("circle", { cx: x(row.start), cy: y(Math.max(low, row.client_lag_seconds) * 1e3), r: 2.5, fill: color(row.group), opacity: 0.7, "data-tip": `${groups[row.group].name}, request ${row.id}\nlate by ${lasting(row.client_lag_seconds)} at worst` }));
  return image;
}
