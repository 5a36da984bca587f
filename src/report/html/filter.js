// The filter: words that must stand in a row, and conditions on columns, joined by `and`, `or`, `not` and parentheses.

// The size of a unit in the base unit of a column; undefined for a unit that is not of its kind. Without one, a number is in the
// unit that the column's head shows.
const sizeOf = (spelling, column) => vocabulary.units[spelling?.toLowerCase()]?.[column?.unit];

// A test of a group and its text; throws a sentence for what it cannot read.
function parseFilter(input) {
  const tokens = input.match(/"[^"]*"?|[()]|>=|<=|!=|[<>=]|[^\s()<>=!"]+|!/g) ?? [];
  const sign = (token) => /^(>=|<=|!=|[<>=])$/.test(token ?? "");
  let at = 0;
  const word = (name) => tokens[at]?.toLowerCase() === name && !sign(tokens[at + 1]);
  const either = () => {
    const tests = [every()];
    while (word("or")) { at += 1; tests.push(every()); }
    if (tests.length > 1 && tests.some((list) => !list.length)) throw "or needs something on both sides";
    return (...of) => tests.some((list) => list.every((test) => test(...of)));
  };
  const every = () => {
    const tests = [];
    while (at < tokens.length && tokens[at] !== ")" && !word("or")) {
      if (word("and")) at += 1;
      else tests.push(one());
    }
    return tests;
  };
  const one = () => {
    const token = tokens[at];
    at += 1;
    if (token.toLowerCase() === "not" && !sign(tokens[at])) {
      if (at === tokens.length || tokens[at] === ")" || word("or") || word("and")) throw "not needs something after it";
      const test = one();
      return (...of) => !test(...of);
    }
    if (token === "(") {
      const test = either();
      if (tokens[at] !== ")") throw "a ( is not closed";
      at += 1;
      return test;
    }
    if (sign(token) || token === "!") throw `${token} needs a column before it`;
    if (sign(tokens[at])) {
      const [how, value] = [tokens[at], tokens[at + 1]];
      at += 2;
      // A blank may stand before a unit, but what is no unit of this column is a word.
      const told = sizeOf(tokens[at], columnOf(token)) !== undefined && /^[-+$.\de]+$/i.test(value ?? "");
      return condition(token, how, told ? value + tokens[at++] : value);
    }
    const text = token.replaceAll('"', "").toLowerCase();
    return (_, words) => words.includes(text);
  };
  const test = either();
  if (at < tokens.length) throw "a ) is not opened";
  return test;
}

// A column by its key, by its head, by another name of its metric, with a statistic behind or before it, or by the beginning of its
// key where only one begins so. A metric alone is its first column, of several percentiles the median.
const plainly = (words) => words.toLowerCase().split(/[^\p{L}\d.]+/u).filter(Boolean).join("_");
function columnOf(named) {
  const name = plainly(named);
  if (columns.has(name)) return columns.get(name);
  if (name.length < 2) return undefined;
  const all = [...columns.values()];
  return byName(name) ?? only(all.filter((column) => plainly(headOf(column)) === name || plainly(column.label) === name)) ?? only(all.filter((column) => column.key.startsWith(name)));
}
function byName(name) {
  const of = (metric, statistic) => metric && [...columns.values()].find((column) => column.metric === metric && (statistic === undefined || column.statistic === statistic));
  const { names } = vocabulary;
  const bare = name.replace(/_(ms|s|seconds)$/, "");
  for (const one of new Set([name, bare])) {
    const [, before, rest] = /^([a-z\d.]+)_(.+)$/.exec(one) ?? [];
    const [, begin, behind] = /^(.+)_([a-z\d.]+)$/.exec(one) ?? [];
    const found = of(names[one]) ?? (statisticOf(before) && of(names[rest], statisticOf(before))) ?? (statisticOf(behind) && of(names[begin], statisticOf(behind)));
    if (found) return found;
  }
  return undefined;
}
const statisticOf = (word) => (word === "median" ? "p50" : vocabulary.percentiles.find(({ name, label }) => word === name || word === label)?.label);
const only = (list) => (list.length === 1 ? list[0] : undefined);
const headOf = (column) => $(`th[data-key="${column.key}"] button`, table ?? document)?.textContent ?? column.label;

// The columns whose names are nearest to what was typed: they have it in them, or differ in a letter or two.
function nearest(named) {
  const key = plainly(named);
  const others = Object.entries(vocabulary.names);
  const namesOf = (column) => [column.key, plainly(column.label), ...column.key.split("_"), ...others.filter(([, metric]) => metric === column.metric).map(([name]) => name)];
  const far = (column) => Math.min(...namesOf(column).map((one) => (key.length > 1 && one.includes(key) ? 0.5 : edits(key, one))));
  return [...columns.values()].map((column) => [far(column), column.key]).filter(([n]) => n <= Math.max(1, key.length / 3)).sort(([a], [b]) => a - b).slice(0, 4).map(([, near]) => near);
}
// How many letters must be changed, put in or taken out.
function edits(a, b) {
  let before = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const now = [i];
    for (let j = 1; j <= b.length; j += 1) now.push(Math.min(before[j] + 1, now[j - 1] + 1, before[j - 1] + (a[i - 1] !== b[j - 1])));
    before = now;
  }
  return before[b.length];
}

function condition(key, sign, text) {
  const column = columnOf(key);
  if (!column) {
    const near = nearest(key);
    throw `no column ${key}${near.length ? `; is it ${near.join(" or ")}?` : "; ? beside the filter lists them"}`;
  }
  const example = column.numeric ? `${column.key}>50${column.unit ? ` or ${column.key}>50${column.unit === "$" ? "" : column.unit}` : ""}` : `${column.key}=word`;
  if (text === undefined || text === "") throw `${key}${sign} needs a value, as in ${example}`;
  if (/^([()!]|>=|<=|!=|[<>=])$/.test(text)) throw `after ${key}${sign} stands ${text} where a ${column.numeric ? "number" : "word"} is expected, as in ${example}`;
  text = text.replaceAll('"', "");
  if (!column.numeric) {
    const wanted = text.toLowerCase();
    return (group) => {
      const value = group.cells[column.key];
      return value !== undefined && compare(String(value).toLowerCase(), sign, wanted);
    };
  }
  const [, amount, unit] = /^\$?([-+]?[\d.]+(?:e[-+]?\d+)?)(.*)$/i.exec(text) ?? [];
  const number = Number(amount);
  if (amount === undefined || Number.isNaN(number)) throw `${text} is not a number; one is expected, as in ${example}`;
  let scale = column.scale;
  if (unit) {
    scale = sizeOf(unit, column);
    if (scale === undefined) throw `${key} is in ${column.unit || "numbers"}, not in ${unit}`;
  }
  const wanted = number * scale;
  // What was not measured keeps no condition.
  return (group) => has(group.cells[column.key]) && compare(group.cells[column.key], sign, wanted);
}

function compare(a, sign, b) {
  switch (sign) {
    case ">": return a > b;
    case "<": return a < b;
    case ">=": return a >= b;
    case "<=": return a <= b;
    case "!=": return !same(a, b);
    default: return same(a, b);
  }
}
// A number typed as it is shown is the number that is shown.
const same = (a, b) => a === b || (typeof a === "number" && Math.abs(a - b) <= Math.abs(b) * 1e-9);
