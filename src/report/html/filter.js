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
      const told = unit && unit === columns.get(token.toLowerCase())?.unit && /^[-+$.\de]+$/i.test(value ?? "");
      return condition(token, how, told ? value + tokens[at++] : value);
    }
    const text = token.replaceAll('"', "").toLowerCase();
    return (_, words) => words.includes(text);
  };
  const test = either();
  if (at < tokens.length) throw "a ) is not opened";
  return test;
}

function condition(key, sign, text) {
  const column = columns.get(key.toLowerCase());
  if (!column) throw `no column ${key}`;
  if (text === undefined || text === "") throw `${key}${sign} needs a value`;
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
  if (amount === undefined || Number.isNaN(number)) throw `${text} is not a number`;
  let scale = column.scale;
  if (unit) {
    const known = UNITS[unit.toLowerCase()];
    if (!known || known[0] !== column.unit) throw `${key} is in ${column.unit || "numbers"}, not in ${unit}`;
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
