"""What a schedule finds: all of a program but the words about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from symgrad_codegen.program import Bound, Extent, Input, Output, Pattern, Step, Storage


class Scheduled(NamedTuple):
    """Steps, what they read and what they fill; fields as of a Program."""

    inputs: tuple[Input, ...]
    extents: tuple[Extent, ...]
    storages: tuple[Storage, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]
    bounds: tuple[Bound, ...]
    sizes: Mapping[str, str]  # what the user's extents are called
    pattern: Pattern | None = None
