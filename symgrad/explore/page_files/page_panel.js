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
