// Goodput: limits on sliders, and the share of all requests that keep them, counted anew with every move.

const LIMITS = [["ttft", "time to first token", "ttft_seconds"], ["itl", "mean gap", "itl_mean"], ["e2e", "whole request", "generation_time_seconds"]];

function goodput() {
  const measured = rows.filter((row) => !row.warmup);
  const limits = LIMITS.map(([key, words, field]) => ({ key, words, field, values: sorted(counted.map((row) => row[field])) })).filter(({ values }) => values.length > 1 && values[0] > 0);
  if (!limits.length || measured.length < 2) return null;
  const said = Object.fromEntries((state.slo ?? "").split(",").filter(Boolean).map((part) => part.split("=")));
  const controls = el("div", { class: "limits" });
  for (const limit of limits) {
    const [low, high] = [limit.values[0] * 0.7, limit.values[limit.values.length - 1] * 1.3];
    // A limit that was not asked for is kept by all; where none was, they begin where a tenth breaks each.
    const given = Number(said[limit.key]) || data.slo?.[limit.key] || (data.slo ? high : quantile(limit.values, 0.9));
    limit.value = given;
    const place = (v) => Math.round((1000 * Math.log(Math.min(Math.max(v, low), high) / low)) / Math.log(high / low));
    const output = el("output", {}, say(given, "s"));
    const slider = el("input", { type: "range", min: 0, max: 1000, value: place(given), "aria-label": `Limit of ${limit.words}` });
    slider.addEventListener("input", () => {
      limit.value = low * (high / low) ** (slider.value / 1000);
      output.textContent = say(limit.value, "s");
      slider.setAttribute("aria-valuetext", output.textContent);
      keep({ slo: limits.map(({ key, value }) => `${key}=${Number(value.toPrecision(3))}`).join(",") });
      chart.made?.redraw();
    });
    controls.append(el("label", {}, el("span", {}, limit.words), slider, output));
  }
  // What was not measured is not known to be kept; an answer of one chunk has no gap.
  const good = (row) => !row.kind && limits.every(({ key, field, value }) => (key === "itl" && row[field] === undefined && has(row.ttft_seconds) ? true : row[field] <= value));
  const chart = {
    title: "Goodput", note: "share of all requests, failed ones included, within every limit", controls,
    draw(width) {
      const all = shownGroups().map((one) => {
        const mine = measured.filter((row) => row.group === one.at);
        return { ...one, tried: mine.length, kept: mine.filter(good).length };
      }).filter((one) => one.tried);
      if (!all.length) return nothing(width);
      const list = all.sort((a, b) => b.kept / b.tried - a.kept / a.tried).slice(0, MOST);
      const left = labelRoom(width), right = width - 50, top = 4, tall = 21, bottom = top + list.length * tall;
      const x = linear(0, 100, left, right);
      const image = canvas(width, bottom + 34, axisX(x, { top, bottom, left, right, label: "% good", n: 5 }));
      list.forEach(({ group, tried, kept }, i) => {
        const y = top + i * tall + 3;
        const share = (100 * kept) / tried;
        image.append(text(left - 8, y + 12, fit(group.name, left - 12), { "text-anchor": "end", class: "label" }),
          svg("rect", { x: left, y, width: right - left, height: 15, fill: "var(--line2)" }),
          svg("rect", { x: left, y, width: Math.max(0, x(share) - left), height: 15, fill: "var(--c2)", "data-tip": `${group.name}\n${kept} of ${tried} good` }),
          text(right + 6, y + 12, `${share.toFixed(0)} %`));
      });
      return [image, ...more(all.length - list.length)];
    },
  };
  return chart;
}
