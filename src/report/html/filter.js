// The filter: words that must stand in a row, and conditions on columns, joined by `and`, `or`, `not` and parentheses.

// Without a unit a number is in the one that the column's head shows.
const UNITS = { s: ["s", 1], ms: ["s", 1e-3], us: ["s", 1e-6], min: ["s", 60], gb: ["GB", 1e9], mb: ["GB", 1e6], gib: ["GB", 2 ** 30], mib: ["GB", 2 ** 20], "%": ["%", 0.01], w: ["W", 1], mw: ["W", 1e-3], j: ["J", 1], "tok/s": ["tok/s", 1], tok: ["tok", 1], "j/tok": ["J/tok", 1] };

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
      const unit = UNITS[tokens[at]?.toLowerCase()]?.[0];
      const told = unit && unit === columnOf(token)?.unit && /^[-+$.\de]+$/i.test(value ?? "");
      return condition(token, how, told ? value + tokens[at++] : value);
    }
    const text = token.replaceAll('"', "").toLowerCase();
    return (_, words) => words.includes(text);
  };
  const test = either();
  if (at < tokens.length) throw "a ) is not opened";
  return test;
}

// A column by its key, by its head, or by the beginning of its key where only one begins so; of several percentiles the median.
const plainly = (words) => words.toLowerCase().replace(/[^a-z\d]+/g, "_").replace(/^_|_$/g, "");
function columnOf(named) {
  const all = [...columns.values()];
  const key = plainly(named);
  const begin = all.filter((column) => column.key.startsWith(key));
  return columns.get(named.toLowerCase()) ?? (key.length < 2 ? undefined : columns.get(key) ?? columns.get(`${key}_p50`) ?? only(all.filter((column) => plainly(headOf(column)) === key || plainly(column.label) === key)) ?? only(begin));
}
const only = (list) => (list.length === 1 ? list[0] : undefined);
const headOf = (column) => $(`th[data-key="${column.key}"] button`, table ?? document)?.textContent ?? column.label;

// The columns whose keys or heads are nearest to what was typed: they have it in them, or differ in a letter or two.
function nearest(named) {
  const key = plainly(named);
  const far = (column) => Math.min(...[column.key, plainly(column.label), ...column.key.split("_")].map((one) => (key.length > 1 && one.includes(key) ? 0.5 : edits(key, one))));
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
    const known = UNITS[unit.toLowerCase()];
    if (!known || known[0] !== (column.unit === "ms" ? "s" : column.unit)) throw `${key} is in ${column.unit || "numbers"}, not in ${unit}`;
    [, scale] = known;
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
