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
