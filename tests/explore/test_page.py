"""The page of a circuit in a real browser: its numbers against the kernel's, its steps, its controls, its manners."""

from __future__ import annotations

import json
import math
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sympy as sp

import symgrad
from symgrad.explore.draw import brief

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    Open = Callable[..., Page]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()

x, y, z = sp.symbols("x y z")
w0, w1, w2, x0, x1 = sp.symbols("w0 w1 w2 x0 x1")
PRODUCT = (x + y) * z
NEURON = 1 / (1 + sp.exp(-(w0 * x0 + w1 * x1 + w2)))
LECTURE = {"w0": 2.0, "w1": -3.0, "w2": -3.0, "x0": -1.0, "x1": -2.0}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="the page is tested with Playwright")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)  # None: that which Playwright installed
    with playwright.sync_playwright() as running:
        try:
            browser = running.chromium.launch(executable_path=found, args=ARGUMENTS)
        except playwright.Error as error:
            pytest.skip(f"no Chromium to test the page in: {error}")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        context.set_default_timeout(5000)
        yield context.new_page()


@pytest.fixture
def opened(tab: Page, tmp_path: Path) -> Iterator[Open]:
    """Opens a page from a file. In the end: no word on the console, and no request but that for the file."""
    problems: list[str] = []
    requests: list[str] = []
    listeners: dict[Any, Any] = {
        "request": lambda request: requests.append(request.url),
        "console": lambda message: problems.append(message.text),
        "pageerror": lambda error: problems.append(str(error)),
        "dialog": lambda dialog: (problems.append(dialog.message), dialog.dismiss()),
    }
    file = tmp_path / "page.html"

    def open_page(html: str, width: int = 1280, **media: Any) -> Page:
        file.write_text(html, encoding="utf-8")
        tab.set_viewport_size({"width": width, "height": 800})
        tab.emulate_media(**{"color_scheme": "light", "reduced_motion": "reduce", **media})
        for event, listener in listeners.items():
            tab.on(event, listener)
        tab.goto(file.as_uri())
        return tab

    yield open_page
    for event, listener in listeners.items():
        tab.remove_listener(event, listener)
    assert problems == []
    assert requests == [file.as_uri()]


def kernel_of(expression: Any, **options: Any) -> symgrad.Kernel:
    return symgrad.compile(expression, **options)


def html(kernel: symgrad.Kernel, *point: float, **options: Any) -> str:
    return str(kernel.draw(*point, **options).html)


def neuron(level: str = "elementary") -> str:
    return html(kernel_of(NEURON), *LECTURE.values(), level=level)


def circuit_of(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.locator("script#circuit").text_content() or "")
    return found


SEEN = """() => {
    const gates = JSON.parse(document.getElementById("circuit").textContent).gates.map((_, id) => {
        const wire = document.getElementById(`wire-${id}`);
        const cells = document.querySelectorAll("#gates tbody tr")[id].querySelectorAll("td");
        const inCell = (place) => cells[place].childNodes[0]?.value ?? null;
        return {
            value: wire.getAttribute("data-value"),
            gradient: wire.getAttribute("data-gradient"),
            texts: [...wire.querySelectorAll("text")].map((text) => text.textContent),
            table: [inCell(1), inCell(2)],
        };
    });
    const lines = [...document.querySelectorAll("#words p")].map((line) => ({
        text: line.innerText.replaceAll("\\n", " "),
        numbers: [...line.querySelectorAll("data")].map((data) => data.value),
    }));
    const marked = [...document.querySelectorAll("#gates tbody tr")].map((row) => row.getAttribute("aria-current"));
    return {
        gates, lines,
        progress: document.getElementById("progress").textContent,
        current: [...document.querySelectorAll(".gate.current")].map((gate) => gate.id),
        rows: marked.flatMap((mark, place) => (mark === "step" ? [place] : [])),
    };
}"""


class Seen:
    """All that the page shows at one time; numbers with all their digits, None where nothing stands."""

    def __init__(self, page: Page) -> None:
        found = page.evaluate(SEEN)
        self.values = [number(gate["value"]) for gate in found["gates"]]
        self.gradients = [number(gate["gradient"]) for gate in found["gates"]]
        self.texts = [gate["texts"] for gate in found["gates"]]
        self.table = [tuple(map(number, gate["table"])) for gate in found["gates"]]
        self.lines = [line["text"] for line in found["lines"]]
        self.numbers = [list(map(number, line["numbers"])) for line in found["lines"]]
        self.progress, self.current, self.rows = found["progress"], found["current"], found["rows"]


def number(text: str | None) -> Any:
    return None if text is None else text == "true" if text in ("true", "false") else float(text)


def same(one: Any, other: Any) -> bool:
    if one is None or other is None or isinstance(one, bool):
        return one is other
    return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-300) or (math.isnan(one) and math.isnan(other))


def write(page: Page, name: str, text: str) -> None:
    page.get_by_label(name, exact=True).fill(text)


def press(page: Page, button: str, times: int = 1) -> None:
    for _ in range(times):
        page.get_by_role("button", name=button, exact=True).click()


def assert_as_traced(page: Page, kernel: symgrad.Kernel, point: Sequence[float], level: str = "gates") -> None:
    """All numbers in the drawing and in the table are those of the trace, and of the kernel where it has them."""
    trace, result = kernel.trace(*point, level=level), kernel(*point)
    seen, circuit = Seen(page), circuit_of(page)
    assert len(seen.values) == len(trace.gates)
    for place, gate in enumerate(trace.gates):
        assert same(seen.values[place], gate.value), gate.formula
        assert same(seen.gradients[place], gate.gradient), gate.formula
        assert all(map(same, seen.table[place], (gate.value, gate.gradient)))
    assert same(seen.values[circuit["output"]], result.value)
    for given, value, gradient in zip(circuit["inputs"], point, result.grad, strict=True):
        if given["gate"] is not None:
            assert same(seen.values[given["gate"]], value)
            assert same(seen.gradients[given["gate"]], gradient)


# --- numbers ----------------------------------------------------------------------------------------------------------

CASES: dict[str, tuple[Any, str, tuple[tuple[float, ...], ...]]] = {
    "neuron": (
        NEURON,
        "gates",
        ((2.0, -3.0, -3.0, -1.0, -2.0), (0.5, 1.5, -0.25, 3.0, -1e-3), (20.0, 3.0, 1.0, 2.0, 0.5)),
    ),
    "neuron, elementary": (NEURON, "elementary", ((2.0, -3.0, -3.0, -1.0, -2.0), (0.1, 0.2, 0.3, 0.4, 0.5))),
    "Max": (sp.Max(x, y**2) * x, "gates", ((1.0, 3.0), (5.0, -2.0), (-7.5, 0.1))),
    "Piecewise": (
        sp.Piecewise((sp.sin(x) * y, x > 1), (x**2 + y, True)),
        "elementary",
        ((2.0, 3.0), (0.5, 3.0), (1.0, -1.0)),
    ),
    "erf and division": (
        sp.erf(x / y) + sp.tanh(x * y) + sp.sqrt(x**2 + y),
        "gates",
        ((0.7, 1.3), (-2.0, 0.25), (30.0, 1e-3)),
    ),
    "read several times": ((x * y) ** 2 + sp.sin(x * y) * x + sp.exp(x), "elementary", ((1.5, -0.5), (-0.3, 20.0))),
    "poles": (sp.log(x) / y, "gates", ((2.0, 4.0), (0.0, 1.0), (-1.0, 2.0), (1.0, 0.0), (math.inf, math.nan))),
}


@pytest.mark.parametrize("case", CASES)
def test_numbers_are_those_of_the_kernel_wherever_the_inputs_go(case: str, opened: Open) -> None:
    expression, level, points = CASES[case]
    kernel = kernel_of(expression)
    page = opened(html(kernel, *points[0], level=level))
    assert_as_traced(page, kernel, points[0], level)
    for point in points[1:]:
        for symbol, value in zip(kernel.args, point, strict=True):
            write(page, symbol.name, repr(value))
        assert_as_traced(page, kernel, point, level)
    press(page, "Reset inputs")
    assert_as_traced(page, kernel, points[0], level)


def test_the_product_of_the_lecture(opened: Open) -> None:
    page = opened(html(kernel_of(PRODUCT), -2.0, 5.0, -4.0))
    assert [gate["name"] for gate in circuit_of(page)["gates"]][:3] == ["x", "y", "z"]
    assert Seen(page).texts == [
        ["-2.00", "-4.00"],
        ["5.00", "-4.00"],
        ["-4.00", "3.00"],
        ["3.00", "-4.00"],
        ["-12.00", "1.00"],
    ]


def test_the_neuron_of_the_lecture(opened: Open) -> None:
    page = opened(neuron())
    circuit, texts = circuit_of(page), Seen(page).texts
    assert {given["name"]: texts[given["gate"]] for given in circuit["inputs"]} == {
        "w0": ["2.00", "-0.20"],
        "w1": ["-3.00", "-0.39"],
        "w2": ["-3.00", "0.20"],
        "x0": ["-1.00", "0.39"],
        "x1": ["-2.00", "-0.59"],
    }
    assert texts[circuit["output"]] == ["0.73", "1.00"]
    assert [pair for pair in texts if pair[1] == "-0.53"] == [["0.37", "-0.53"], ["1.37", "-0.53"]]


def test_numbers_have_the_text_of_the_drawing(opened: Open) -> None:
    page = opened(html(kernel_of(x * y), 1.0, 1.0))
    sizes = (
        0.125,
        2.5,
        0.0625,
        125000.0,
        1.25e-5,
        99999.994,
        99999.996,
        0.0999,
        0.00999,
        0.1,
        0.001,
        1e-3 / 3,
        9.996,
        1e5,
    )
    for value in (*sizes, 1e300, 5e-324, 0.0, -0.0, 0.375, 1050000.0, 8.5e-4, math.pi, math.inf, -math.inf, math.nan):
        for signed in (value, -value):
            write(page, "x", repr(signed))
            assert Seen(page).texts[0][0] == brief(signed), signed


def test_a_slider_moves_its_field_and_the_numbers(opened: Open) -> None:
    kernel = kernel_of(PRODUCT)
    page = opened(html(kernel, -2.0, 5.0, -4.0))
    slider = page.get_by_label("x, slider")
    assert (slider.get_attribute("min"), slider.get_attribute("max")) == ("-5", "5")
    for key in ("ArrowRight", "ArrowRight", "PageDown", "End"):
        slider.press(key)
        value = float(slider.input_value())
        assert value != -2.0
        assert page.get_by_label("x", exact=True).input_value() == repr(value).removesuffix(".0")
        assert_as_traced(page, kernel, (value, 5.0, -4.0))
    write(page, "x", "1e3")
    assert (slider.input_value(), slider.get_attribute("aria-valuetext")) == ("5", "1000")
    assert page.get_by_label("y, slider").get_attribute("max") == "10"


@pytest.mark.parametrize("given", [2.9, -0.123, 123.4, 7e-5, 3e12])
def test_a_slider_goes_in_round_steps(given: float, opened: Open) -> None:
    page = opened(html(kernel_of(x**2), given))
    slider, field = page.get_by_label("x, slider"), page.get_by_label("x", exact=True)
    assert float(field.input_value()) == given
    assert float(slider.get_attribute("max") or "") >= max(5, 2 * abs(given))
    for key in ("ArrowRight", "ArrowRight", "ArrowRight"):
        slider.press(key)
        assert len(f"{float(field.input_value()):.15g}".strip("-0").replace(".", "").rstrip("0")) <= 4
        assert float(field.input_value()) > given


def test_what_is_no_number_is_marked_and_changes_nothing(opened: Open) -> None:
    page = opened(html(kernel_of(PRODUCT), -2.0, 5.0, -4.0))
    before = Seen(page).texts
    field = page.get_by_label("x", exact=True)
    message = page.locator(f"#{field.get_attribute('aria-describedby')}")
    for text in ("", "1e", "one", "0x10", "1,5", "--1", "1 2", "infin"):
        write(page, "x", text)
        assert field.get_attribute("aria-invalid") == "true", text
        assert message.inner_text() == "not a number; still computed with -2"
        assert Seen(page).texts == before
    for text, expected in (
        ("-.5E+1", "-5.00"),
        (" +7 ", "7.00"),
        ("inf", "inf"),
        ("-Infinity", "-inf"),
        ("NaN", "nan"),
    ):
        write(page, "x", text)
        assert field.get_attribute("aria-invalid") is None, text
        assert message.inner_text() == ""
        assert Seen(page).texts[0][0] == expected


# --- steps ------------------------------------------------------------------------------------------------------------


def test_the_words_of_every_step(opened: Open) -> None:
    page = opened(html(kernel_of(PRODUCT), -2.0, 5.0, -4.0))
    gates = circuit_of(page)["gates"]
    q, f = (gate["formula"] for gate in gates[3:])
    assert gates[3]["name"] == q == "x + y"
    values = {"z": "-4.00", q: "3.00"}
    listed = ", ".join(
        f"{name} = {values[name]}" for name in (gates[wire["gate"]]["name"] for wire in gates[4]["arguments"])
    )
    seen = Seen(page)
    assert seen.progress == "Everything is shown"
    assert seen.lines[:2] == [f"f = {f} = -12.00", "∂f/∂x = -4.00 ∂f/∂y = -4.00 ∂f/∂z = 3.00"]
    press(page, "Step")
    assert Seen(page).progress == "At the start"
    told = {}
    for _ in range(5):
        press(page, "Step")
        seen = Seen(page)
        told[seen.progress] = sorted(seen.lines)
    assert told == {
        "Step 1 of 6, forward": ["with x = -2.00, y = 5.00", "x + y = 3.00"],
        "Step 2 of 6, forward": [f"f = {f} = -12.00", f"with {listed}"],
        "Step 3 of 6, backward begins": [
            "The gradient of the output with respect to itself is 1. From here the chain rule goes back.",
            "∂f/∂f = 1.00",
        ],
        "Step 4 of 6, backward": [
            f"At f = {f}, with ∂f/∂f = 1.00:",
            "where ∂f/∂(x + y) = z = -4.00",
            "where ∂f/∂z = x + y = 3.00",
            "∂f/∂(x + y) = ∂f/∂f · ∂f/∂(x + y) = 1.00 · (-4.00) = -4.00",
            "∂f/∂z = ∂f/∂f · ∂f/∂z = 1.00 · 3.00 = 3.00",
        ],
        "Step 5 of 6, backward": [
            "At x + y, with ∂f/∂(x + y) = -4.00:",
            "∂f/∂x = ∂f/∂(x + y) · ∂(x + y)/∂x = -4.00 · 1.00 = -4.00",
            "∂f/∂y = ∂f/∂(x + y) · ∂(x + y)/∂y = -4.00 · 1.00 = -4.00",
        ],
    }


def test_the_output_is_called_f_in_its_own_local_gradients_too(opened: Open) -> None:
    page = opened(html(kernel_of(sp.exp(w0 * x0 + w1 * x1 + w2 * x)), *[0.5] * 6))
    gates = circuit_of(page)["gates"]
    output = gates[circuit_of(page)["output"]]
    assert output["arguments"][0]["localFormula"] == output["name"]  # exp' = exp
    page.locator(f"#gate-{circuit_of(page)['output']}").focus()
    assert " = f = 2.117" in page.locator("#panel tbody td").nth(1).inner_text()


class Passes:
    """What is to be seen after each step, from the circuit alone: a gate's value when it is computed, its gradient when
    the last of its readers has handed its part on."""

    def __init__(self, circuit: dict[str, Any]) -> None:
        self.gates = circuit["gates"]
        self.forward = [place for place, gate in enumerate(self.gates) if gate["kind"] != "input"]
        back = [
            place
            for place in self.forward
            if any(wire["contribution"] is not None for wire in self.gates[place]["arguments"])
        ]
        self.order = [*self.forward, None, *reversed(back)]  # None: the output's gradient is 1
        self.output = circuit["output"]

    def known(self, done: int) -> tuple[set[int], set[int]]:
        """The gates with a value and those with a gradient after `done` steps."""
        order = self.order[:done]
        values = {place for place, gate in enumerate(self.gates) if gate["kind"] == "input"}
        values |= set(order[: len(self.forward)])
        if len(order) <= len(self.forward):
            return values, set()
        handed = set(order[len(self.forward) + 1 :])
        waiting = {
            wire["gate"]
            for place, gate in enumerate(self.gates)
            if place not in handed
            for wire in gate["arguments"]
            if wire["contribution"] is not None
        }
        return values, {place for place, gate in enumerate(self.gates) if gate["gradient"] is not None} - waiting


def assert_shows(seen: Seen, passes: Passes, done: int) -> None:
    values, gradients = passes.known(done)
    for place, pair in enumerate(seen.texts):
        assert (seen.values[place] is not None) == bool(pair[0]) == (place in values), done
        assert (seen.gradients[place] is not None) == any(pair[1:]) == (place in gradients), done


def assert_products_hold(seen: Seen, passes: Passes, place: int) -> None:
    """The line of each wire of the gate: upstream gradient times local gradient is the contribution that is written."""
    wires = [wire for wire in passes.gates[place]["arguments"] if wire["contribution"] is not None]
    maths = [(text, n) for text, n in zip(seen.lines, seen.numbers, strict=True) if text.startswith("∂")]
    products = [numbers for text, numbers in maths if "·" in text]
    assert len(products) == len(wires)
    for upstream, local, contribution in products:
        assert upstream == seen.gradients[place]
        assert same(upstream * local, contribution)
    for *parts, total in (numbers for text, numbers in maths if "·" not in text and "..." not in text):
        assert math.isclose(sum(parts), total, rel_tol=1e-12, abs_tol=1e-15)
        assert total in seen.gradients
    assert (seen.current, seen.rows) == ([f"gate-{place}"], [place])


@pytest.mark.parametrize(
    ("case", "how"),
    [("Max", "buttons"), ("neuron, elementary", "keys"), ("Piecewise", "keys"), ("read several times", "keys")],
)
def test_forward_and_backward_step_by_step(case: str, how: str, opened: Open) -> None:
    expression, level, (point, *_) = CASES[case]
    page = opened(html(kernel_of(expression), *point, level=level))
    passes = Passes(circuit_of(page))
    keys = {"Restart": "Home", "Step": "ArrowRight", "Step back": "ArrowLeft"}

    def do(what: str) -> Seen:
        if how == "buttons":
            press(page, what)
        else:
            page.keyboard.press(keys[what])
        return Seen(page)

    assert_shows(do("Restart"), passes, 0)
    for done, place in enumerate(passes.order, 1):
        seen = do("Step")
        assert_shows(seen, passes, done)
        if done > len(passes.forward) + 1:
            assert_products_hold(seen, passes, place)
        elif place is not None:
            assert seen.numbers[0] == [seen.values[place]]
    assert do("Step").progress == "Everything is shown"
    for done in reversed(range(len(passes.order) + 1)):
        assert_shows(do("Step back"), passes, done)
    page.keyboard.press("ArrowLeft")  # there is nothing before the start
    assert_shows(Seen(page), passes, 0)
    assert page.get_by_role("button", name="Step back").get_attribute("aria-disabled") == "true"


def test_runs_and_a_changed_input_keep_the_step(opened: Open) -> None:
    kernel, page = kernel_of(NEURON), opened(neuron())
    passes = Passes(circuit_of(page))
    forward = len(passes.forward)
    press(page, "Run forward")
    assert_shows(Seen(page), passes, forward)
    write(page, "w0", "0.25")
    seen, rest = Seen(page), list(LECTURE.values())[1:]
    assert_shows(seen, passes, forward)
    assert same(seen.values[passes.output], kernel(0.25, *rest).value)
    press(page, "Step", 3)
    write(page, "w0", "-1.5")
    assert_shows(Seen(page), passes, forward + 3)
    assert_products_hold(Seen(page), passes, passes.order[forward + 2])
    press(page, "Run all")
    assert_as_traced(page, kernel, (-1.5, *rest), "elementary")


def test_a_part_of_a_circuit_says_that_others_are_left_out(opened: Open) -> None:
    expression, level, (point, other) = CASES["read several times"]
    kernel = kernel_of(expression)
    drawing = kernel.draw(*point, level=level, nearest=4)
    page = opened(drawing.html)
    seen = Seen(page)
    assert page.locator("#left-out").inner_text() == drawing.left_out != ""
    assert all(map(same, seen.values, [gate.value for gate in drawing.trace.gates]))
    assert all(map(same, seen.gradients, [gate.gradient for gate in drawing.trace.gates]))
    said = []
    for _ in range(2 * len(seen.values)):
        page.keyboard.press("ArrowRight")
        said += [line for line in Seen(page).lines if "+ others" in line]
    assert said
    assert not any(line.startswith("∂f/∂f") for line in said)
    for name, value in zip("xy", other, strict=True):
        write(page, name, repr(value))
    press(page, "Run all")
    assert same(Seen(page).values[circuit_of(page)["output"]], kernel(*other).value)


def test_keys_in_a_field_belong_to_the_field(opened: Open) -> None:
    page = opened(neuron())
    for control in ("w0", "w0, slider"):
        page.get_by_label(control, exact=True).focus()
        for key in ("ArrowLeft", "Home", "ArrowRight", "End"):
            page.keyboard.press(key)
        assert Seen(page).progress == "Everything is shown"
    page.get_by_role("button", name="Run all").press("Home")
    assert Seen(page).progress == "At the start"
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    for _ in range(3):  # a key that is held stops at the end
        page.keyboard.down("ArrowRight")
        assert Seen(page).progress == "Everything is shown"
    page.keyboard.up("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert Seen(page).progress == "At the start"


# --- one gate ---------------------------------------------------------------------------------------------------------


def test_the_panel_of_a_gate_by_pointer_and_by_keyboard(opened: Open) -> None:
    page = opened(neuron())
    circuit, panel, heading = circuit_of(page), page.locator("#panel"), page.locator("#panel-heading")
    place = next(place for place, gate in enumerate(circuit["gates"]) if len(gate["arguments"]) == 2)
    first, output = page.locator(f"#gate-{place}"), page.locator(f"#gate-{circuit['output']}")
    assert "Point at a gate" in panel.inner_text()
    seen = Seen(page)
    first.hover()
    gate = circuit["gates"][place]
    assert heading.inner_text() == f"Gate {gate['name']}"
    rows = panel.locator("tbody tr")
    assert rows.count() == 2
    for row, wire in zip(rows.all(), gate["arguments"], strict=True):
        value, local, contribution = (float(data.get_attribute("value") or "") for data in row.locator("data").all())
        assert value == seen.values[wire["gate"]]
        assert contribution == pytest.approx(local * seen.gradients[place], rel=1e-15)
        assert f"= {wire['localFormula']} = " in row.inner_text()
    page.mouse.move(1, 1)
    output.focus()
    assert panel.locator("dd data").first.inner_text() == "0.7310585786300049"
    page.keyboard.press("Enter")
    assert output.get_attribute("aria-pressed") == "true"
    first.hover()
    assert panel.locator("dd data").first.inner_text() == "0.7310585786300049"
    page.keyboard.press("Escape")
    assert output.get_attribute("aria-pressed") == "false"
    assert heading.inner_text() == f"Gate {gate['name']}"
    first.click()
    assert first.get_attribute("aria-pressed") == "true"


def test_trouble_is_marked_while_there_is_some(opened: Open) -> None:
    kernel = kernel_of(sp.log(x) * y)
    page = opened(html(kernel, 1.0, 2.0))
    trace = kernel.trace(-1.0, 2.0)
    assert any(gate.troubles for gate in trace.gates)
    assert page.locator(".troubled").count() == page.locator("#gates .trouble").count() == 0
    write(page, "x", "-1")
    for place, gate in enumerate(trace.gates):
        troubled = "troubled" in (page.locator(f"#gate-{place}").get_attribute("class") or "")
        assert troubled == bool(gate.troubles)
        said = page.locator("#gates tbody tr").nth(place).locator(".trouble").all_inner_texts()
        assert said == [f"! {reason}" for reason in gate.troubles]
        assert all(
            reason in (page.locator(f"#gate-{place}").get_attribute("aria-label") or "") for reason in gate.troubles
        )
    write(page, "x", "1")
    assert page.locator(".troubled").count() == page.locator("#gates .trouble").count() == 0


# --- for everybody, and against nobody --------------------------------------------------------------------------------


def test_every_control_has_a_name_and_what_happens_is_said(opened: Open) -> None:
    page = opened(neuron())
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    kinds = ("button", "textbox", "slider", "table", "link")
    controls = [(n["role"]["value"], n["name"]["value"]) for n in nodes if n.get("role", {}).get("value") in kinds]
    assert all(name for _, name in controls), controls
    gates = circuit_of(page)["gates"]
    said = [name for role, name in controls if role == "button" and "value" in name]
    assert len(said) == len(gates)
    assert "input w0, value 2.00, gradient -0.20" in said
    assert len([name for role, name in controls if role in ("textbox", "slider")]) == 2 * len(LECTURE)

    assert page.locator("#gates caption").inner_text()
    assert page.locator("#gates tbody th[scope=row]").count() == len(gates)
    assert page.locator("#gates thead th[scope=col]").count() == 5

    spoken = page.locator("[role=status][aria-live=polite]")
    press(page, "Restart")
    spoken.get_by_text("At the start. w0 is 2.00, ").wait_for(state="attached")
    press(page, "Run forward")
    press(page, "Step", 2)
    spoken.get_by_text(re.compile(r"backward\. At .*: 1\.00 times -0\.53 is -0\.53")).wait_for(state="attached")
    write(page, "w0", "0")
    spoken.get_by_text("is now 0.95").wait_for(state="attached")
    write(page, "w0", "zero")
    spoken.get_by_text("w0: not a number").wait_for(state="attached")


CONTRASTS = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const luminance = (colour) => {
        const [r, g, b] = rgba(colour).slice(0, 3).map((c) => linear(c / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        if (!element) return "white";
        const shape = element.matches(".gate") && element.querySelector("ellipse, circle, polygon, path");
        const colour = shape ? getComputedStyle(shape).fill : getComputedStyle(element).backgroundColor;
        return colour !== "none" && rgba(colour)[3] === 255 ? colour : behind(element.parentElement);
    };
    const found = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
        if (!own || !element.getClientRects().length || element.matches("script, title, noscript")) continue;
        const style = getComputedStyle(element);
        const ink = luminance(element instanceof SVGElement ? style.fill : style.color);
        const paper = luminance(behind(element));
        const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        found.push([element.outerHTML.slice(0, 80), contrast]);
    }
    return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(scheme: str, opened: Open) -> None:
    page = opened(html(kernel_of(sp.log(x) * y), -1.0, 2.0), color_scheme=scheme)
    dark = page.get_by_role("button", name="Dark colours")
    paper = "getComputedStyle(document.body).backgroundColor"
    first = page.evaluate(paper)
    for turn in range(2):
        assert dark.get_attribute("aria-pressed") == str((scheme == "dark") != bool(turn)).lower()
        for done in range(6):  # with highlights, and with all kinds of words
            contrasts = page.evaluate(CONTRASTS)
            assert len(contrasts) > 40
            assert [pair for pair in contrasts if pair[1] < 4.5] == [], done
            page.keyboard.press("ArrowRight")
        page.mouse.move(1, 1)
        dark.click()
        page.keyboard.press("End")
    assert page.evaluate(paper) == first


def test_a_narrow_window_has_everything_in_it(opened: Open) -> None:
    page = opened(neuron(), width=360)
    for width in (1280, 820, 600, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("#inputs").evaluate("(box) => box.scrollWidth <= box.clientWidth")
    box = page.locator("#drawing")
    assert box.evaluate("(box) => box.scrollWidth > box.clientWidth")
    page.keyboard.press("Home")
    inside = """(box) => {
        const frame = box.getBoundingClientRect();
        const gate = box.querySelector(".current").getBoundingClientRect();
        return frame.left <= gate.left && gate.right <= frame.right;
    }"""
    for _ in range(15):  # the drawing follows the steps
        page.keyboard.press("ArrowRight")
        assert box.evaluate(inside)
    press(page, "Fit")
    assert box.evaluate("(box) => box.scrollWidth <= box.clientWidth")


HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    '"><b>bold',
    "{{script}}",
    "<!--<script>",
    "${alert(1)}`'\\",
    "]]>&amp;",
)


def test_a_name_is_text_and_nothing_else(opened: Open) -> None:
    symbols = [sp.Symbol(name) for name in HOSTILE]
    kernel = kernel_of(sp.Add(*(symbol**2 for symbol in symbols)), args=symbols)
    page = opened(html(kernel, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    assert page.locator("img, #drawing b, table b, label *, h1 *").count() == 0
    assert page.locator("script").count() == 2
    assert [given["name"] for given in circuit_of(page)["inputs"]] == page.locator("label").all_text_contents()
    page.locator("#input-0").fill("10")
    assert_as_traced(page, kernel, (10.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    press(page, "Restart")
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    assert page.locator("img, #drawing b, table b, label *, h1 *").count() == 0


def test_the_policy_of_the_page_lets_no_request_out(browser: Browser, tmp_path: Path) -> None:
    text = neuron()
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"'<>]*", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    with socket.create_server(("127.0.0.1", 0)) as server, browser.new_context() as context:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        page = context.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        fetched = """(address) => fetch(address, { signal: AbortSignal.timeout(1000) }).then(() => "sent", String)"""
        assert "TypeError" in page.evaluate(fetched, address)
        pictured = """(address) => new Promise((resolve) => {
            document.addEventListener("securitypolicyviolation", (event) => resolve(event.blockedURI));
            setTimeout(() => resolve("no violation"), 1000);
            document.body.append(Object.assign(new Image(), { src: address }));
        })"""
        assert page.evaluate(pictured, address) == address
        with pytest.raises(BlockingIOError):  # nobody has called
            server.accept()
