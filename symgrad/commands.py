"""What the commands of the command line do, each with its options; and what they read and write."""

from __future__ import annotations

import argparse
import json
import math
import os
import stat
import sys
import unicodedata
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .compiler import USUAL, compile, emit, stage_text
from .errors import SymgradError
from .explore.page import PAGE_MARK
from .language.parse import MAX_CHARACTERS, Problem, parse
from .lower.lower import free_symbols, natural_order
from .options import SPARSE
from .outputs import split
from .tables import show, visible_lines

DONE, FAILED, BAD_INPUT, INTERRUPTED, NO_READER = 0, 1, 2, 130, 141  # exit statuses; the last two as shells give them


def run_emit(options: argparse.Namespace) -> int:
    output = None if options.output is None else _writable(options.output)
    problem = _problem(options.file)
    chosen = {"target": options.target, "dtype": options.dtype, "accuracy": options.accuracy, **_storage(options)}
    wrt = _wrt(options.wrt, problem)
    if options.stage:
        text = stage_text(options.stage, problem, wrt, derivative=_derivative(options), **chosen)
    else:
        text = emit(problem, None, wrt, derivative=_derivative(options), body=options.body, **chosen)
    text = text if text.endswith("\n") else text + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)
    return DONE


def run_eval(options: argparse.Namespace) -> int:
    kernel = _kernel(options)
    point = _point(kernel, options)
    result = kernel(*point)
    lines = list(kernel.named(result))
    if options.sparse and not kernel.graph.over_points:
        lines += kernel.pattern(*point).named(result[-1].data)
    width = max(len(name) for name, _ in lines)
    for name, number in lines:
        print(f"{name:<{width}}  {number.tolist() if hasattr(number, 'tolist') else number!r}")
    return DONE


def run_check(options: argparse.Namespace) -> int:
    kernel = _kernel(options)
    result = kernel.check(*_point(kernel, options, "checked"))
    show(result, sys.stdout)
    return DONE if result else FAILED


def run_trace(options: argparse.Namespace) -> int:
    kernel = _kernel(options)
    trace = kernel.trace(*_point(kernel, options), level=options.level, output=options.of, derivative=options.by)
    if options.explain is not None:
        print(visible_lines(trace.explain(unicodedata.normalize("NFKC", options.explain))))
    elif options.json:
        print(json.dumps(trace.to_dict(), indent=1, allow_nan=False))
    else:
        show(trace, sys.stdout)
    return DONE


def run_draw(options: argparse.Namespace) -> int:
    kind = options.format or _format_of(options.output, _DRAWINGS, "svg")
    output = None if options.output is None else _writable(options.output)
    if options.pattern:
        if kind != "svg":
            raise ValueError(f"a pattern is drawn as svg, not as {kind}")
        options.derivative, options.sparse = options.pattern, SPARSE[0]
        kernel = _kernel(options)
        text, left_out = kernel.pattern(*_point(kernel, options, "drawn")).draw().svg, ""
    else:
        drawing = _drawing(options, "drawn")
        text, left_out = getattr(drawing, kind), drawing.left_out
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)
    if left_out:
        print(left_out, file=sys.stderr)
    return DONE


_PAGES = {".html": "html", ".htm": "html"}
_DRAWINGS = {".svg": "svg", ".dot": "dot", ".gv": "dot", **_PAGES}


def _format_of(output: str | None, formats: Mapping[str, str], otherwise: str) -> str:
    """The format of a file as its name ends, `otherwise` where that says nothing."""
    path = None if output is None else Path(output)
    if path is None or not path.suffix or (path.exists() and not path.is_file()):  # a device or a pipe
        return otherwise
    if path.suffix.lower() not in formats:
        raise ValueError(f"{output}: it ends in none of {', '.join(formats)}, which say what is written")
    return formats[path.suffix.lower()]


def run_explore(options: argparse.Namespace) -> int:
    name = options.output or ("circuit.html" if options.file == "-" else f"{Path(options.file).stem}.html")
    _format_of(name, _PAGES, "html")
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
    narrowing = {"nearest": options.nearest, "through": options.through, "output": options.of}
    narrowing |= {"derivative": options.by}
    return kernel.draw(*_point(kernel, options, done), level=options.level, **narrowing)


def run_bench(options: argparse.Namespace) -> int:
    from .bench.bench import bench  # it knows of processes and tables, which no other command needs

    problem = _problem(options.file)
    result = bench(
        problem,
        _wrt(options.wrt, problem),
        middles=_numbers(options.inputs, sorted(free_symbols(*split(problem.expression)[1]), key=natural_order)),
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
    return compile(
        problem,
        None,
        _wrt(options.wrt, problem),
        derivative=_derivative(options),
        dtype=options.dtype,
        accuracy=options.accuracy,
        **_storage(options),
    )


def _storage(options: argparse.Namespace) -> dict[str, Any]:
    """What `--sparse` and `--symmetric` say; commands without them take dense arrays."""
    return {name: getattr(options, name, None) for name in ("sparse", "symmetric")}


def _derivative(options: argparse.Namespace) -> str | None:
    """What `--derivative` says; commands without it take what is usual."""
    chosen: str = getattr(options, "derivative", USUAL)
    return None if chosen == "none" else chosen


def _point(kernel: Any, options: argparse.Namespace, done: str = "") -> list[Any]:
    """The inputs in `args` order. Numbers that are not given are taken from (0, 1) where something is `done` there."""
    given = _numbers(options.inputs, kernel.args)
    missing = [symbol.name for symbol in kernel.args if symbol.name not in given]
    shapes = [] if kernel.graph.over_points else kernel.graph.shapes
    arrays = {symbol.name for symbol, shape in zip(kernel.args, shapes, strict=False) if shape}
    sizes = {kernel.args[position].name for position in kernel.graph.integers}
    unknown = [name for name in missing if not done or name in arrays or name in sizes]
    if unknown:
        more = " ..." if len(unknown) > 8 else ""
        wanted = " ".join(f"{name}={'[...]' if name in arrays else '...'}" for name in unknown[:8])
        raise ValueError(f"missing inputs: write {wanted}{more}")
    given |= {name: _ordinary(position) for position, name in enumerate(missing)}
    if missing:
        print(f"{done} at {' '.join(f'{name}={given[name]}' for name in missing)}, not given", file=sys.stderr)
    return [given[symbol.name] for symbol in kernel.args]


def _ordinary(position: int) -> float:
    """A number between 0.2 and 0.8, where most functions are defined; another for each input (golden-ratio steps)."""
    return round(0.2 + 0.6 * ((position + 1) * (math.sqrt(5) - 1) / 2 % 1), 3)


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
    symbols = {symbol.name: symbol for symbol in sorted(free_symbols(*split(problem.expression)[1]), key=natural_order)}
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
