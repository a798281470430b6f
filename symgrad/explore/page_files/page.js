// The page of a circuit: computes it anew with `kernel`, and shows it up to the step that the reader has reached.
//
//     circuit, inputs ──kernel──▶ numbers ──show, up to a step──▶ drawing, words, panel, table
//
// A block of its own, so that no name here can meet a name of the arithmetic above. What is written into the page comes
// from expressions of other people: it goes in as text, never as HTML.
{
  const circuit = JSON.parse(document.getElementById("circuit").textContent);
  const gates = circuit.gates.map((gate, id) => ({ ...gate, id }));
  const output = gates[circuit.output];

  const state = {
    inputs: circuit.inputs.map(({ value }) => (typeof value === "number" ? value : read(value))),
    numbers: [], // what `kernel` returned for these inputs
    step: 0, // how many of the steps are done
    pointed: null, // the gate under the pointer, that with the focus, and that which a click or Enter pinned
    focused: null,
    pinned: null,
  };

  const compute = () => (state.numbers = kernel(...state.inputs)[0]);
  const at = (index) => (index === null ? null : state.numbers[index]);

  // --- the steps, and what is known after each ---------------------------------------------------------------------

  // For each gate the wires by which a gradient comes back to it, in the order in which the backward pass meets them.
  const readers = gates.map(() => []);
  for (const gate of gates.slice().reverse()) {
    gate.arguments.forEach((wire, place) => {
      if (wire.contribution !== null) readers[wire.gate].push({ gate, place, wire });
    });
  }

  const forward = gates.filter((gate) => gate.kind !== "input");
  const backward = forward.filter((gate) => gate.arguments.some((wire) => wire.contribution !== null)).reverse();
  const steps = [
    { kind: "start" },
    ...forward.map((gate) => ({ kind: "forward", gate })),
    ...(output.gradient === null ? [] : [{ kind: "seed", gate: output }]),
    ...backward.map((gate) => ({ kind: "backward", gate })),
    { kind: "end" },
  ];
  const last = steps.length - 1;
  const afterForward = forward.length;
  const forwardStep = new Map(forward.map((gate, place) => [gate, 1 + place]));
  const backwardStep = new Map(backward.map((gate, place) => [gate, 2 + afterForward + place]));

  const hasValue = (gate) => gate.kind === "input" || state.step >= forwardStep.get(gate);
  const hasContributed = (reader) => state.step >= backwardStep.get(reader.gate);
  // A gradient is known when the last of its readers has handed its part on; that of a gate whose readers are all left
  // out of the drawing counts as known from the beginning of the backward pass.
  const hasGradient = (gate) =>
    gate.gradient !== null && state.step > afterForward && readers[gate.id].every(hasContributed);
  const troublesOf = (gate) =>
    hasValue(gate) ? gate.troubles.filter((trouble) => at(trouble.when)).map((trouble) => trouble.reason) : [];

  // Whether the contributions that the drawing shows are the whole gradient: where gates are left out they may not be.
  function addsUp(gate) {
    const parts = readers[gate.id].map((reader) => at(reader.wire.contribution));
    const sum = parts.reduce((total, part) => total + part, 0);
    const size = parts.reduce((total, part) => total + Math.abs(part), 0);
    return Object.is(sum, at(gate.gradient)) || Math.abs(sum - at(gate.gradient)) <= 1e-9 * size;
  }

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

  // --- the words of a step: lines for the eye, sentences for the ear ------------------------------------------------

  const words = {
    start() {
      const known = circuit.inputs.filter((input) => input.gate !== null).map((input) => gates[input.gate]);
      return {
        progress: "At the start",
        lines: [note("Only the inputs have values. Each step computes one gate.")],
        spoken: `At the start. ${known.map((gate) => `${nameOf(gate)} is ${shown(at(gate.value))}`).join(", ")}.`,
      };
    },

    forward({ gate }) {
      const value = at(gate.value);
      const read = [...new Set(gate.arguments.map((wire) => gates[wire.gate]))];
      const from = joined(read.map((source) => [`${nameOf(source)} = `, number(at(source.value))]), ", ");
      const between = gate.kind === "condition" ? "is " : "= ";
      return {
        progress: "forward",
        lines: [
          math([titleOf(gate)], [between, number(value)]),
          ...(from.length ? [note("with ", ...from)] : []),
          ...(gate.label === "..." ? [note("from gates that are left out")] : []),
          ...troublesOf(gate).map(warning),
        ],
        spoken: [`${titleOf(gate)} ${between}${shown(value)}`, ...troublesOf(gate)].join(". "),
      };
    },

    seed({ gate }) {
      const value = at(gate.gradient);
      return {
        progress: "backward begins",
        lines: [
          math([upstream(gate)], ["= ", number(value)]),
          note("The gradient of the output with respect to itself is 1. From here the chain rule goes back."),
        ],
        spoken: "The backward pass begins. The gradient of the output with respect to itself is 1.",
      };
    },

    backward({ gate }) {
      const name = nameOf(gate);
      const parts = gate.arguments.map((wire, place) => handedOn(gate, wire, place));
      return {
        progress: "backward",
        lines: [
          note(`At ${titleOf(gate)}, with `, upstream(gate), " = ", number(at(gate.gradient)), ":"),
          ...parts.flatMap((part) => part.lines),
          ...troublesOf(gate).map(warning),
        ],
        spoken: [`At ${name}`, ...parts.flatMap((part) => part.spoken), ...troublesOf(gate)].join(". "),
      };
    },

    end() {
      const active = circuit.inputs.filter((input) => input.gate !== null && gates[input.gate].gradient !== null);
      const sources = active.map((input) => gates[input.gate]);
      const value = at(output.value);
      const troubled = gates.filter((gate) => troublesOf(gate).length);
      return {
        progress: "Everything is shown",
        lines: [
          math([titleOf(output)], ["= ", number(value)]),
          gradientsLine(sources),
          ...troubled.flatMap((gate) => troublesOf(gate).map((reason) => warning(`${nameOf(gate)}: ${reason}`))),
          note("Change an input, or press Step to go through it gate by gate from the start."),
        ],
        spoken: [
          `Everything is shown. ${nameOf(output)} is ${shown(value)}`,
          ...sources.map((gate) => `gradient with respect to ${nameOf(gate)}: ${shown(at(gate.gradient))}`),
          ...troubled.map((gate) => `trouble at ${nameOf(gate)}: ${troublesOf(gate).join("; ")}`),
        ].join(". "),
      };
    },
  };

  function gradientsLine(sources) {
    const line = math(...sources.map((gate) => [`${upstream(gate)} = `, number(at(gate.gradient))]));
    line.classList.add("all-gradients");
    return line;
  }

  // What a gate hands on to one of its arguments: the product of the chain rule, and the sum that it ends up in.
  function handedOn(gate, wire, place) {
    const source = gates[wire.gate];
    const name = nameOf(source);
    if (wire.contribution === null) {
      const why = source.kind === "condition" ? `${name} is true or false` : `${gate.label} has no gradient there`;
      const text = `Nothing goes back to ${name}: ${why}.`;
      return { lines: [note(text)], spoken: [text] };
    }
    const contribution = at(wire.contribution);
    const several = readers[source.id].length > 1;
    const sign = several || !addsUp(source) ? "+=" : "=";
    const lines = [math([upstream(source)], ...product(sign, gate, wire, place), ["= ", number(contribution)])];
    const factors = wire.local === null ? "" : `${shown(at(gate.gradient))} times ${shown(at(wire.local))} is `;
    const spoken = [`To ${name}: ${factors}${shown(contribution)}`];
    if (wire.local !== null && !isNumeral(wire.localFormula)) {
      lines.push(note(`where ${local(gate, place)} = ${wire.localFormula} = `, number(at(wire.local))));
    }
    const here = readers[source.id].findIndex((reader) => reader.gate === gate && reader.place === place);
    const again = readers[source.id][here + 1]?.gate === gate; // the same gate reads it at another place as well
    if ((several || !addsUp(source)) && !again) {
      const total = sum(source, here + 1);
      lines.push(total.line);
      spoken.push(total.spoken);
    }
    return { lines, spoken };
  }

  // "= df/dq * dq/dx", "= -4.00 * 1.00"
  function product(sign, gate, wire, place) {
    if (wire.local === null) return [];
    return [
      [`${sign} ${upstream(gate)} \u00b7 ${local(gate, place)}`],
      ["= ", number(at(gate.gradient)), " \u00b7 ", ...factor(at(wire.local))],
    ];
  }

  // The contributions of the first `count` readers of a gate, added up if they are all.
  function sum(gate, count) {
    const parts = readers[gate.id].slice(0, count).map((reader) => at(reader.wire.contribution));
    const terms = joined(parts.map((part, place) => (place ? factor(part) : [number(part)])), " + ");
    const missing = readers[gate.id].length - count;
    if (missing) {
      const text = missing === 1 ? "one more contribution" : `${missing} more contributions`;
      return {
        line: math([upstream(gate)], ["= ", ...terms, " + ..."], [`(${text} to come)`]),
        spoken: `${text} to come`,
      };
    }
    const others = addsUp(gate) ? "" : " + others";
    const total = at(gate.gradient);
    return {
      line: math([upstream(gate)], ["= ", ...terms, others], ["= ", number(total)]),
      spoken: `with the other contributions ${shown(total)}`,
    };
  }

  function showWords() {
    const step = steps[state.step];
    const { progress, lines, spoken } = words[step.kind](step);
    const counted = step.gate ? `Step ${state.step} of ${last}, ${progress}` : progress;
    byId("progress").textContent = counted;
    byId("words").replaceChildren(...lines);
    return step.gate ? `${counted}. ${spoken}.` : spoken;
  }

  // --- the drawing -------------------------------------------------------------------------------------------------

  const svg = byId("drawing").querySelector("svg");
  const parts = gates.map((gate) => ({
    circle: byId(`gate-${gate.id}`),
    wire: byId(`wire-${gate.id}`),
    join: byId(`join-${gate.id}`), // from the gate to its wire
    edges: gate.arguments.map((_, place) => byId(`edge-${gate.id}-${place}`)),
  }));

  // What is known gets its number, as text and, with all digits, as an attribute; what is not has neither.
  function put(group, name, text, value, known) {
    if (text) text.textContent = known ? shown(value) : "";
    if (known) group.setAttribute(`data-${name}`, roundTrip(value));
    else group.removeAttribute(`data-${name}`);
  }

  function showNumbers(gate) {
    const { circle, wire, edges } = parts[gate.id];
    const [above, below] = wire.querySelectorAll("text");
    put(wire, "value", above, at(gate.value), hasValue(gate));
    put(wire, "gradient", below, at(gate.gradient), hasGradient(gate));
    edges.forEach((edge, place) => {
      const { contribution } = gate.arguments[place];
      const known = contribution !== null && state.step >= backwardStep.get(gate);
      if (edge) put(edge, "contribution", edge.querySelector("text"), at(contribution), known);
    });
    const reasons = troublesOf(gate);
    circle.classList.toggle("troubled", reasons.length > 0);
    circle.setAttribute("aria-label", described(gate, reasons));
    circle.setAttribute("aria-pressed", String(state.pinned === gate.id));
    tooltips[gate.id].textContent = [titleOf(gate), ...localGradients(gate), ...reasons].join("\n");
  }

  function described(gate, reasons) {
    const parts = [gate.kind === "input" ? `input ${nameOf(gate)}` : titleOf(gate)];
    parts.push(hasValue(gate) ? `value ${shown(at(gate.value))}` : "value not yet computed");
    if (gate.gradient !== null) {
      parts.push(hasGradient(gate) ? `gradient ${shown(at(gate.gradient))}` : "gradient not yet computed");
    }
    return [...parts, ...reasons.map((reason) => `trouble: ${reason}`)].join(", ");
  }

  function localGradients(gate) {
    const active = [...gate.arguments.entries()].filter(([, wire]) => wire.local !== null);
    return active.map(([place, wire]) => {
      const text = `${local(gate, place)} = ${wire.localFormula}`;
      const known = hasValue(gate) && !isNumeral(wire.localFormula);
      return known ? `${text} = ${shown(at(wire.local))}` : text;
    });
  }

  // The gate of the step and the wires that it reads or hands gradients to.
  function highlight() {
    const { kind, gate } = steps[state.step];
    for (const marked of svg.querySelectorAll(".current, .active")) marked.classList.remove("current", "active");
    if (!gate) return;
    const { circle, edges } = parts[gate.id];
    circle.classList.add("current");
    activate(gate.id);
    if (kind === "seed") return;
    gate.arguments.forEach(({ gate: source, contribution }, place) => {
      if (kind === "backward" && contribution === null) return;
      edges[place]?.classList.add("active");
      activate(source);
    });
  }

  function activate(id) {
    parts[id].wire.classList.add("active");
    parts[id].join?.classList.add("active");
  }

  // Only the drawing's own box scrolls: the page stays where its reader is.
  function scrollTo(gate) {
    const box = byId("drawing");
    const frame = box.getBoundingClientRect();
    const target = parts[gate.id].circle.getBoundingClientRect();
    const margin = 90; // pixels: the wires beside the gate
    const inside = (low, high, from, to) => low - margin >= from && high + margin <= to;
    const across = inside(target.left, target.right, frame.left, frame.right);
    const down = target.top >= frame.top && target.bottom <= frame.bottom;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    // Also where nothing is to move: a movement that is under way to another gate ends here.
    box.scrollTo({
      left: box.scrollLeft + (across ? 0 : (target.left + target.right - frame.left - frame.right) / 2),
      top: box.scrollTop + (down ? 0 : (target.top + target.bottom - frame.top - frame.bottom) / 2),
      behavior: still ? "instant" : "smooth",
    });
  }

  // Numbers that change stay in the middle of their places: Graphviz says where a text begins.
  function centre(text, place) {
    const { x, width } = place.getBBox();
    text.setAttribute("text-anchor", "middle");
    text.setAttribute("x", x + width / 2);
  }

  const tooltips = [];
  function prepareDrawing() {
    svg.setAttribute("role", "group");
    svg.setAttribute("aria-label", `Circuit of ${circuit.title}`);
    for (const title of svg.querySelectorAll("title")) title.remove();
    for (const silent of svg.querySelectorAll(".wire, .edge, .name")) silent.setAttribute("aria-hidden", "true");
    for (const gate of gates) {
      const { circle, wire, edges } = parts[gate.id];
      const line = wire.querySelector("polygon, polyline, path");
      for (const text of wire.querySelectorAll("text")) centre(text, line ?? text);
      for (const edge of edges) edge?.querySelectorAll("text").forEach((text) => centre(text, text));
      circle.setAttribute("tabindex", "0");
      circle.setAttribute("role", "button");
      tooltips[gate.id] = document.createElementNS("http://www.w3.org/2000/svg", "title");
      circle.prepend(tooltips[gate.id]);
      for (const group of [circle, wire]) {
        group.addEventListener("pointerenter", () => look({ pointed: gate.id }));
        group.addEventListener("pointerleave", () => look({ pointed: null }));
        group.addEventListener("click", () => pin(gate));
      }
      circle.addEventListener("focus", () => look({ focused: gate.id }));
      circle.addEventListener("blur", () => look({ focused: null }));
      circle.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        if (!event.repeat) pin(gate);
      });
    }
  }

  // --- the size of the drawing: pixels per unit of its own ----------------------------------------------------------

  const natural = 4 / 3; // a point is 4/3 of a pixel
  let scale = natural;
  function resize(wanted) {
    scale = Math.min(4, Math.max(0.2, wanted));
    svg.style.width = `${svg.viewBox.baseVal.width * scale}px`;
    svg.style.height = `${svg.viewBox.baseVal.height * scale}px`;
  }
  // That at which all of it is to be seen; its box grows in height up to 65 % of the window.
  function fitting() {
    const { width, height } = svg.viewBox.baseVal;
    const padding = 24;
    const box = byId("drawing");
    return Math.min(natural, (box.clientWidth - padding) / width, (0.65 * innerHeight - padding - 2) / height);
  }

  // --- the panel of one gate ---------------------------------------------------------------------------------------

  function look(change) {
    Object.assign(state, change);
    showPanel();
  }

  function pin(gate) {
    state.pinned = state.pinned === gate?.id || !gate ? null : gate.id;
    for (const { id } of gates) parts[id].circle.setAttribute("aria-pressed", String(state.pinned === id));
    showPanel();
    if (state.pinned === null) say("Not pinned any more.");
    else say(`Pinned: ${[described(gate, troublesOf(gate)), ...localGradients(gate)].join(". ")}.`);
  }

  function showPanel() {
    const id = state.pinned ?? state.pointed ?? state.focused ?? steps[state.step].gate?.id;
    for (const { circle } of parts) circle.classList.remove("looked-at");
    if (id === undefined) {
      byId("panel-heading").textContent = "Gate";
      byId("panel").replaceChildren(
        note("Point at a gate, or move to it with Tab, to see its local gradients. A click or Enter pins it here."),
      );
      return;
    }
    const gate = gates[id];
    parts[id].circle.classList.add("looked-at");
    byId("panel-heading").textContent = gate.kind === "input" ? `Input ${nameOf(gate)}` : `Gate ${nameOf(gate)}`;
    byId("panel").replaceChildren(
      ...(state.pinned === null ? [] : [note("Pinned. Escape lets go.")]),
      ...troublesOf(gate).map(warning),
      facts(gate),
      ...(gate.arguments.length ? [argumentsTable(gate)] : []),
    );
  }

  const orLater = (known, value) => (known ? number(value, exact(value)) : "not yet");

  function facts(gate) {
    const list = element("dl", {});
    const add = (term, ...fact) => list.append(element("dt", {}, term), element("dd", {}, ...fact));
    if (definition(gate)) add("formula", gate.formula);
    add("value", orLater(hasValue(gate), at(gate.value)));
    if (gate.gradient === null) {
      add("gradient", gate.kind === "condition" ? "none: it is true or false" : "none: not differentiated");
      return list;
    }
    add(`upstream gradient ${upstream(gate)}`, orLater(hasGradient(gate), at(gate.gradient)));
    if (readers[gate.id].length) add("arrives from", ...arrivals(gate));
    return list;
  }

  function arrivals(gate) {
    const lists = readers[gate.id].map((reader) => {
      const from = ` from ${nameOf(reader.gate)}`;
      return hasContributed(reader) ? [number(at(reader.wire.contribution)), from] : [`nothing yet${from}`];
    });
    return [...joined(lists, ", "), ...(hasGradient(gate) && !addsUp(gate) ? [", and others"] : [])];
  }

  function argumentsTable(gate) {
    const heads = ["Argument", "Value", "Local gradient", "Hands on"];
    const rows = gate.arguments.map((wire, place) => {
      const source = gates[wire.gate];
      const known = state.step >= backwardStep.get(gate);
      const handed = wire.contribution === null ? "nothing" : orLater(known, at(wire.contribution));
      return element(
        "tr", {},
        element("th", { scope: "row" }, nameOf(source)),
        element("td", {}, orLater(hasValue(source), at(source.value))),
        element("td", {}, ...localCell(gate, wire, place)),
        element("td", {}, handed),
      );
    });
    const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
    const box = { class: "scrolls", tabindex: "0", role: "group", "aria-label": "Arguments" };
    const body = element("tbody", {}, ...rows);
    return element("div", box, element("table", {}, element("thead", {}, head), body));
  }

  function localCell(gate, wire, place) {
    if (wire.contribution === null) return ["none"];
    if (wire.local === null) return [local(gate, place)];
    const formula = `${local(gate, place)} = ${wire.localFormula}`;
    if (!hasValue(gate) || isNumeral(wire.localFormula)) return [formula];
    return [formula, " = ", number(at(wire.local), exact(at(wire.local)))];
  }

  // --- the table of all gates --------------------------------------------------------------------------------------

  const rows = gates.map((gate) => {
    const cells = Array.from({ length: 4 }, () => element("td", {}));
    const row = element("tr", {}, element("th", { scope: "row" }, nameOf(gate)), ...cells);
    cells[0].append(gate.kind === "input" ? "input" : gate.formula);
    byId("gates").tBodies[0].append(row);
    return { row, cells };
  });

  function showRow(gate) {
    const { row, cells: [, value, gradient, trouble] } = rows[gate.id];
    value.replaceChildren(hasValue(gate) ? number(at(gate.value)) : "not yet");
    gradient.replaceChildren(...gradientCell(gate));
    trouble.replaceChildren(...troublesOf(gate).map(warning));
    if (steps[state.step].gate === gate) row.setAttribute("aria-current", "step");
    else row.removeAttribute("aria-current");
  }

  function gradientCell(gate) {
    if (gate.gradient === null) return ["none"];
    if (hasGradient(gate)) return [number(at(gate.gradient))];
    const all = readers[gate.id];
    const here = all.filter(hasContributed);
    if (!here.length) return ["not yet"];
    const soFar = here.reduce((total, reader) => total + at(reader.wire.contribution), 0);
    return ["so far ", number(soFar), ` (${here.length} of ${all.length})`];
  }

  // --- the inputs: a field and a slider each -----------------------------------------------------------------------

  const controls = circuit.inputs.map(makeInput);

  function makeInput(input, place) {
    const given = state.inputs[place];
    const radius = Number.isFinite(2 * given) ? Math.max(5, 2 * Math.abs(given)) : 5;
    const grain = 10 ** Math.floor(Math.log10(radius / 50)); // so that a press of a key moves by 1/50 to 1/500 of it
    const bound = Number((Math.ceil(radius / grain) * grain).toPrecision(6)); // 5.8, not 5.800000000000001
    const field = element("input", {
      id: `input-${place}`, type: "text", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
      "aria-describedby": `message-${place}`,
    });
    const slider = element("input", {
      id: `slider-${place}`, type: "range", min: -bound, max: bound, step: grain,
      "aria-label": `${input.name}, slider`,
    });
    const message = element("p", { id: `message-${place}`, class: "message" });
    const label = element("label", { for: `input-${place}` }, input.name);
    byId("inputs").append(element("div", { class: "input" }, label, field, slider, message));
    field.addEventListener("input", () => change(place, read(field.value), field));
    slider.addEventListener("input", () => change(place, Number(slider.value), slider));
    return { field, slider, message, given };
  }

  // Writes an input into its controls, but for that which is being used: whoever types keeps their own digits.
  function showInput(place, used) {
    const { field, slider, message } = controls[place];
    const value = state.inputs[place];
    if (used !== field) field.value = roundTrip(value);
    if (used !== slider) slider.value = Number.isNaN(value) ? 0 : value;
    slider.setAttribute("aria-valuetext", roundTrip(value));
    field.removeAttribute("aria-invalid");
    message.textContent = circuit.inputs[place].gate === null ? "not in the drawing" : "";
  }

  function change(place, value, used) {
    if (value === null) {
      const { field, message } = controls[place];
      field.setAttribute("aria-invalid", "true");
      message.textContent = `not a number; still computed with ${roundTrip(state.inputs[place])}`;
      say(`${circuit.inputs[place].name}: ${message.textContent}`, 400);
      return;
    }
    state.inputs[place] = value;
    showInput(place, used);
    compute();
    show();
    const known = gates.filter((gate) => gate === output && hasValue(gate));
    say(known.map((gate) => `${nameOf(gate)} is now ${shown(at(gate.value))}`).join(), 400);
  }

  function reset() {
    controls.forEach(({ given }, place) => {
      state.inputs[place] = given;
      showInput(place, null);
    });
    compute();
    show();
    say("Inputs as they were given.");
  }

  // --- all of it ---------------------------------------------------------------------------------------------------

  function show() {
    gates.forEach(showNumbers);
    gates.forEach(showRow);
    highlight();
    showPanel();
    return showWords();
  }

  function go(step) {
    state.step = Math.min(last, Math.max(0, step));
    say(show());
    // Not `disabled`: the focus would be lost.
    byId("back").setAttribute("aria-disabled", String(state.step === 0));
    const { gate } = steps[state.step];
    if (gate) scrollTo(gate);
  }

  const actions = {
    restart: () => go(0),
    back: () => go(state.step - 1),
    step: () => go(state.step === last ? 0 : state.step + 1),
    "run-forward": () => go(afterForward),
    "run-all": () => go(last),
    smaller: () => resize(scale / 1.25),
    larger: () => resize(scale * 1.25),
    fit: () => resize(fitting()),
    reset,
    dark() {
      const dark = byId("dark").getAttribute("aria-pressed") !== "true";
      document.documentElement.style.colorScheme = dark ? "dark" : "light";
      byId("dark").setAttribute("aria-pressed", String(dark));
    },
  };
  for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest("input, .scrolls")) return; // there the keys have their own meaning
    const atEnd = state.step === last;
    const action = {
      // A key that is held stops at the end, and does not go round.
      ArrowRight: event.repeat && atEnd ? () => {} : actions.step,
      ArrowLeft: actions.back,
      Home: actions.restart,
      End: actions["run-all"],
      Escape: () => state.pinned !== null && pin(null),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  byId("title").textContent = circuit.title;
  byId("gates").caption.textContent = `All gates of ${circuit.title}, arguments before their readers`;
  byId("left-out").textContent = circuit.leftOut;
  byId("left-out").hidden = circuit.leftOut === "";
  byId("dark").setAttribute("aria-pressed", String(matchMedia("(prefers-color-scheme: dark)").matches));
  prepareDrawing();
  resize(Math.max(0.8, fitting()));
  controls.forEach((_, place) => showInput(place, null));
  compute();
  state.step = last;
  show();
}
