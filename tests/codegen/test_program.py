"""Walking over the expressions of programs, and changing parts of them."""

from __future__ import annotations

from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.program import (
    Affine,
    Call,
    Element,
    Expression,
    Holds,
    Integer,
    Literal,
    Number,
    Read,
    forms,
    mapped,
    parts,
    walk,
)

AT, N = Affine((("i", 1),)), Affine((("n", 1),), -1)
Y = Element("y", (AT,))
GATHER = Element("x", (Integer(Y), N), ((0, N),))
WHOLE = Call(FUNCTIONS["select"], (Holds(N), Call(FUNCTIONS["add"], (Read("a"), Number(AT))), GATHER))


def test_a_walk_comes_by_every_part_from_the_left_and_each_before_its_own() -> None:
    inner = WHOLE.arguments[1]
    wanted = [WHOLE, Holds(N), inner, Read("a"), Number(AT), GATHER, Integer(Y), Y]
    assert list(walk(WHOLE)) == wanted
    assert list(walk(WHOLE, entries=False)) == wanted[:-2]
    assert parts(GATHER) == (Integer(Y),)


def test_affine_integers_stand_beside_the_parts() -> None:
    assert forms(GATHER) == (N, N)  # a place, and the extent of one that is held inside
    assert forms(Holds(N)) == forms(Number(N)) == (N,)
    assert forms(WHOLE) == forms(Integer(Y)) == ()


def test_a_change_is_made_everywhere_and_not_within_what_is_changed() -> None:
    def change(part: Expression) -> Expression | None:
        return Read("b") if part == Y else Literal(2.0) if isinstance(part, Number) else None

    found = mapped(WHOLE, change)
    assert list(walk(found))[3:] == [Read("a"), Literal(2.0), GATHER._replace(index=(Integer(Read("b")), N))] + [
        Integer(Read("b")),
        Read("b"),
    ]
    assert mapped(GATHER, lambda part: Read("z") if isinstance(part, Element) else None) == Read("z")


def test_an_integer_in_the_place_of_an_integers_value_is_its_value() -> None:
    """A temporary that is read once stands where it is read."""
    assert mapped(Number(Read("k")), lambda part: Integer(AT) if isinstance(part, Read) else None) == Number(AT)


def test_a_walk_needs_no_recursion() -> None:
    deep: Expression = Read("a")
    for _ in range(5000):
        deep = Call(FUNCTIONS["neg"], (deep,))
    assert sum(1 for _ in walk(deep)) == 5001
