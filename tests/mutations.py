"""Small mistakes in the scheduler, the domains, differentiation and the laws, made one at a time: does a test notice?

    python tests/mutations.py                    # all of them; takes about a minute each where no test notices
    python tests/mutations.py --only domains     # those whose file or comment has one of these words

Each is made in a copy of the tree, where a selection of the tests runs until one fails. A mutation that no test notices
is a test that is missing, unless the mutation changes nothing: then its row says why.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("symgrad", "codegen", "tests", "examples", "pyproject.toml", "README.md")
SECONDS = 900  # for the tests of one mutation

# Which tests: those that notice most come first.
_TABLES = ("tests/evaluate/test_arrays.py::test_graph_agrees_with_the_reference",)
_PROGRAMS = ("tests/test_verify.py", "tests/kernel/test_arrays.py::test_nothing_is_read_before_it_is_written")
_BLOCKS = tuple(
    f"tests/kernel/test_arrays.py::test_{name}_of_the_data"
    for name in ("products_over_several_blocks", "a_product_over_several_parts")
)
_RANDOM = ("tests/whole/test_random_programs.py::test_random_programs_agree_with_the_oracle",)
_RULES = (
    "tests/transform/test_differentiate.py",
    "tests/transform/test_simplify.py",
    "tests/transform/laws/test_arrays.py",
)
SCHEDULE = (*_RANDOM, *_PROGRAMS, *_BLOCKS)
DOMAINS = (*_RANDOM, *_PROGRAMS, *_TABLES)
_EDGES = ("tests/whole/test_corpus.py",)
DERIVATIVES = (*_EDGES, *_RANDOM, *_TABLES, *_PROGRAMS, *_RULES[:1])
LAWS = (*_RULES[1:], *_TABLES, *_PROGRAMS, *_RULES[:1])


class Mutation(NamedTuple):
    file: str
    old: str
    new: str
    comment: str
    tests: tuple[str, ...]
    equivalent: str = ""  # why it changes nothing that a test could notice


MUTATIONS = [
    # --- plan ---------------------------------------------------------------------------------------------------------
    Mutation(
        "symgrad/schedule/data_axis.py",
        "return not item.reduction.is_plain or axis >= item.rank",
        "return item.reduction.is_plain and axis >= item.rank",
        "a scatter over the data is taken for a row",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/data_axis.py",
        "return own is not None and plain_axis(edge.index[self.place_of_data(edge.node)]) == own",
        "return own is not None",
        "what is read at another index of the data is not kept",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/plan.py",
        "level = max(level, self.level[edge.node] + waits)",
        "level = max(level, self.level[edge.node])",
        "what is kept is read in the pass that makes it",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/plan.py",
        "self.level[node] = self._source_level(node) + self.reduces_data(node)",
        "self.level[node] = self._source_level(node)",
        "a sum over the data is known before its pass is over",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/axes.py",
        "if first.isdisjoint(second):",
        "if True:",
        "two axes of one node are one loop",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/data_axis.py",
        "bound = self.domains.own[item].bounds[axis] or bound",
        "pass",
        "entries where no term arrives are not made",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/plan.py",
        "if len(plain) != 2 or None in plain or plain[0] == plain[1] or not self._is_matrix_operand(factor, node):",
        "if len(plain) != 2 or None in plain or plain[0] == plain[1]:",
        "a part of an array is multiplied as a whole",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/plan.py",
        "if any(len(form.axes) > 1 for form in node.reduction.constraints) or self.domains.of[node].coupled:",
        "if False:",
        "a triangular sum is a product of matrices",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/plan.py",
        "if node in self.kept:",
        "if node in self.kept and False:",
        "what another pass reads is not stored",
        SCHEDULE,
    ),
    # --- loops --------------------------------------------------------------------------------------------------------
    Mutation(
        "symgrad/schedule/nesting.py",
        "found.append(Fill(self.locations[item].array, identity_of(item)))",
        "found.append(Fill(self.locations[item].array, 0.0))",
        "products and largest ones start from 0",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/layout.py",
        "if self.plan.reduces_data(item) or not item.reduction.is_plain:",
        "if self.plan.reduces_data(item):",
        "a scatter is stored",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/groups.py",
        "if is_reduction(node) and any(own >= node.rank for own in inner):",
        "if False:",
        "a sum is read in the loop that adds it up",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/groups.py",
        "if plain is None or inner[place] != rolled.get(plain):",
        "if plain is None:",
        "a neighbour's entry is read in the loop that makes it",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/groups.py",
        "elif place != data and not _is_written_out(layout, item, at, layout.plan.bounds(node, place)):",
        "elif False:",
        "an entry of a short axis is read that this nest does not make",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/groups.py",
        "first = max(first, where[node] + (0 if together else 1))",
        "first = max(first, where[node])",
        "readers share the loops of what they wait for",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/groups.py",
        "and found[place].loops == loops",
        "and found[place].loops >= loops",
        "an item runs in more loops than its own",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/passes.py",
        "or self.reader_groups.get(item, set()) - {place}",
        "",
        "what a later nest reads is not stored",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/passes.py",
        "item not in strict and extents.imply(low.minus(span[0])) and extents.imply(span[1].minus(high))",
        "extents.imply(low.minus(span[0])) and extents.imply(span[1].minus(high))",
        "rows are written in a pass over more than they have",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/layout.py",
        "if is_permuted and len(plain) == sink.rank and len(reads) == 1:",
        "if is_permuted and len(plain) == sink.rank:",
        "the sum of a matrix and its transpose is made in its own place",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/layout.py",
        "lows = (*lows[:data], Index(()))",
        "pass",
        "rows are counted from their first one",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/layout.py",
        "if item in self.kept_locations and self.plan.level[item] != self.in_pass:",
        "if item in self.kept_locations:",
        "a pass reads what it keeps for others",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/groups.py",
        "return not low.terms and not high.terms",
        "return True",
        "what is gathered along a symbolic axis is chosen among all",
        SCHEDULE,
        "what is gathered is needed along a whole axis of an input, from 0 on: written out, it ends at a number",
    ),
    # --- nests --------------------------------------------------------------------------------------------------------
    Mutation(
        "symgrad/schedule/within.py",
        "if bound is not None and bound != looped:",
        "if False:",
        "a loop that is wider than the terms has no mask",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/within.py",
        "if self.ranges[self.data] != (low, high):",
        "if False:",
        "a pass that is wider than the terms has no mask",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/within.py",
        "forms += [own.minus(low), high.minus(own)]",
        "forms += [own.minus(low)]",
        "a mask lacks its upper end",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/within.py",
        "elif affine.offset < 0:",
        "elif affine.offset < -1:",
        "one index too many of those that are written out",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/within.py",
        "return self.is_certain(place) and self.is_certain(room)",
        "return self.is_certain(place)",
        "a masked read is not held below the end of its array",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/within.py",
        "least = least.plus(bound[0 if factor > 0 else 1].scaled(factor))",
        "least = least.plus(bound[0].scaled(factor))",
        "the least value of n - i is taken at the first i",
        SCHEDULE,
    ),
    Mutation(
        "symgrad/schedule/nests.py",
        "return own < item.rank",
        "return own <= item.rank",
        "terms of a short axis are stored one over the other",
        SCHEDULE,
    ),
    # --- rows, passes, array_cpu, runtime -----------------------------------------------------------------------------
    Mutation(
        "codegen/symgrad_codegen/targets/cpu/passes.py",
        "{block.count} = min({rows.points}, {block.stop} - {block.first})",
        "{block.count} = min({rows.points}, {block.stop} - {block.first} - 1)",
        "the last index of the data is left out",
        SCHEDULE,
    ),
    Mutation(
        "codegen/symgrad_codegen/targets/cpu/passes.py",
        'adds = f"{block.first} > {block.start}" if step.adds else "False"',
        'adds = "False"',
        "a product over the data keeps its last block only",
        SCHEDULE,
    ),
    Mutation(
        "codegen/symgrad_codegen/targets/cpu/rows.py",
        "return all(isinstance(p, Affine) and self.axis not in dict(p.terms) for p in element.index)",
        "return all(isinstance(p, Affine) for p in element.index)",
        "a row is taken for a number",
        SCHEDULE,
    ),
    Mutation(
        "codegen/symgrad_codegen/targets/cpu/arrays.py",
        "low = affine_text(step.low)",
        "low = affine_text(step.low._replace(offset=step.low.offset + 1))",
        "a pass starts one index too late",
        SCHEDULE,
    ),
    Mutation(
        "codegen/symgrad_codegen/reductions.py",
        '"{0} *= {1}", "PRODUCT"',
        '"{0} += {1}", "PRODUCT"',
        "parts of a product over the data are added",
        SCHEDULE,
    ),
    Mutation(
        "codegen/symgrad_codegen/text/arrays.py",
        'high = one_of_text("min", tuple(form._replace(offset=form.offset + 1) for form in loop.high))',
        'high = one_of_text("min", loop.high)',
        "loops end one index too early",
        SCHEDULE,
    ),
    Mutation(
        "codegen/symgrad_codegen/targets/cpu/runtime_arrays.py",
        "return max(0, min(index, extent - 1))",
        "return max(0, min(index, extent))",
        "a masked read is held one entry beyond its array",
        SCHEDULE,
    ),
    Mutation(
        "codegen/symgrad_codegen/targets/cpu/runtime_arrays.py",
        "begins = range(low, stop, part)",
        "begins = range(low, stop - part, part)",
        "the last part of a pass is left out",
        ("tests/kernel/test_arrays.py::test_the_bits_are_the_same_for_any_number_of_threads",),
    ),
    # --- domains ------------------------------------------------------------------------------------------------------
    Mutation(
        "symgrad/analysis/extents.py",
        'return (any if (kind == "max") == (factor > 0) else all)(map(self._say, both))',
        "return any(map(self._say, both))",
        "the smaller of two extents is as large as either",
        DOMAINS,
    ),
    Mutation(
        "symgrad/analysis/extents.py",
        'elif (found[0] == "min") == (found[1] > 0):',
        "else:",
        "the larger of two is at least 0: so are both",
        DOMAINS,
    ),
    Mutation(
        "symgrad/analysis/domains.py",
        'return a if kind == "max" else b\n        for a, b in',
        'return b if kind == "max" else a\n        for a, b in',
        "larger and smaller the other way round",
        DOMAINS,
    ),
    Mutation(
        "symgrad/analysis/domains.py",
        "return Domain(found, frozenset(form for form in forms if not self.implies(box, form)))",
        "return Domain(found, frozenset(form for form in forms if len(form.axes) > 1 and not self.implies(box, form)))",
        "constraints of extents alone are lost",
        DOMAINS,
    ),
    Mutation(
        "symgrad/analysis/domains.py",
        "coupled = frozenset.intersection(*(demand.coupled for demand in demands))",
        "coupled = frozenset.union(*(demand.coupled for demand in demands))",
        "a node is needed only where all readers read it",
        DOMAINS,
    ),
    Mutation(
        "symgrad/analysis/domains.py",
        'else (self.chosen("min", found[0], bound[0]), self.chosen("max", found[1], bound[1]))',
        'else (found[0], self.chosen("max", found[1], bound[1]))',
        "a node is needed from where its first reader starts",
        DOMAINS,
    ),
    Mutation(
        "symgrad/analysis/domains.py",
        "return None if low is None or high is None else (low, high.scaled(-1))\n\n    def _hull",
        "return None if low is None or high is None else (low, high.scaled(-1).plus(-1))\n\n    def _hull",
        "the last index that is read is not computed",
        DOMAINS,
    ),
    Mutation(
        "symgrad/analysis/domains.py",
        "substituted(form, names) for form in over.coupled if all(name in places for name in form.axes)",
        "substituted(form, names) for form in over.coupled if any(name in places for name in form.axes)",
        "a coupling of loops is one of axes that are not read",
        DOMAINS,
    ),
    # --- differentiate, sums ------------------------------------------------------------------------------------------
    Mutation(
        "symgrad/transform/differentiate.py",
        "common = frozenset.intersection(*[part.domain for part in contributions])",
        "common = frozenset.union(*[part.domain for part in contributions])",
        "what arrives on one domain is cut to all others",
        DERIVATIVES,
    ),
    Mutation(
        "symgrad/transform/differentiate.py",
        "limits = [*limits, axis(name).minus(own), own.minus(axis(name))]",
        "limits = [*limits, axis(name).minus(own)]",
        "the adjoint of one entry goes to all later ones",
        DERIVATIVES,
    ),
    Mutation(
        "symgrad/transform/activity.py",
        "names[name] = axis(position).minus(at.minus(axis(name).scaled(factor))).scaled(factor)",
        "names[name] = axis(position).plus(at.minus(axis(name).scaled(factor))).scaled(factor)",
        "what is read at i + 1 receives from i + 1",
        DERIVATIVES,
    ),
    Mutation(
        "symgrad/transform/differentiate.py",
        "outer = [form for form in limits if not set(form.axes) & set(reduced)]",
        "outer = []",
        "a contribution leaves its domain",
        DERIVATIVES,
    ),
    Mutation(
        "symgrad/transform/differentiate.py",
        "if None not in own and len(set(own)) == len(own):",
        "if None not in own:",
        "a diagonal's adjoint is moved like that of a matrix",
        DERIVATIVES,
    ),
    Mutation(
        "symgrad/transform/adjoint_products.py",
        "return condition.where(times(adjoint, taken), times(adjoint, otherwise))",
        "return times(adjoint, condition.where(taken, otherwise)) if False else adjoint * partial",
        "a maximum multiplies instead of routing",
        DERIVATIVES,
    ),
    Mutation(
        "symgrad/graph/sums.py",
        'return view if is_positive else view.call("max", table.constant(0))',
        "return view",
        "an empty range is counted below 0",
        DERIVATIVES,
    ),
    Mutation(
        "symgrad/graph/sums.py",
        "sharpest[form.terms] = form if known is None or form.offset < known.offset else known",
        "sharpest[form.terms] = form if known is None or form.offset > known.offset else known",
        "of two constraints the weaker one is kept",
        DERIVATIVES,
    ),
    # --- gates --------------------------------------------------------------------------------------------------------
    Mutation(
        "symgrad/gates/reductions.py",
        "return (is_zero.where((zeros < 2).where(others, 0), (zeros < 1).where(y / is_zero.where(1, a), 0)),)",
        "return (is_zero.where(others, (zeros < 1).where(y / is_zero.where(1, a), 0)),)",
        "two factors that are 0 are taken for one",
        DERIVATIVES,
    ),
    Mutation(
        "symgrad/gates/linear_algebra.py",
        "return (g * y * _inverse_of(y),)",
        "return (g * _inverse_of(y),)",
        "the adjoint of a determinant is that of its logarithm",
        DERIVATIVES,
    ),
    Mutation(
        "symgrad/gates/linear_algebra.py",
        "return View(made, (axis(1), axis(0)))",
        "return View(made, (axis(0), axis(1)))",
        "the inverse of a determinant's adjoint is not transposed",
        DERIVATIVES,
    ),
    Mutation(
        "symgrad/gates/linear_algebra.py",
        "flipped = a.at({first: axis(second), second: axis(first)})",
        "flipped = a",
        "the adjoint of a solution solves with A, not with its transpose",
        DERIVATIVES,
    ),
    Mutation(
        "symgrad/gates/arithmetic.py",
        "return (exponent * power_of(a, exponent - 1),)",
        "return ((exponent - 1) * power_of(a, exponent - 1),)",
        "the derivative of a power",
        DERIVATIVES,
    ),
    Mutation(
        "symgrad/gates/conditions.py",
        "tie = one.equals(two).where(HALF, nan)",
        "tie = one.equals(two).where(1, nan)",
        "a tie gives all of the gradient to both",
        DERIVATIVES,
    ),
    # --- laws ---------------------------------------------------------------------------------------------------------
    Mutation(
        "symgrad/transform/laws/cheaper.py",
        "return -product if len(signs) % 2 else product",
        "return -product if signs else product",
        "two signs of a product are one",
        LAWS,
    ),
    Mutation(
        "symgrad/transform/laws/cheaper.py",
        "if any(part[0] != parts[0][0] or not part[2] for part in parts):",
        "if any(not part[2] for part in parts):",
        "terms with other coefficients share the first one's",
        LAWS,
    ),
    Mutation(
        "symgrad/transform/laws/cheaper.py",
        "return condition.arguments[0].where(otherwise, taken)",
        "return condition.arguments[0].where(taken, otherwise)",
        "not leaves the branches where they are",
        LAWS,
    ),
    Mutation(
        "symgrad/transform/laws/cheaper.py",
        "return g / a if inner == b else None",
        "return g / a",
        "g/(a/b)/c is g/a",
        LAWS,
    ),
    Mutation(
        "symgrad/transform/laws/stabler.py",
        'return -negated(a.arguments[0]).call("softplus") if is_gate(a, "sigmoid") else None',
        'return -a.arguments[0].call("softplus") if is_gate(a, "sigmoid") else None',
        "the logarithm of sigmoid(-a)",
        LAWS,
    ),
    Mutation(
        "symgrad/transform/laws/stabler.py",
        'sigmoids = [negated(a).call("sigmoid")] * exponent',
        'sigmoids = [negated(a).call("sigmoid")]',
        "1/(1 + exp(a))**2 is sigmoid(-a)",
        LAWS,
    ),
    Mutation(
        "symgrad/transform/laws/arrays.py",
        "return None  # written as it should be: f - max(f)",
        "pass",
        "a shift that the user wrote is subtracted again",
        LAWS,
    ),
    Mutation(
        "symgrad/transform/laws/arrays.py",
        "[form for form in forms if not (every - kept) & set(form.axes)] if kept else []",
        "forms if kept else []",
        "the shift of a sum has the limits of other loops",
        LAWS,
    ),
    Mutation(
        "symgrad/transform/laws/arrays.py",
        "return _times_exponential(made, own * exponent - shift)",
        "return made",
        "a power of a sum loses its scale",
        LAWS,
    ),
    Mutation(
        "symgrad/transform/mask_branches.py",
        "arguments[0] = where.where(arguments[0], node.gate.safe(arguments[0]))",
        "arguments[0] = where.where(node.gate.safe(arguments[0]), arguments[0])",
        "the branch that is taken gets the safe point",
        LAWS,
    ),
    Mutation(
        "symgrad/schedule/integers.py",
        "return Integer(Call(function, tuple(arguments)))",
        'return Integer(Call(FUNCTIONS["add"] if name == "mod" else function, tuple(arguments)))',
        "the remainder of an index is a sum",
        SCHEDULE,
    ),
]


def copied(folder: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "golden"))
        else:
            shutil.copy(source, folder / name)


def failing(folder: Path, tests: Iterable[str], known: Sequence[str] | None = None) -> list[str]:
    """The tests that fail beside those that are known to; with `known` the first of them only."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(folder), str(folder / "codegen"))),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=line", "-o", "cache_dir=failed"]
    command += ["--runxfail", *dict.fromkeys(tests)]
    command += [f"--deselect={test}" for test in known or ()]
    command += ["-x"] if known is not None else []
    shutil.rmtree(folder / "failed", ignore_errors=True)
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return [f"takes more than {SECONDS} s"]
    if not done.returncode:
        return []
    failed = folder / "failed" / "v" / "cache" / "lastfailed"  # what pytest remembers
    return list(json.loads(failed.read_text())) if failed.exists() else [(done.stdout + done.stderr).strip()[-300:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""], help="words of a file's name or of a comment")
    parser.add_argument("--green", action="store_true", help="the tests are known to pass without a mutation")
    parser.add_argument("--list", action="store_true", help="check that every text occurs, and run nothing")
    options = parser.parse_args()
    chosen = [own for own in MUTATIONS if any(words in own.file or words in own.comment for words in options.only)]
    missing = 0
    for own in chosen:
        count = (ROOT / own.file).read_text(encoding="utf-8").count(own.old)
        if count != 1:
            print(f"{own.file} has the text of {own.comment!r} {count} times: {own.old}")
            missing += 1
    if missing or options.list:
        sys.exit(missing)
    known: list[str] = []
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        copied(Path(name))
        for tests in () if options.green else dict.fromkeys(test for own in chosen for test in own.tests):
            for test in failing(Path(name), [tests]):
                print(f"fails without a mutation: {test}", flush=True)
                known.append(test)
    survivors = []
    for place, own in enumerate(chosen, 1):
        start = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="mutation-") as name:
            folder = Path(name)
            copied(folder)
            text = (folder / own.file).read_text(encoding="utf-8")
            (folder / own.file).write_text(text.replace(own.old, own.new), encoding="utf-8")
            found = failing(folder, own.tests, known)
        seconds = time.perf_counter() - start
        if found:
            verdict = f"noticed by {found[0][:110]}" + (" (said to change nothing)" if own.equivalent else "")
        else:
            verdict = f"changes nothing: {own.equivalent}" if own.equivalent else "NOT NOTICED"
            survivors += [] if own.equivalent else [own]
        print(f"{place:3} {own.file}: {own.comment}: {verdict} [{seconds:.0f} s]", flush=True)
    print(f"{len(chosen)} mutations, {len(survivors)} that no test notices")
    for own in survivors:
        print(f"  {own.file}: {own.comment}")


if __name__ == "__main__":
    main()
