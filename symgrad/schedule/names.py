"""Names: the user's own, mangled only where they are no identifiers, are reserved, or collide."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable, Sequence


def identifier(name: str) -> str:
    """A Python identifier for a user's name: the name itself, NFKC-normalised as Python does, where it is one."""
    normal = unicodedata.normalize("NFKC", name)
    if normal.isidentifier():
        return normal
    # A combining mark may be a word character and still not start an identifier.
    text = re.sub(r"_+", "_", "".join(c if f"a{c}".isidentifier() else "_" for c in normal)).strip("_")
    text = unicodedata.normalize("NFKC", text)
    return text if text.isidentifier() else f"symbol_{text}" if f"symbol_{text}".isidentifier() else "symbol"


class Names:
    """Hands out names, no name twice."""

    def __init__(self, reserved: Iterable[str]) -> None:
        self.taken = {*reserved, *keyword.kwlist, "__debug__"}
        self.numbers: dict[str, int] = {}  # the last number tried behind a name

    def take(self, wanted: str, counted: bool = False) -> str:
        """`wanted`, or with a number behind it where that is taken; `counted` names always have a number."""
        name = f"{wanted}_1" if counted else wanted
        number = self.numbers.get(wanted, 1)
        while name in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.numbers[wanted] = number
        self.taken.add(name)
        return name


def input_names(names: Sequence[str], reserved: Iterable[str]) -> tuple[list[str], Names]:
    """An identifier per input. Names that need no change keep theirs, whatever comes before them."""
    handing = Names(reserved)
    found: dict[int, str] = {}
    for place, name in enumerate(names):
        if identifier(name) == name and name not in handing.taken:
            found[place] = handing.take(name)
    for place, name in enumerate(names):
        if place not in found:
            found[place] = handing.take(identifier(name))
    return [found[place] for place in range(len(names))], handing


def merged(terms: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """The terms of an affine form in names, equal ones together."""
    total: dict[str, int] = {}
    for name, factor in terms:
        total[name] = total.get(name, 0) + factor
    return tuple((name, factor) for name, factor in total.items() if factor)
