// Health of the client: how late its own event loop was, and how late requests were sent after they were due. What comes near the
// gaps and times it measures is its own, not the server's.

function health() {
  const late = counted.filter((row) => has(row.client_lag_seconds));
  const levels = (data.levels ?? []).filter((level) => level.schedule_lag?.n || level.loop_lag?.n);
  if (!late.length && !levels.length) return null;
  const doubted = counted.filter((row) => row.warnings?.includes("client_lag"));
  const options = [];
  if (late.length) options.push(["lag", "event loop, by request"]);
  // Where requests were sent at a rate, how late they were sent is what matters first.
  if (levels.some((level) => level.schedule_lag?.n)) options.unshift(["levels", "sending and event loop, by level"]);
  else if (levels.length) options.push(["levels", "event loop, by level"]);
  if (late.filter((row) => has(row.start)).length >= 10) options.push(["time", "event loop, over the run"]);
  return {
    title: "Health of the client", note: "how late it was itself (log)", options,
    draw(width, what) {
      const list = late.filter((row) => visible.has(row.group));
      const mine = levels.filter((level) => shownGroups().some(({ group }) => isOf(level, group)));
      const notes = [];
      if (list.length) {
        const n = doubted.filter((row) => visible.has(row.group)).length;
        notes.push(n ? `${n} of ${list.length} requests (${digits((100 * n) / list.length)} %) carry client_lag: the client was late enough to matter.` : `${list.length === 1 ? "The one request does not carry" : `None of ${list.length} requests carries`} client_lag: the client was nowhere late enough to matter.`);
      }
      notes.push(...sentWords(mine));
      if (what === "levels" ? !mine.length : !list.length) return nothing(width);
      const image = what === "levels" ? lagsOfLevels(width, mine) : what === "time" ? lagOverTime(width, list) : lagHistogram(width, list);
      return [image, notes.map((words) => el("p", { class: "note" }, words))].flat(2);
    },
  };
}

// Whether a level record tells of a row: the same model at the same load, or a row that pools its loads.
function isOf(level, group) {
  if (level.models?.length && !level.models.includes(group.model)) return false;
  if (has(group.rate)) return level.rate === group.rate;
  return has(group.concurrency) ? !has(level.rate) && level.concurrency === group.concurrency : true;
}

// What the sending was like, all levels together.
function sentWords(levels) {
  const planned = levels.filter((level) => !has(level.rate)).reduce((all, level) => all + (level.not_sent ?? 0), 0);
  const left = planned ? [`Of the levels at once, ${planned.toLocaleString("en-US")} planned request${planned === 1 ? " was" : "s were"} never sent: the run was stopped before, or the conversation had failed.`] : [];
  const open = levels.filter((level) => level.schedule_lag?.n);
  if (!open.length) return left;
  const sum = (of) => open.reduce((all, level) => all + (of(level) ?? 0), 0);
  const worst = open.reduce((a, b) => (b.schedule_lag.max > a.schedule_lag.max ? b : a));
  return [`Of a rate, ${sum((level) => level.schedule_lag.n).toLocaleString("en-US")} requests were sent, the latest ${lasting(worst.schedule_lag.max)} after it was due (${loadOf(worst)})${unsentWords(open)}.`, ...left];
}
// What a rate did not send, and why: what was due is owed, what was only planned by its number and never came due is not.
function unsentWords(levels) {
  const sum = (of) => levels.reduce((all, level) => all + (of(level) ?? 0), 0);
  const said = (n, words) => (n ? `; ${n.toLocaleString("en-US")} ${words}` : "");
  const all = sum((level) => level.not_sent), due = sum((level) => level.due_not_sent);
  if (!all) return ", and none was left out";
  // Records of before tell only both together.
  const unknown = sum((level) => (has(level.due_not_sent) ? 0 : level.not_sent));
  return said(due, "that were due were never sent") + said(all - due - unknown, "that were planned never came due before the run ended") + said(unknown, "that were due, or only planned, were never sent");
}
const loadOf = (level) => (has(level.rate) ? `${level.rate}/s` : has(level.concurrency) ? `${level.concurrency} at once` : "");

// For each level how late requests were sent (open loop) and how late the event loop was, each against its own largest class.
function lagsOfLevels(width, levels) {
  const kinds = [["schedule_lag", "requests sent after they were due", "var(--c0)", "sendings"], ["loop_lag", "event loop, asked a hundred times a second", "var(--c1)", "looks"]];
  const several = new Set(levels.map((level) => JSON.stringify(level.models))).size > 1;
  const lanes = levels.flatMap((level) => kinds.filter(([key]) => level[key]?.n).map(([key, words, fillWith, of], i) => ({ level, late: level[key], words, fillWith, of, first: i === 0 || !level.schedule_lag?.n })));
  const drawn = lanes.slice(0, MOST);
  const classOf = (seconds) => Math.floor(Math.log10(Math.max(seconds, 1e-6)) * 8 + 1e-9);
  const bound = (k) => 10 ** (k / 8);
  for (const lane of drawn) {
    lane.counts = new Map();
    for (const [seconds, n] of lane.late.classes ?? []) lane.counts.set(classOf(seconds), (lane.counts.get(classOf(seconds)) ?? 0) + n);
  }
  const keys = drawn.flatMap(({ counts, late }) => [...counts.keys(), classOf(late.p50), classOf(late.max)]);
  const [low, high] = aDecade(Math.min(...keys), Math.max(...keys) + 1, 8);
  const { left, lead, tall, name: nameOf } = rowNames(width, 30);
  const right = width - 14, top = 4, bottom = top + drawn.length * tall;
  const x = logarithmic(bound(low) * 1e3, bound(high) * 1e3, left, right);
  const at = (seconds) => x(Math.max(seconds, 1e-6) * 1e3);
  const image = canvas(width, bottom + 36, axisX(x, { top, bottom, left, right, label: "ms late" }));
  drawn.forEach(({ level, late, words, fillWith, of, first, counts }, i) => {
    const y = top + i * tall, foot = y + tall - 3;
    const name = [several ? level.models?.join(", ") : null, loadOf(level)].filter(Boolean).join(" · ");
    if (first) image.append(nameOf(name, y, y + tall - 8));
    const said = `${name}: ${words}\n${late.n.toLocaleString("en-US")} ${of}: median ${lasting(late.p50)}, p99 ${lasting(late.p99)}, worst ${lasting(late.max)}`;
    const most = Math.max(...counts.values());
    image.append(line(left, foot, right, foot));
    for (const [k, n] of [...counts].sort(([a], [b]) => a - b)) {
      const high = Math.max(1.5, (n / most) * (tall - lead - 7));
      image.append(svg("rect", { x: x(bound(k) * 1e3) + 0.5, y: foot - high, width: Math.max(1, x(bound(k + 1) * 1e3) - x(bound(k) * 1e3) - 1), height: high, fill: fillWith, "data-tip": `${said}\n${lasting(bound(k))} to ${lasting(bound(k + 1))}: ${n.toLocaleString("en-US")}` }));
    }
    image.append(svg("path", { d: `M${at(late.p50)} ${foot}v${7 + lead - tall}M${at(late.p99)} ${foot}v${7 + lead - tall}`, class: "middle", "data-tip": said }));
  });
  return [legend(kinds.filter(([key]) => levels.some((level) => level[key]?.n)).map(([, words, fillWith]) => [fillWith, words])), image, el("p", { class: "note" }, "Strokes: the median and the 99th percentile. Each histogram is drawn against its own largest class."), ...more(lanes.length - drawn.length)];
}

// From and to, at least a power of ten apart: of classes, `n` to a power of ten.
function aDecade(low, high, n) {
  const short = Math.max(0, n - (high - low));
  return [low - Math.ceil(short / 2), high + Math.floor(short / 2)];
}

function lagHistogram(width, list) {
  const height = 210, left = 50, right = width - 14, top = 20, bottom = height - 36;
  // Four classes to a power of ten.
  const classOf = (seconds) => Math.floor(Math.log10(Math.max(seconds, 1e-6)) * 4 + 1e-9);
  const counts = new Map();
  for (const row of list) counts.set(classOf(row.client_lag_seconds), (counts.get(classOf(row.client_lag_seconds)) ?? 0) + 1);
  const bound = (k) => 10 ** (k / 4);
  // An axis has a power of ten at least, or nothing on it could be read.
  const [low, high] = aDecade(Math.min(...counts.keys()), Math.max(...counts.keys()) + 1, 4);
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
