"""The command line: `symgrad emit`, `eval`, `check`, `trace`, `draw`, `explore` and `bench`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import Any

from symgrad_codegen.targets import TARGETS

from . import __version__
from .commands import (
    BAD_INPUT,
    INTERRUPTED,
    NO_READER,
    run_bench,
    run_check,
    run_draw,
    run_emit,
    run_eval,
    run_explore,
    run_trace,
)
from .compiler import STAGES, USUAL
from .errors import SymgradError
from .explore.tracing import LEVELS
from .options import ACCURACIES, DTYPES, SPARSE


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status. Whatever the input, a message and no traceback."""
    try:
        _speak_utf8()
        options = _options(arguments)
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        _drop_output()
        return NO_READER
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if error.filename is not None:
            return _refuse(f"{error.filename}: {error.strerror}")
        _drop_output()
        return _refuse(error.strerror or str(error))
    except (SymgradError, ArithmeticError, IndexError, ValueError, TypeError) as error:
        return _refuse(str(error))
    except RecursionError:
        return _refuse("the expression is nested too deeply for SymPy; name its parts on lines of their own")
    except MemoryError:
        return _refuse("the expression needs more memory than there is")


def _refuse(message: str) -> int:
    print(f"symgrad: {message}", file=sys.stderr)
    return BAD_INPUT


def _drop_output() -> None:
    """Python flushes standard output once more on its way out: what cannot be written goes nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _speak_utf8() -> None:
    """The same bytes on every machine, whatever its locale."""
    if sys.stdout is None:  # closed by the caller
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


# Options --------------------------------------------------------------------------------------------------------------


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="symgrad", description="A mathematical expression in, its value and gradient out.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"symgrad {__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="emit | eval | check | trace | draw | explore | bench", required=True
    )

    command = _command(commands, "emit", run_emit, "print the source of a module that computes value and gradient")
    command.add_argument("-o", "--output", metavar="FILE", help="write to FILE; the default is standard output")
    about = ", ".join(f"{name} ({target.about})" for name, target in TARGETS.items())
    command.add_argument(
        "--target", default="cpu", metavar=" | ".join(TARGETS), help=f"what to print for: {about}; default: cpu"
    )
    what = command.add_mutually_exclusive_group()
    what.add_argument("--stage", choices=STAGES, help="print what comes out of this stage instead of the source")
    what.add_argument("--body", action="store_true", help="print the part about the mathematics only: no run-time text")

    _derivative(command)

    command = _command(commands, "eval", run_eval, "print the value and gradient at a point")
    command.add_argument("inputs", nargs="*", metavar="x=number", help=_POINT)
    _derivative(command)

    command = _command(
        commands, "check", run_check, "compare the gradient with numerical ones; exit status 1 if it fails"
    )
    command.add_argument("inputs", nargs="*", metavar="x=number", help=f"{_POINT}; default: numbers in (0, 1)")
    _derivative(command)

    command = _command(commands, "trace", run_trace, "print every gate: value, local and upstream gradients, troubles")
    command.add_argument("inputs", nargs="*", metavar="x=number", help=_POINT)
    _level(command)
    command.add_argument("--explain", metavar="x", help="tell in words how the gradient of this input came about")
    command.add_argument("--json", action="store_true", help="print the trace for programs")

    command = _command(commands, "draw", run_draw, "draw the circuit, values green and gradients red")
    command.add_argument("inputs", nargs="*", metavar="x=number", help=f"{_POINT}; default: numbers in (0, 1)")
    _level(command)
    _narrowing(command)
    words = "draw where this derivative has entries instead of the circuit"
    command.add_argument("--pattern", choices=("jacobian", "hessian"), help=words)
    command.add_argument("-o", "--output", metavar="FILE", help="write to FILE; the default is standard output")
    command.add_argument(
        "--format", choices=("svg", "dot", "html"), help="default: as FILE ends; svg without one; dot needs no Graphviz"
    )

    command = _command(
        commands, "explore", run_explore, "write the page that steps through backpropagation, and open it"
    )
    command.add_argument("inputs", nargs="*", metavar="x=number", help=f"{_POINT}; default: numbers in (0, 1)")
    _level(command)
    _narrowing(command)
    command.add_argument("-o", "--output", metavar="FILE", help="default: the name of the expression's file, .html")
    command.add_argument("--no-open", action="store_true", help="write the page only")

    command = _command(commands, "bench", run_bench, "measure points per second against lambdify and the memory limit")
    command.add_argument(
        "inputs", nargs="*", metavar="x=number", help="the middle of an input's range; default: 0.2 .. 0.8"
    )
    command.add_argument("--points", type=int, metavar="N", help="default: 1000000, fewer for long expressions")
    command.add_argument("--rounds", type=int, default=7, metavar="N", help="samples of each; default: 7")
    command.add_argument("--threads", metavar="N | auto", help="measure symgrad with threads, too")
    command.add_argument("--json", action="store_true", help="print the numbers for programs")

    options, rest = parser.parse_known_args(_with_formats(sys.argv[1:] if arguments is None else arguments))
    # Inputs that follow an option: argparse takes those of one place only.
    inputs = [text for text in rest if hasattr(options, "inputs") and not text.startswith("-")]
    unknown = [text for text in rest if text not in inputs]
    if unknown:
        parser.error(f"what is {' '.join(unknown)}?")
    if inputs:
        options.inputs = [*options.inputs, *inputs]
    return options


def _with_formats(arguments: Sequence[str]) -> list[str]:
    """`--sparse` with its usual format where none follows: argparse would take an input for one."""
    return [
        f"{own}={SPARSE[0]}" if own == "--sparse" and after not in SPARSE else own
        for own, after in zip(arguments, [*arguments, ""][1:], strict=True)
    ]


_POINT = "the point, by name; arrays as lists: w=[1,2]"


def _level(command: argparse.ArgumentParser) -> None:
    words = "sigmoid and its like as one gate; gates of one and two arguments; arrays entry by entry; default: gates"
    command.add_argument("--level", default="gates", choices=LEVELS, help=words)
    words = "of several outputs the one to look at, of an array an entry: f[0]; default: the first number"
    command.add_argument("--of", metavar="f", help=words)
    command.add_argument("--by", metavar="x", help="look at the derivative by this input, or by an entry of it: w[2]")


def _derivative(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--derivative",
        default=USUAL,
        choices=("none", "gradient", "jacobian", "hessian"),
        help="default: gradient of one output, jacobian of several",
    )
    words = "the Jacobian or Hessian as families of entries; the format is csr unless said otherwise"
    command.add_argument("--sparse", nargs="?", const=SPARSE[0], choices=SPARSE, help=words)
    command.add_argument("--symmetric", choices=("lower",), help="of a sparse Hessian the lower triangle alone")


def _narrowing(command: argparse.ArgumentParser) -> None:
    command.add_argument("--nearest", type=int, metavar="N", help="only the N gates nearest to the value")
    command.add_argument("--through", metavar="x", help="only the ways from this input")


def _command(commands: Any, name: str, run: Any, purpose: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)
    command.set_defaults(run=run)
    command.add_argument("file", help="a file in the language of expr.txt; - is standard input")
    command.add_argument("--wrt", metavar="x,y", help="what to differentiate for; default: every input")
    command.add_argument("--dtype", default="float64", choices=DTYPES, help="default: float64")
    command.add_argument("--accuracy", default="fast", choices=ACCURACIES, help="default: fast")
    return command
