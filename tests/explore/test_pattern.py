"""Pictures of patterns: well formed, every entry in its place, shades, names and borders."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad
from symgrad.explore.pattern import PatternDrawing, Side, draw_pattern

SVG = "{http://www.w3.org/2000/svg}"


def cells(drawing: PatternDrawing) -> dict[tuple[int, int], float]:
    """The cells that are drawn, and how dark each is."""
    found = {}
    for path in ElementTree.fromstring(drawing.svg).iter(f"{SVG}path"):
        for start, row, count, back in re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", path.attrib["d"]):
            assert count == back
            for column in range(int(start), int(start) + int(count)):
                assert (int(row), column) not in found
                found[int(row), column] = float(path.attrib["fill-opacity"])
    return found


def texts(drawing: PatternDrawing) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(drawing.svg).iter(f"{SVG}text")]


def drawn(shape: tuple[int, int], rows: Any, columns: Any) -> PatternDrawing:
    sides = [Side(length, [(name, 0, length, ())]) for name, length in zip("fx", shape, strict=True)]
    return draw_pattern(sides[0], sides[1], np.array(rows, np.int32), np.array(columns, np.int32))


@pytest.mark.parametrize("shape", [(5, 5), (1, 1), (3, 200), (240, 240), (200, 1)])
def test_a_cell_for_each_entry(shape: tuple[int, int]) -> None:
    there = np.random.default_rng(0).random(shape) < 0.3
    there.flat[0] = True
    found = cells(drawn(shape, *np.nonzero(there)))
    assert set(found) == set(zip(*map(np.ndarray.tolist, np.nonzero(there)), strict=True))
    assert set(found.values()) == {1.0}


@pytest.mark.parametrize("shape", [(1000, 1000), (241, 7), (100_000, 333)])
def test_cells_of_a_large_matrix_stand_for_all_entries(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(1)
    rows, columns = (generator.integers(0, length, 500) for length in shape)
    wanted = {
        tuple(int(at) * min(240, length) // length for at, length in zip(place, shape, strict=True))
        for place in zip(rows, columns, strict=True)
    }
    drawing = drawn(shape, rows, columns)
    assert set(cells(drawing)) == wanted
    assert "a pixel" in drawing.caption


def test_denser_cells_are_darker() -> None:
    rows = [0, *range(1000, 1004), *[2000 + k for k in range(8) for _ in range(8)]]
    columns = [0, *range(1000, 1004), *[2000 + k for _ in range(8) for k in range(8)]]
    found = cells(drawn((2400, 2400), rows, columns))
    assert found[0, 0] < found[100, 100] < found[200, 200] == 1.0


def test_a_large_one_is_quick_to_read() -> None:
    count = 100_000
    at = np.arange(count)
    drawing = drawn((count, count), np.repeat(at, 2), np.stack([at, at[::-1]], 1).ravel())
    assert len(drawing.svg) < 50_000
    assert "100,000 rows, 100,000 columns, 200,000 entries" in drawing.caption


def test_names_and_borders() -> None:
    n, i = sp.symbols("n i", integer=True)
    x, y = sp.IndexedBase("x", shape=(n,)), sp.Symbol("y<&>")
    outputs = {"chain": symgrad.family(x[i] ** 2 * y, (i, n)), "rest": y**2 + x[0]}
    drawing = symgrad.compile(outputs, [x, y], sparse="csr").pattern(np.ones(4), 2.0).draw()
    assert texts(drawing)[:4] == ["chain", "rest", "x", "y<&>"]
    assert "M0 96.0h" in drawing.svg  # between the two outputs
    assert "M96.0 0v" in drawing.svg  # between the two inputs
    many = symgrad.compile(sp.symbols("f:300"), sparse="csr").pattern(*range(300)).draw()
    assert 5 < len(texts(many)) < 100


def test_without_entries() -> None:
    drawing = drawn((0, 3), [], [])
    assert cells(drawing) == {}
    assert "0 rows" in drawing.caption


def test_it_is_saved_and_shown(tmp_path: Path) -> None:
    drawing = drawn((2, 2), [0, 1], [0, 1])
    drawing.save(tmp_path / "pattern.svg")
    assert (tmp_path / "pattern.svg").read_text() == drawing.svg
    assert "background: white" in drawing._repr_svg_()
    assert repr(drawing) == "<symgrad drawing of a pattern: 2 rows, 2 columns, 2 entries, 0.5 of all>"
    with pytest.raises(ValueError, match=r"\.svg"):
        drawing.save("pattern.png")
