"""What random programs may take: SymPy rewrites some of them without end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class TooLongError(BaseException):
    """It takes longer than it may; no Exception, as what tries a program takes those for its answers."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raises TooLongError in what takes longer."""

    def stop(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
