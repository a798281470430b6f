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
