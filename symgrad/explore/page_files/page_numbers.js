  // --- numbers and names as text -----------------------------------------------------------------------------------

  // The text of a number in the drawing, the same as Python's.
  function shown(number) {
    if (typeof number === "boolean") return String(number);
    if (Number.isNaN(number)) return "nan";
    const sign = number < 0 ? "-" : "";
    const size = Math.abs(number);
    if (size === Infinity) return `${sign}inf`;
    if (size === 0) return "0.00";
    if (size >= 0.1 && size < 1e5) return sign + halfToEven(size.toFixed(2), size.toFixed(60));
    if (size >= 0.001 && size < 0.1) {
      const exponent = Number(size.toExponential().split("e")[1]);
      return sign + halfToEven(size.toFixed(1 - exponent), size.toFixed(60));
    }
    const [digits, exponent] = size.toExponential(1).split("e");
    const even = halfToEven(digits, size.toExponential(60));
    return `${sign}${even}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
  }

  // JavaScript rounds what is exactly between two texts up, Python to the even one.
  function halfToEven(rounded, exact) {
    const half = /^50*(e|$)/.test(exact.slice(rounded.length));
    const digit = Number(rounded.at(-1));
    return half && digit % 2 === 1 ? rounded.slice(0, -1) + (digit - 1) : rounded;
  }

  // All digits that tell one double from another.
  function exact(number) {
    if (typeof number === "boolean" || !Number.isFinite(number)) return shown(number);
    if (number === 0) return Object.is(number, -0) ? "-0" : "0";
    const text = number.toPrecision(17);
    return text.includes(".") ? text.replace(/\.?0+(?=e|$)/, "") : text;
  }

  // A text that JavaScript and Python both read as the same number.
  const roundTrip = (number) =>
    Object.is(number, -0) ? "-0" : Number.isFinite(number) ? String(number) : shown(number);

  // A number from a field, or null.
  function read(text) {
    const plain = text.trim().replaceAll("\u2212", "-").toLowerCase();
    if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(plain)) return Number(plain);
    if (/^[+-]?nan$/.test(plain)) return NaN;
    const infinite = /^([+-]?)inf(inity)?$/.exec(plain);
    return infinite ? (infinite[1] === "-" ? -Infinity : Infinity) : null;
  }

  const isNumeral = (text) => /^-?\d+(\.\d+)?$/.test(text);
  const isWord = (text) => /^[\p{L}\p{N}_]+$/u.test(text);
  // A formula with a name in it replaced: a local gradient in terms of its result goes by the name of that.
  const renamed = (formula, name, by) =>
    isWord(name) ? formula.replace(new RegExp(`(?<![\\p{L}\\p{N}_])${name}(?![\\p{L}\\p{N}_])`, "gu"), by) : formula;
  const names = gates.map((gate) => gate.name);
  if (output.kind !== "input" && !names.includes("f")) {
    names[output.id] = "f"; // as in the title and in the drawing
    for (const wire of output.arguments) wire.localFormula = renamed(wire.localFormula, output.name, "f");
  }
  const nameOf = (gate) => names[gate.id];
  const inBrackets = (text) => (isWord(text) ? text : `(${text})`);
  const d = (above, below) => `\u2202${inBrackets(nameOf(above))}/\u2202${inBrackets(nameOf(below))}`;
  const upstream = (gate) => d(output, gate);
  const local = (gate, place) => {
    const source = gates[gate.arguments[place].gate];
    const often = gate.arguments.filter((wire) => wire.gate === source.id).length > 1;
    return d(gate, source) + (often ? ` (argument ${place + 1})` : "");
  };
  // What follows "name = ": nothing where the name is the formula.
  const definition = (gate) => (gate.kind === "input" || gate.formula === nameOf(gate) ? "" : gate.formula);
  const titleOf = (gate) => (definition(gate) ? `${nameOf(gate)} = ${gate.formula}` : nameOf(gate));

  // --- text in the page --------------------------------------------------------------------------------------------

  const byId = (id) => document.getElementById(id);

  function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  // A number with all its digits behind it.
  function number(value, text = shown(value)) {
    return element("data", { value: roundTrip(value), title: exact(value) }, text);
  }
  const factor = (value) => (shown(value).startsWith("-") ? ["(", number(value), ")"] : [number(value)]);
  const joined = (lists, between) => lists.flatMap((list, place) => (place ? [between, ...list] : list));
  // A line of mathematics, broken between its parts and only where it must be within them.
  const math = (...parts) =>
    element("p", { class: "math" }, ...joined(parts.map((part) => [element("span", {}, ...part)]), " "));
  const note = (...children) => element("p", {}, ...children);
  const warning = (reason) => element("p", { class: "trouble" }, element("b", {}, "! "), reason);

  // Said to screen readers; what follows quickly upon another is said alone, so that a moved slider does not chatter.
  let waiting = 0;
  function say(text, after = 0) {
    clearTimeout(waiting);
    waiting = setTimeout(() => (byId("spoken").textContent = text), after);
  }
