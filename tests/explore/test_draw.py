"""Drawings: what is in them, where it stands, that nothing overlaps, and what is refused."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, NamedTuple

import corpus
import numpy as np
import pytest
import sympy as sp

import symgrad
from symgrad.cli import main
from symgrad.commands import BAD_INPUT, DONE
from symgrad.explore.draw import MAX_GATES, Drawing, brief
from symgrad.explore.records import Summary
from symgrad.tables import visible

pytest.importorskip("pygraphviz", reason="Graphviz, the extra draw, is missing")

SVG = "{http://www.w3.org/2000/svg}"
NEURON = "s = w0*x0 + w1*x1 + w2\n1/(1 + exp(-s))"
POINT = {"w0": 2.0, "w1": -3.0, "w2": -3.0, "x0": -1.0, "x1": -2.0}
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class Text(NamedTuple):
    """A text of a picture: its box, in points, y downwards."""

    text: str
    owner: str  # the id of the group that it is in
    colour: str
    left: float
    top: float
    right: float
    bottom: float


def texts(svg: str) -> list[Text]:
    """The texts of a picture with their boxes, as wide as the letters of Helvetica are at the most on average."""
    found = []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        for element in group.findall(f"{SVG}text"):
            size = float(element.get("font-size", "14"))
            x, y, text = float(element.get("x", "0")), float(element.get("y", "0")), element.text or ""
            half = 0.55 * size * len(text) / 2
            box = x - half, y - 0.8 * size, x + half, y + 0.1 * size
            found.append(Text(text, group.get("id", ""), element.get("fill", "black"), *box))
    return found


def overlapping(svg: str) -> list[tuple[str, str]]:
    """The pairs of texts that overlap."""
    boxes = [text for text in texts(svg) if text.text.strip()]
    return [
        (a.text, b.text)
        for i, a in enumerate(boxes)
        for b in boxes[i + 1 :]
        if min(a.right, b.right) > max(a.left, b.left) and min(a.bottom, b.bottom) > max(a.top, b.top)
    ]


def drawn(text: str, **point: Any) -> Drawing:
    return symgrad.compile(text).draw(**point)


def test_first_circuit_of_the_lecture() -> None:
    drawing = drawn("(x + y)*z", x=-2, y=5, z=-4)
    found = {text.owner: [] for text in texts(drawing.svg)}
    for text in texts(drawing.svg):
        found[text.owner].append(text)
    words = {owner: [text.text for text in own] for owner, own in found.items()}
    assert [words[f"gate-{i}"] for i in range(5)] == [["x"], ["y"], ["z"], ["+"], ["*"]]
    assert [words[f"wire-{i}"] for i in range(5)] == [
        ["-2.00", "-4.00"],
        ["5.00", "-4.00"],
        ["-4.00", "3.00"],
        ["3.00", "-4.00"],
        ["-12.00", "1.00"],
    ]
    for number in range(5):
        value, gradient = found[f"wire-{number}"]
        assert (value.colour, gradient.colour) == ("#0a7d33", "#c62828")
        assert value.bottom < gradient.top  # above and below the wire
    assert found["gate-3"][0].right < found["gate-4"][0].left  # left to right
    assert words["output"] == ["f"]
    assert not overlapping(drawing.svg)


def test_second_circuit_of_the_lecture() -> None:
    kernel = symgrad.compile(NEURON)
    elementary = kernel.draw(**POINT, level="elementary")
    labels = [text.text for text in texts(elementary.svg) if text.owner.startswith("gate")]
    assert sorted(labels) == sorted(["w0", "w1", "w2", "x0", "x1", "*", "*", "+", "+", "*-1", "exp", "+1", "1/x"])
    gates = kernel.draw(**POINT)
    labels = [text.text for text in texts(gates.svg) if text.owner.startswith("gate")]
    assert sorted(labels) == sorted(["w0", "w1", "w2", "x0", "x1", "*", "*", "+", "σ"])
    for drawing in (elementary, gates):
        wires = {text.text for text in texts(drawing.svg) if text.owner.startswith("wire")}
        assert {"0.73", "0.20", "-0.20", "-0.39", "-0.59", "0.39", "1.00"} <= wires
        assert not overlapping(drawing.svg)


@pytest.mark.parametrize("case", corpus.CORPUS[::11], ids=lambda case: case.name)
def test_nothing_overlaps(case: corpus.Case) -> None:
    point = {name: float(array[0]) for name, array in corpus.points(case, 1).items()}
    assert not overlapping(drawn(case.text, **point).svg)


def test_what_overlaps_is_found() -> None:
    svg = drawn("(x + y)*z", x=-2, y=5, z=-4).svg
    moved = re.sub(
        r'(<g id="wire[^>]*3".*?<text[^>]* y=")[-0-9.]+(".*?<text[^>]* y=")[-0-9.]+',
        r"\g<1>-70\g<2>-70",
        svg,
        flags=re.S,
    )
    assert moved != svg
    assert overlapping(moved)


def test_shared_gate_is_drawn_once_with_what_each_reader_sends() -> None:
    drawing = drawn("sin(x)*y + sin(x)*exp(z)", x=1, y=2, z=0)
    assert drawing.dot.count("label=<sin>") == 1
    several = drawn("s = sin(x)\ns*y + exp(s)", x=1, y=2)
    branches = [text for text in texts(several.svg) if text.owner.startswith("edge")]
    assert sorted(text.text for text in branches) == ["2.00", f"{np.exp(np.sin(1)):.2f}"]
    assert {text.colour for text in branches} == {"#c62828"}


def test_trouble_is_marked() -> None:
    dot = drawn("y*max(0, x)", x=-1, y=2).dot
    (line,) = [line for line in dot.splitlines() if "max(0, x)" in line]
    assert 'class="gate gate trouble"' in line
    assert 'style="dashed"' in line
    assert "trouble" not in drawn("y*max(0, x)", x=1, y=2).dot


def test_arrays_are_drawn_with_shapes_and_norms() -> None:
    kernel = symgrad.compile("w: vector(n)\nx: vector(n)\nsum(w[i]*x[i] for i in range(n))")
    svg = kernel.draw(np.array([3.0, 4.0]), np.array([1.0, 1.0])).svg
    shown = {text.text for text in texts(svg)}
    assert {"Σ i", "2 ‖5.00‖", "‖1.41‖", "7.00"} <= shown
    with pytest.raises(symgrad.SymgradError, match="has arrays: draw it with level='entries'"):
        _ = kernel.draw(np.ones(2), np.ones(2)).html
    page = kernel.draw(np.array([3.0, 4.0]), np.array([1.0, 1.0]), level="entries").html
    assert '"name": "w[1]", "gate": 1, "value": 4.0' in page


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.00"),
        (-0.0, "0.00"),
        (-12, "-12.00"),
        (0.1, "0.10"),
        (0.0987, "0.099"),
        (0.00123, "0.0012"),
        (-0.00012, "-1.2e-04"),
        (99999.994, "99999.99"),
        (1e5, "1.0e+05"),
        (-1.5e-300, "-1.5e-300"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (True, "true"),
        (Summary((2,), 5.0, 0, 4, 0, 0), "‖5.00‖"),
    ],
)
def test_numbers_on_wires(number: Any, text: str) -> None:
    assert brief(number) == text


HOSTILE = ['</text><script>alert("1")</script>', 'a"]; b [label=<x>', "x<y&z", "\\N", "a\nb", "{|}", "x\x00", "ξ y"]


def test_hostile_names_are_text() -> None:
    symbols = [sp.Symbol(name) for name in HOSTILE]
    drawing = symgrad.compile(sum(symbol**2 for symbol in symbols), args=symbols).draw(*range(8))
    found = [text.text for text in texts(drawing.svg) if text.owner.startswith("gate")]
    for name in HOSTILE:
        shown = visible(name)
        assert shown[:27] in "".join(found).replace("\xa0", " "), name
    assert "<script" not in drawing.svg


def large() -> Any:
    lines = ["a0 = x0"] + [f"a{i} = sin(a{i - 1}*x{i % 9}) + x{i % 7}" for i in range(1, 80)]
    return symgrad.compile("\n".join([*lines, "a79"]))


def test_large_circuits_are_refused_and_narrowed() -> None:
    kernel, point = large(), [0.1 * i + 0.2 for i in range(9)]
    with pytest.raises(symgrad.SymgradError, match=r"nearest=40 draws .* through='x0'"):
        kernel.draw(*point)
    with pytest.raises(symgrad.SymgradError, match=r"\(nearest=200\) are more"):
        kernel.draw(*point, nearest=200)
    near = kernel.draw(*point, nearest=10)
    assert 10 <= len(near.trace.gates) <= 25
    assert re.fullmatch(
        r"\d+ of \d+ gates and inputs are left out: only the 10 gates nearest to the value", near.left_out
    )
    assert "are left out" in near.svg
    whole = kernel.trace(*point)
    assert near.trace.gates[near.trace.output].value == whole.value
    assert near.trace.gates[near.trace.output].gradient == 1.0
    by_formula = {gate.formula: gate for gate in whole.gates}
    assert all(by_formula[gate.formula].gradient == gate.gradient for gate in near.trace.gates)
    for number in (0, -3):
        with pytest.raises(ValueError, match="nearest is a number of gates"):
            kernel.draw(*point, nearest=number)


def test_arrays_are_narrowed() -> None:
    kernel = symgrad.compile("W: matrix(2, d)\nx: vector(d)\nq = W @ x\nsum(q[i]**2 for i in range(2)) + exp(2*z)")
    point = {"W": np.array([[1.0, 2.0], [3.0, 4.0]]), "x": np.array([1.0, 0.0]), "z": 0.5}
    whole = {gate.formula: gate for gate in kernel.trace(**point).gates}
    for narrowing in ({"nearest": 2}, {"through": "W"}):
        drawing = kernel.draw(**point, **narrowing)
        assert "are left out" in drawing.left_out
        for gate in drawing.trace.gates:
            assert (gate.value, gate.gradient) == (whole[gate.formula].value, whole[gate.formula].gradient)


def test_ways_of_one_input() -> None:
    kernel = symgrad.compile("exp(x)*sin(y) + tanh(y*z) + z**2")
    drawing = kernel.draw(0.1, 0.2, 0.3, through="x")
    labels = [gate.label for gate in drawing.trace.gates]
    assert labels.count("...") == 3
    assert {"x", "exp", "*", "+"} <= set(labels)
    assert "only the ways from x are shown" in drawing.left_out
    assert drawing.trace.gates[drawing.trace.output].value == pytest.approx(kernel(0.1, 0.2, 0.3).value)
    with pytest.raises(ValueError, match="no input 'q' in the circuit; its inputs are x, y, z"):
        kernel.draw(0.1, 0.2, 0.3, through="q")


def test_dot_needs_no_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    drawing = drawn("(x + y)*z", x=-2, y=5, z=-4)
    assert drawing.dot.startswith("digraph circuit {")
    assert drawing._repr_svg_() is None
    with pytest.raises(symgrad.SymgradError, match=r"pip install 'symgrad\[draw\]'"):
        _ = drawing.svg


def test_files_by_suffix(tmp_path: Path) -> None:
    drawing = drawn("(x + y)*z", x=-2, y=5, z=-4)
    for suffix, start in ((".svg", "<svg"), (".dot", "digraph"), (".gv", "digraph"), (".html", "<!doctype html>")):
        file = tmp_path / f"circuit{suffix}"
        drawing.save(file)
        assert file.read_text(encoding="utf-8").startswith(start)
    with pytest.raises(ValueError, match=r"circuit\.png: a drawing is written as"):
        drawing.save(tmp_path / "circuit.png")


def test_same_text_every_time() -> None:
    assert len({drawn(NEURON, **POINT).dot for _ in range(2)}) == 1


# --- the command line -------------------------------------------------------------------------------------------------

INPUTS = [f"{name}={value}" for name, value in POINT.items()]


def run(*arguments: str) -> int:
    return main([arguments[0], str(EXAMPLES / "neuron.txt"), *arguments[1:]])


def test_trace_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("trace", *INPUTS) == DONE
    assert "sigmoid(s)" in capsys.readouterr().out
    assert run("trace", *INPUTS, "--explain", "w0", "--level", "elementary") == DONE
    assert "mul switches" in capsys.readouterr().out
    assert run("trace", *INPUTS, "--json") == DONE
    assert '"level": "gates"' in capsys.readouterr().out
    assert run("trace", "w0=1") == BAD_INPUT
    assert "missing inputs: write w1=... w2=..." in capsys.readouterr().err
    assert run("trace", *INPUTS, "--explain", "q") == BAD_INPUT


def test_draw_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("draw", *INPUTS) == DONE
    assert capsys.readouterr().out.startswith("<svg")
    assert run("draw", *INPUTS, "--format", "dot") == DONE
    assert capsys.readouterr().out.startswith("digraph")
    assert run("draw", *INPUTS, "--nearest", "2", "-o", str(tmp_path / "a.gv")) == DONE
    assert "are left out" in capsys.readouterr().err
    assert (tmp_path / "a.gv").read_text(encoding="utf-8").startswith("digraph")
    assert run("draw", "--through", "w0") == DONE
    assert "drawn at w0=" in capsys.readouterr().err


def test_explore_command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    monkeypatch.chdir(tmp_path)
    assert run("explore", *INPUTS) == DONE
    page = tmp_path / "neuron.html"
    assert opened == [page.as_uri()]
    assert capsys.readouterr().out.strip() == str(page)
    assert run("explore", *INPUTS, "--no-open") == DONE  # over its own page
    assert len(opened) == 1
    page.write_text("notes of mine", encoding="utf-8")
    assert run("explore", *INPUTS) == BAD_INPUT
    assert "is no page of symgrad's" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == "notes of mine"


def test_arrays_on_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "dot.txt"
    file.write_text("w: vector(n)\nx: vector(n)\nsum(w[i]*x[i] for i in range(n))\n", encoding="utf-8")
    assert main(["eval", str(file), "w=[3, 4]", "x=[1,2]"]) == DONE
    assert capsys.readouterr().out == "value  11.0\nd_w    [1.0, 2.0]\nd_x    [3.0, 4.0]\n"
    assert main(["trace", str(file), "w=[3, 4]", "x=[1,2]"]) == DONE
    assert "(2,) norm 5" in capsys.readouterr().out
    for bad in ("w=[1,[2]]", "w=[NaN]", "w=[[[", 'w=["a"]', "w=[true]"):
        assert main(["eval", str(file), bad, "x=[1,2]"]) == BAD_INPUT
        assert "lists of numbers" in capsys.readouterr().err
    assert main(["check", str(file)]) == BAD_INPUT
    assert "missing inputs: write w=[...] x=[...]" in capsys.readouterr().err
    assert len(str(MAX_GATES)) == 3
