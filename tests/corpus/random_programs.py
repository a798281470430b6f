"""Random programs with arrays and matrices, by the thousand: figures, and each failure made small.

python tests/corpus/random_programs.py arrays 1000 --seed 7
python tests/corpus/random_programs.py matrices 100 --derivative hessian
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace

import programs
from limits import TooLongError, limited
from programs import Choices, Program, shrunk
from trials import QUICK, RUNS, Outcome, tried

from symgrad.errors import UnsupportedExpression

FIXED = 1000

SECONDS = 120  # for one program, and once more to make it small where it is wrong

KINDS: dict[str, Callable[[Choices], Program]] = {"arrays": programs.array_program, "matrices": programs.matrix_program}


class NotMadeError(Exception):
    """SymPy does not take what a program would be made of."""


def made(kind: str, choices: Choices, derivative: str = "gradient") -> Program:
    try:
        program = KINDS[kind](choices)
        return programs.family_of(program) if derivative == "jacobian" else replace(program, derivative=derivative)
    except (TypeError, ValueError) as error:
        raise NotMadeError from error


def all_right(
    kind: str, derivative: str, seeds: Sequence[int], first_difference: Callable[[Program], str | None]
) -> int:
    """How many programs were tried: those that are not too large. AssertionError with what is wrong with some.

    `first_difference` says what is, in words: nothing where nothing is, None of a program that it does not try.
    """
    count, wrong = 0, list[str]()
    for seed in seeds:
        try:
            with limited(30):
                found = first_difference(made(kind, Choices(random.Random(seed)), derivative))
        except (NotMadeError, TooLongError, UnsupportedExpression):
            continue
        count += found is not None
        wrong += [f"seed {seed}: {found}"] if found else []
    assert not wrong, "\n".join(wrong)
    return count


@dataclass
class Campaign:
    """Some random programs of one kind, and what came of them."""

    kind: str
    runs: Sequence[str] = QUICK
    derivative: str = "gradient"
    outcomes: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)  # one of each sort, made small
    unfinished: list[int] = field(default_factory=list)
    ratio: float = 0.0

    def run(self, seed: int) -> None:
        choices = Choices(random.Random(seed))
        try:
            with limited(SECONDS):
                outcome = tried(made(self.kind, choices, self.derivative), self.runs)
        except NotMadeError:
            self.outcomes["not made"] += 1
            return
        except TooLongError:
            self.unfinished.append(seed)
            self.outcomes["unfinished"] += 1
            return
        self.outcomes[outcome.kind] += 1
        self.ratio = max(self.ratio, outcome.ratio)
        if outcome.kind == "refused":
            self.refusals[_sort(outcome)] += 1
        if outcome.kind == "wrong":
            with suppress(TooLongError), limited(SECONDS):
                self._note(seed, choices, outcome)

    def _note(self, seed: int, choices: Choices, outcome: Outcome) -> None:
        sort = _sort(outcome)
        if sort in self.failures:
            self.failures[sort] += f", {seed}"
            return

        def fails(given: Sequence[int]) -> bool:
            try:
                found = tried(made(self.kind, Choices(given=given), self.derivative), self.runs)
            except NotMadeError:
                return False
            return found.kind == "wrong" and _sort(found) == sort

        self.failures[sort] = f"{outcome.why}\n    seed {seed}"
        small = made(self.kind, Choices(given=shrunk(choices.taken, fails)), self.derivative)
        self.failures[sort] = f"{tried(small, self.runs).why}\n    {small}\n    seed {seed}"

    def join(self, other: Campaign) -> None:
        self.outcomes += other.outcomes
        self.refusals += other.refusals
        self.unfinished += other.unfinished
        self.ratio = max(self.ratio, other.ratio)
        for sort, text in other.failures.items():
            seeds = text.rpartition("    seed ")[2]
            self.failures[sort] = f"{self.failures[sort]}, {seeds}" if sort in self.failures else text

    def figures(self) -> str:
        counts = ", ".join(f"{count} {kind}" for kind, count in self.outcomes.most_common())
        lines = [f"{self.outcomes.total()} programs with {self.kind}, {self.derivative}: {counts}; "]
        lines[0] += f"largest error {self.ratio:.2g} slacks"
        lines += [f"refused {count} times: {sort}" for sort, count in self.refusals.most_common()]
        lines += [f"longer than {SECONDS} s: seeds {', '.join(map(str, self.unfinished))}"] if self.unfinished else []
        lines += [f"wrong {sort}\n  {text}" for sort, text in self.failures.items()]
        return "\n".join(lines)


def _sort(outcome: Outcome) -> str:
    """What sort of a failure or refusal it is: its text without numbers and names."""
    text = outcome.why
    if outcome.kind == "refused":
        for words in (
            "out of the bounds",
            "is bound by no Sum",
            "not affine",
            "no array is left",
            "depends on an index",
        ):
            if words in text:
                return words
        return text[:100]
    if "VerificationError" in text:
        words = re.sub(r"\W\w*[_\d]\w*|\[.*?\]|\(.*?\)|\d+", " ", text.split("This is a fault")[0])
        return f"verifier: {' '.join(words.split()[4:12])}"
    way, _, rest = text.partition(": ")
    if rest.startswith("value"):
        return f"{way}: value" + (" nan" if rest.startswith("value nan") else "")
    if rest.startswith("d2_"):
        return f"{way}: hessian" + (" nan" if " nan, want" in rest else "")
    if rest.startswith("d_"):
        return f"{way}: gradient" + (" nan" if " nan, want" in rest else "")
    return f"{way}: {''.join(c for c in rest if not c.isdigit())[:60]}"


def campaign_of(kind: str, runs: Sequence[str], seeds: Sequence[int], derivative: str = "gradient") -> Campaign:
    campaign = Campaign(kind, runs, derivative)
    for seed in seeds:
        campaign.run(seed)
    return campaign


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0, help="of the first program; the next has the next")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=QUICK)
    parser.add_argument("--derivative", choices=("gradient", "jacobian", "hessian"), default="gradient")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    start, stop = options.seed, options.seed + options.count
    begin = time.perf_counter()
    whole = Campaign(options.kind, options.runs, options.derivative)
    with ProcessPoolExecutor(options.jobs) as pool:
        parts = [range(first, min(first + 20, stop)) for first in range(start, stop, 20)]
        given = (
            itertools.repeat(options.kind),
            itertools.repeat(options.runs),
            parts,
            itertools.repeat(options.derivative),
        )
        for part in pool.map(campaign_of, *given):
            whole.join(part)
    print(whole.figures())
    print(f"seeds {start} to {stop - 1}, {time.perf_counter() - begin:.0f} s")
    return int(bool(whole.failures))


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)  # of infinities on the way
    sys.exit(main())
