"""The examples: every expr.txt through the command line with the lecture's numbers, every script as it stands."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from symgrad.cli import main

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

# The point, then what the lecture (or the textbook) says: the value and each derivative, to the digits that it gives.
TEXTS = {
    "circuit": ("x=-2 y=5 z=-4", "value=-12 x=-4 y=-4 z=3"),
    "neuron": ("w0=2 w1=-3 w2=-3 x0=-1 x1=-2", "value=0.73 w0=-0.20 w1=-0.39 w2=0.20 x0=0.39 x1=-0.59"),
    "gates": ("x=3 y=-4 z=2 w=-1", "value=-20 w=0 x=-8 y=6 z=2"),
    "twice": ("x=0 y=5", "value=0 x=6 y=0"),
    # Price and delta as in Hull, Options, Futures and Other Derivatives; the other Greeks by their closed forms.
    "black_scholes": ("S=42 K=40 r=0.1 v=0.2 T=0.5", "value=4.76 S=0.779 K=-0.699 r=13.98 v=8.81 T=4.56"),
    "rosenbrock": ("x=-1.2 y=1", "value=24.2 x=-215.6 y=-88"),
}


def test_every_text_has_its_numbers() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.txt")} == set(TEXTS)


@pytest.mark.parametrize("name", TEXTS)
def test_text_gives_the_numbers(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    point, expected = TEXTS[name]
    assert main(["eval", str(EXAMPLES / f"{name}.txt"), *point.split()]) == 0
    found = dict(line.removeprefix("d_").split() for line in capsys.readouterr().out.splitlines())
    wanted = dict(item.split("=") for item in expected.split())
    assert found.keys() == wanted.keys()
    for key, number in wanted.items():
        digits = len(number.partition(".")[2])
        assert float(found[key]) == pytest.approx(float(number), abs=0.501 * 10**-digits if digits else 1e-9), key


@pytest.mark.parametrize("name", TEXTS)
def test_gradient_of_the_text_is_right(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(EXAMPLES / f"{name}.txt"), *TEXTS[name][0].split()]) == 0


# Scripts with a main(): the arguments of a short form, and the pictures. All the others run as they stand.
SHORT: dict[str, tuple[dict[str, Any], int]] = {
    "two_layer_net": ({"steps": 20, "hidden": 8, "per_class": 12}, 1),
    "three_layer_net": ({"steps": 5, "points": 20}, 1),
    "logistic_regression": ({"points": 200, "features": 3}, 1),
    "gaussian_mixture": ({"points": 100}, 1),
    "gaussian_process": ({"points": 15}, 1),
    "nonlinear_least_squares": ({}, 1),
    "rosenbrock": ({"sizes": (2, 10)}, 0),
    "see_the_circuit": ({}, 2),
}
PICTURES = b"\x89PNG", b"<svg", b"<!doctype html>"


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_script_runs(script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if script.stem in SHORT:
        arguments, pictures = SHORT[script.stem]
        for module in ("scipy", "matplotlib", "pygraphviz"):
            pytest.importorskip(module)
        if pictures:
            arguments = {"out": tmp_path / "pictures", **arguments}
        runpy.run_path(str(script))["main"](**arguments)
        drawn = [path for path in tmp_path.glob("pictures/*") if path.read_bytes().startswith(PICTURES)]
        assert len(drawn) == pictures
    else:
        runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out


def test_two_layer_net_learns_the_spiral(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    accuracies = runpy.run_path(str(EXAMPLES / "two_layer_net.py"))["main"](out=tmp_path, steps=1500)
    assert min(accuracies) >= 0.98
