"""Names that nothing has yet."""

from __future__ import annotations

from collections.abc import Container, Iterable


def free(wanted: Iterable[str], taken: Container[str]) -> list[str]:
    """The names, with underscores behind those that are taken, or stand among them already."""
    found: dict[str, None] = {}
    for name in wanted:
        while name in taken or name in found:
            name += "_"
        found[name] = None
    return list(found)
