// Where the time of a response goes: medians of the parts.

const PARTS = { prompt: ["var(--prompt)", "to first token"], reasoning: ["var(--reasoning)", "reasoning"], answer: ["var(--answer)", "answer"], whole: ["var(--c4)", "whole, not told apart"] };

function timeBars() {
  const median = (group, name) => group.stats[name]?.p50;
  const timed = () => shownGroups().filter(({ group }) => has(median(group, "generation_time_seconds")));
  if (!timed().length) return null;
  return {
    title: "Response time breakdown", note: "medians: prompt, reasoning, answer",
    draw(width) {
      const all = timed().sort((a, b) => median(a.group, "generation_time_seconds") - median(b.group, "generation_time_seconds"));
      if (!all.length) return nothing(width);
      const list = all.slice(0, MOST);
      const { left, lead, tall: high, name } = rowNames(width, 21);
      const right = width - 52, top = 4, bottom = top + list.length * high;
      const x = linear(0, Math.max(...list.map(({ group }) => median(group, "generation_time_seconds"))), left, right);
      const image = canvas(width, bottom + 34, axisX(x, { top, bottom, left, right, label: "seconds" }));
      const used = new Set();
      list.forEach(({ group }, i) => {
        const y = top + i * high + lead + 3;
        const whole = median(group, "generation_time_seconds");
        const split = has(median(group, "ttft_seconds")) || has(median(group, "time_to_first_output_token_seconds"));
        const first = Math.min(median(group, "ttft_seconds") ?? 0, whole);
        const answer = Math.min(Math.max(median(group, "time_to_first_output_token_seconds") ?? first, first), whole);
        const words = `${group.name}\nTTFT ${say(first || undefined, "s")}, first output token ${say(answer || undefined, "s")}, E2E latency ${say(whole, "s")}`;
        image.append(name(group.name, y - lead - 3, y + 12));
        for (const [from, to, part] of split ? [[0, first, "prompt"], [first, answer, "reasoning"], [answer, whole, "answer"]] : [[0, whole, "whole"]]) {
          if (to > from) used.add(part);
          if (to > from) image.append(svg("rect", { x: x(from), y, width: Math.max(1, x(to) - x(from)), height: 15, fill: PARTS[part][0], "data-tip": words }));
        }
        image.append(text(x(whole) + 5, y + 12, digits(whole)));
      });
      return [legend(Object.keys(PARTS).filter((part) => used.has(part)).map((part) => PARTS[part])), image, ...more(all.length - list.length)];
    },
  };
}
