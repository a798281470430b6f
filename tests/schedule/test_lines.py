"""Lines: what is read more than once has a name, what is read once stands where it is read, and lines stay short."""

from __future__ import annotations

from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.program import Affine, Assignment, Call, Element, Expression, Read, Statement, Store
from symgrad_codegen.text.expressions import expression_text

from symgrad.schedule.lines import Lines
from symgrad.schedule.names import Names

OUT = Element("out", (Affine((("i", 1),)),))


class Body:
    """A body over the names x0, x1, ..., written as one would say it."""

    def __init__(self, whole_sums: bool = False) -> None:
        self.names = Names(())
        self.lines = Lines(self.names, whole_sums)

    def call(self, gate: str, *arguments: Expression, kept: bool = False) -> Read:
        return self.lines.value(
            Call(FUNCTIONS[gate], arguments), lambda: self.names.take(gate, counted=True), gate, is_kept=kept
        )

    def store(self, value: Expression) -> None:
        self.lines.add(Store(OUT, value))

    def text(self) -> list[str]:
        return [_text(statement) for statement in self.lines.written()]


def _text(statement: Statement) -> str:
    name = statement.name if isinstance(statement, Assignment) else "out"
    return f"{name} = {expression_text(statement.value, 'float64')}"


def test_read_once_stands_where_it_is_read() -> None:
    body = Body()
    body.store(body.call("exp", body.call("mul", Read("x"), Read("y"))))
    assert body.text() == ["out = exp(x * y)"]


def test_read_twice_has_a_name() -> None:
    body = Body()
    product = body.call("mul", Read("x"), Read("y"))
    body.store(body.call("add", product, body.call("exp", product)))
    assert body.text() == ["mul_1 = x * y", "out = mul_1 + exp(mul_1)"]


def test_read_twice_in_one_place_has_a_name() -> None:
    body = Body()
    root = body.call("sqrt", Read("x"))
    body.store(body.call("mul", root, root))
    assert body.text() == ["sqrt_1 = sqrt(x)", "out = sqrt_1 * sqrt_1"]


def test_what_is_kept_has_a_line_and_what_nobody_reads_has_none() -> None:
    body = Body()
    inner = body.call("exp", Read("x"))
    body.call("sqrt", inner)  # and so nobody reads the exponential either, but for the one that is kept
    body.call("sin", Read("x"), kept=True)
    assert body.text() == ["sin_1 = sin(x)"]


def test_a_sign_has_no_name() -> None:
    """What it is the sign of has one, however often the sign is read."""
    body = Body()
    sign = body.call("neg", body.call("exp", Read("x")))
    body.store(body.call("mul", sign, body.call("sin", sign)))
    assert body.text() == ["exp_1 = exp(x)", "out = -exp_1 * sin(-exp_1)"]


def test_lines_stay_short() -> None:
    """A chain of 20 operations is cut where a line has eight, or six one within the other."""
    body = Body()
    value: Expression = Read("x")
    for _ in range(20):
        value = body.call("sin", value)
    body.store(value)
    lines = body.text()
    assert [line.count("sin(") for line in lines] == [6, 6, 6, 2]
    body = Body()
    value = Read("x")
    for step in range(20):
        value = body.call("mul" if step % 2 else "add", value, Read("y"))
    body.store(value)
    assert max(line.count(" * ") + line.count(" + ") for line in body.text()) <= 8


def test_a_sum_of_some_products_stays_one_line() -> None:
    body = Body()
    body.store(body.call("add", *(body.call("mul", Read(f"x{i}"), Read(f"y{i}")) for i in range(6))))
    assert body.text() == ["out = " + " + ".join(f"x{i} * y{i}" for i in range(6))]


def test_a_long_sum_takes_several_lines() -> None:
    """From left to right, as it would be added on one."""
    body = Body()
    body.store(body.call("add", *(Read(f"x{i}") for i in range(20))))
    assert body.text() == [
        "partial_add_1 = " + " + ".join(f"x{i}" for i in range(8)),
        "partial_add_2 = " + " + ".join(["partial_add_1", *(f"x{i}" for i in range(8, 15))]),
        "out = " + " + ".join(["partial_add_2", *(f"x{i}" for i in range(15, 20))]),
    ]
    body = Body(whole_sums=True)
    body.store(body.call("add", *(Read(f"x{i}") for i in range(20))))
    assert len(body.text()) == 1


def test_targets_read_their_places() -> None:
    """An index that is read twice, in a target and in a value, is computed once."""
    body = Body()
    index = body.call("floor", Read("x"))
    body.lines.add(Store(Element("out", (index,)), body.call("mul", index, Read("y"))))
    (first, second) = body.lines.written()
    assert isinstance(first, Assignment)
    assert isinstance(second, Store)
    assert (first.name, second.target) == ("floor_1", Element("out", (Read("floor_1"),)))
