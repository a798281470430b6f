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
