"""The command line: `symgrad emit`, `eval`, `check`, `trace`, `draw`, `explore` and `bench`."""

from __future__ import annotations

import argparse
import json
import math
import os
import stat
import sys
import unicodedata
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from . import __version__
from .compiler import STAGES, compile, emit, stage_text
from .errors import SymgradError
from .explore.page import PAGE_MARK
from .explore.tracing import LEVELS
from .language.parse import MAX_CHARACTERS, Problem, parse
from .lower.lower import free_symbols, natural_order
from .options import ACCURACIES, DTYPES
from .tables import show, visible_lines

DONE, FAILED, BAD_INPUT, INTERRUPTED, NO_READER = 0, 1, 2, 130, 141  # exit statuses; the last two as shells give them


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

    command = _command(commands, "emit", _emit, "print the source of a module that computes value and gradient")
    command.add_argument("-o", "--output", metavar="FILE", help="write to FILE; the default is standard output")
    command.add_argument(
        "--target", default="cpu", metavar="cpu | cuda | javascript | python", help="what to print for; default: cpu"
    )
    what = command.add_mutually_exclusive_group()
    what.add_argument("--stage", choices=STAGES, help="print what comes out of this stage instead of the source")
    what.add_argument("--body", action="store_true", help="print the part about the mathematics only: no run-time text")

    command = _command(commands, "eval", _eval, "print the value and gradient at a point")
    command.add_argument("inputs", nargs="*", metavar="x=number", help=_POINT)

    command = _command(commands, "check", _check, "compare the gradient with numerical ones; exit status 1 if it fails")
    command.add_argument("inputs", nargs="*", metavar="x=number", help=f"{_POINT}; default: numbers in (0, 1)")

    command = _command(commands, "trace", _trace, "print every gate: value, local and upstream gradients, troubles")
    command.add_argument("inputs", nargs="*", metavar="x=number", help=_POINT)
    _level(command)
    command.add_argument("--explain", metavar="x", help="tell in words how the gradient of this input came about")
    command.add_argument("--json", action="store_true", help="print the trace for programs")

    command = _command(commands, "draw", _draw, "draw the circuit, values green and gradients red")
    command.add_argument("inputs", nargs="*", metavar="x=number", help=f"{_POINT}; default: numbers in (0, 1)")
    _level(command)
    _narrowing(command)
    command.add_argument("-o", "--output", metavar="FILE", help="write to FILE; the default is standard output")
    command.add_argument(
        "--format", choices=("svg", "dot", "html"), help="default: as FILE ends, else svg; dot needs no Graphviz"
    )

    command = _command(commands, "explore", _explore, "write the page that steps through backpropagation, and open it")
    command.add_argument("inputs", nargs="*", metavar="x=number", help=f"{_POINT}; default: numbers in (0, 1)")
    _level(command)
    _narrowing(command)
    command.add_argument("-o", "--output", metavar="FILE", help="default: the name of the expression's file, .html")
    command.add_argument("--no-open", action="store_true", help="write the page only")

    command = _command(commands, "bench", _bench, "measure points per second against lambdify and the memory limit")
    command.add_argument(
        "inputs", nargs="*", metavar="x=number", help="the middle of an input's range; default: 0.2 .. 0.8"
    )
    command.add_argument("--points", type=int, metavar="N", help="default: 1000000, fewer for long expressions")
    command.add_argument("--rounds", type=int, default=7, metavar="N", help="samples of each; default: 7")
    command.add_argument("--threads", metavar="N | auto", help="measure symgrad with threads, too")
    command.add_argument("--json", action="store_true", help="print the numbers for programs")

    options, rest = parser.parse_known_args(arguments)
    # Inputs that follow an option: argparse takes those of one place only.
    inputs = [text for text in rest if hasattr(options, "inputs") and not text.startswith("-")]
    unknown = [text for text in rest if text not in inputs]
    if unknown:
        parser.error(f"what is {' '.join(unknown)}?")
    if inputs:
        options.inputs = [*options.inputs, *inputs]
    return options


_POINT = "the point, by name; arrays as lists: w=[1,2]"


def _level(command: argparse.ArgumentParser) -> None:
    words = "sigmoid and its like as one gate; gates of one and two arguments; arrays entry by entry; default: gates"
    command.add_argument("--level", default="gates", choices=LEVELS, help=words)


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


# Commands -------------------------------------------------------------------------------------------------------------


def _emit(options: argparse.Namespace) -> int:
    output = None if options.output is None else _writable(options.output)
    problem = _problem(options.file)
    chosen = {"target": options.target, "dtype": options.dtype, "accuracy": options.accuracy}
    wrt = _wrt(options.wrt, problem)
    if options.stage:
        text = stage_text(options.stage, problem, wrt, **chosen)
    else:
        text = emit(problem, None, wrt, body=options.body, **chosen)
    text = text if text.endswith("\n") else text + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)
    return DONE


def _eval(options: argparse.Namespace) -> int:
    kernel = _kernel(options)
    value, gradient = kernel(*_point(kernel, options))
    lines = [("value", value), *((f"d_{s.name}", d) for s, d in zip(kernel.wrt, gradient, strict=True))]
    width = max(len(name) for name, _ in lines)
    for name, number in lines:
        print(f"{name:<{width}}  {number.tolist() if hasattr(number, 'tolist') else number!r}")
    return DONE


def _check(options: argparse.Namespace) -> int:
    kernel = _kernel(options)
    result = kernel.check(*_point(kernel, options, "checked"))
    show(result, sys.stdout)
    return DONE if result else FAILED


def _trace(options: argparse.Namespace) -> int:
    kernel = _kernel(options)
    trace = kernel.trace(*_point(kernel, options), level=options.level)
    if options.explain is not None:
        print(visible_lines(trace.explain(unicodedata.normalize("NFKC", options.explain))))
    elif options.json:
        print(json.dumps(trace.to_dict(), indent=1, allow_nan=False))
    else:
        show(trace, sys.stdout)
    return DONE


def _draw(options: argparse.Namespace) -> int:
    suffix = Path(options.output).suffix if options.output else ""
    kind = options.format or {".dot": "dot", ".gv": "dot", ".html": "html", ".htm": "html"}.get(suffix, "svg")
    output = None if options.output is None else _writable(options.output)
    drawing = _drawing(options, "drawn")
    text: str = getattr(drawing, kind)
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)
    if drawing.left_out:
        print(drawing.left_out, file=sys.stderr)
    return DONE


def _explore(options: argparse.Namespace) -> int:
    name = options.output or ("circuit.html" if options.file == "-" else f"{Path(options.file).stem}.html")
    output = _writable(name)
    if options.output is None and output.exists() and PAGE_MARK not in output.read_text("utf-8", "replace"):
        raise ValueError(f"{name} is there and is no page of symgrad's: say where to write with -o FILE")
    drawing = _drawing(options, "opened")
    _write(output, drawing.html)
    if drawing.left_out:
        print(drawing.left_out, file=sys.stderr)
    print(output)
    if not options.no_open and not webbrowser.open(output.as_uri()):
        print("symgrad: no browser could be started; open the file above in one", file=sys.stderr)
    return DONE


def _drawing(options: argparse.Namespace, done: str) -> Any:
    kernel = _kernel(options)
    narrowing = {"nearest": options.nearest, "through": options.through}
    return kernel.draw(*_point(kernel, options, done), level=options.level, **narrowing)


def _bench(options: argparse.Namespace) -> int:
    from .bench.bench import bench  # it knows of processes and tables, which no other command needs

    problem = _problem(options.file)
    result = bench(
        problem,
        _wrt(options.wrt, problem),
        middles=_numbers(options.inputs, sorted(free_symbols(problem.expression), key=natural_order)),
        points=options.points,
        rounds=options.rounds,
        dtype=options.dtype,
        accuracy=options.accuracy,
        threads=options.threads,
        terminal=sys.stderr,
    )
    if options.json:
        print(result.as_json())
    else:
        show(result, sys.stdout)
    return DONE if result else FAILED


def _kernel(options: argparse.Namespace) -> Any:
    problem = _problem(options.file)
    return compile(problem, None, _wrt(options.wrt, problem), dtype=options.dtype, accuracy=options.accuracy)


def _point(kernel: Any, options: argparse.Namespace, done: str = "") -> list[Any]:
    """The inputs in `args` order. Numbers that are not given are taken from (0, 1) where something is `done` there."""
    given = _numbers(options.inputs, kernel.args)
    missing = [symbol.name for symbol in kernel.args if symbol.name not in given]
    shapes = [] if kernel.graph.over_points else kernel.graph.shapes
    arrays = {symbol.name for symbol, shape in zip(kernel.args, shapes, strict=False) if shape}
    sizes = {kernel.args[place].name for place in kernel.graph.integers}
    unknown = [name for name in missing if not done or name in arrays or name in sizes]
    if unknown:
        more = " ..." if len(unknown) > 8 else ""
        wanted = " ".join(f"{name}={'[...]' if name in arrays else '...'}" for name in unknown[:8])
        raise ValueError(f"missing inputs: write {wanted}{more}")
    given |= {name: _ordinary(place) for place, name in enumerate(missing)}
    if missing:
        print(f"{done} at {' '.join(f'{name}={given[name]}' for name in missing)}, not given", file=sys.stderr)
    return [given[symbol.name] for symbol in kernel.args]


def _ordinary(place: int) -> float:
    """A number between 0.2 and 0.8, where most functions are defined; another for each place (golden-ratio steps)."""
    return round(0.2 + 0.6 * ((place + 1) * (math.sqrt(5) - 1) / 2 % 1), 3)


# Input and output -----------------------------------------------------------------------------------------------------


def _problem(file: str) -> Problem:
    limit = 4 * MAX_CHARACTERS + 4  # bytes: what is longer is refused, and need not be read
    if file == "-":
        data = sys.stdin.buffer.read(limit) if sys.stdin else b""
    else:
        with open(file, "rb") as stream:
            data = stream.read(limit)
    shown = "standard input" if file == "-" else file
    try:
        return parse(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        if len(data) == limit:
            raise ValueError(f"{shown}: the text is longer than {MAX_CHARACTERS:,} characters") from None
        raise ValueError(f"{shown}: not UTF-8 at byte {error.start + 1}") from None
    except SymgradError as error:
        raise ValueError(f"{shown}: {error}") from None


def _wrt(text: str | None, problem: Problem) -> list[Any] | None:
    """The symbols that `--wrt` names."""
    if text is None:
        return None
    symbols = {symbol.name: symbol for symbol in sorted(free_symbols(problem.expression), key=natural_order)}
    wanted = [unicodedata.normalize("NFKC", name.strip()) for name in text.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in symbols]
    if not wanted:
        raise ValueError("--wrt names no input")
    if unknown:
        raise ValueError(f"--wrt: no input {unknown[0]!r}; the inputs are {', '.join(symbols) or 'none'}")
    return [symbols[name] for name in wanted]


def _numbers(inputs: Sequence[str], symbols: Sequence[Any]) -> dict[str, Any]:
    """The numbers of `x=-2 y=5` and the arrays of `w=[1,2]`, by name."""
    names = [symbol.name for symbol in symbols]
    found: dict[str, Any] = {}
    for text in inputs:
        name, equals, number = text.partition("=")
        name = unicodedata.normalize("NFKC", name.strip())
        if not equals:
            raise ValueError(f"{text!r} is no input: write name=number")
        if name not in names:
            raise ValueError(f"no input {name!r}; the inputs are {', '.join(names) or 'none'}")
        if name in found:
            raise ValueError(f"the input {name!r} is given twice")
        found[name] = _array(name, number) if number.lstrip().startswith("[") else _number(name, number)
    return found


def _array(name: str, text: str) -> Any:
    """An array written as nested lists."""
    import numpy as np

    try:
        array = np.array(json.loads(text, parse_constant=_no_word))
    except (ValueError, RecursionError):
        raise ValueError(f"{name}={text}: lists of numbers of one length wanted, such as [[1,2],[3,4]]") from None
    if array.dtype.kind not in "if":
        raise ValueError(f"{name}={text}: lists of numbers wanted")
    return array


def _no_word(word: str) -> float:
    raise ValueError(word)


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{name}={text}: {text!r} is no number") from None
    if math.isinf(number) and any(character.isdigit() for character in text):
        raise ValueError(f"{name}={text}: out of the range of floating-point numbers; write inf for infinity")
    return number


def _writable(file: str) -> Path:
    """Where to write: known before the work begins."""
    path = Path(file).resolve()  # through links: what they point to is replaced, not they
    if path.is_dir():
        raise ValueError(f"{file} is a directory")
    if not path.parent.is_dir():
        raise ValueError(f"{file}: there is no directory {path.parent}")
    return path


def _write(path: Path, text: str) -> None:
    from symgrad_codegen.run.build import write_atomically

    if path.exists() and not path.is_file():  # a device or a pipe
        path.write_text(text, encoding="utf-8", newline="\n")
        return
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()
    write_atomically(path, text)
    path.chmod(mode)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
