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
