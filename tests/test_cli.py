"""The command line: what it prints, its exit statuses, and that bad input never ends in a traceback."""

from __future__ import annotations

import os
import random
import re
import runpy
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numba
import pytest
from corpus import CORPUS
from symgrad_codegen.targets import TARGETS

import symgrad
from symgrad.cli import main
from symgrad.lower.lower import free_symbols

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def circuit(tmp_path: Path) -> str:
    path = tmp_path / "circuit.txt"
    path.write_text("q = x + y\nq*z\n", encoding="utf-8")
    return str(path)


def written(folder: Path, text: str | bytes, name: str = "expr.txt") -> str:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def in_process(*arguments: str, stdin: bytes = b"", **options: object) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-m", "symgrad", *arguments]
    return subprocess.run(command, input=stdin, env=environment, capture_output=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


# emit -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"target": "python"}, {"dtype": "float32"}, {"accuracy": "strict"}], ids=str)
def test_emit_prints_what_emit_gives(circuit: str, options: dict[str, str], capsys: Captured) -> None:
    arguments = [f"--{key}={value}" for key, value in options.items()]
    assert main(["emit", circuit, *arguments]) == 0
    assert capsys.readouterr().out == symgrad.emit(symgrad.parse(Path(circuit).read_text()), **options)


def test_emit_writes_a_module_that_runs(circuit: str, tmp_path: Path, capsys: Captured) -> None:
    output = tmp_path / "kernel.py"
    assert main(["emit", circuit, "-o", str(output), "--target", "python"]) == 0
    assert capsys.readouterr().out == ""
    assert runpy.run_path(str(output))["kernel"](-2.0, 5.0, -4.0) == (-12.0, (-4.0, -4.0, 3.0))
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


def test_emit_prints_a_module_for_gpus(circuit: str, capsys: Captured) -> None:
    assert main(["emit", circuit, "--target", "cuda"]) == 0
    said = capsys.readouterr().out
    assert "@cuda.jit(" in said
    assert "def kernel(x, y, z):" in said
    compile(said, "kernel.py", "exec")


def test_emit_differentiates_for_what_wrt_names(circuit: str, capsys: Captured) -> None:
    assert main(["emit", circuit, "--wrt", "z, x"]) == 0
    assert 'WRT = ("z", "x")' in capsys.readouterr().out


@pytest.mark.parametrize(
    "stage", ["graph", "stable", "scattered", "masked", "gradient", "simplified", "plan", "program", "source"]
)
def test_emit_prints_each_stage(circuit: str, stage: str, capsys: Captured) -> None:
    assert main(["emit", circuit, "--stage", stage]) == 0
    assert len(capsys.readouterr().out) > 20


def test_emit_reads_standard_input() -> None:
    done = in_process("emit", "-", "--target", "python", stdin="µ = x**2\nµ + é".encode())
    assert done.returncode == 0
    assert "kernel(x, é)".encode() in done.stdout
    assert done.stderr == b""


def test_emit_imports_neither_numba_nor_scipy(circuit: str) -> None:
    program = (
        "import sys; from symgrad.cli import main; status = main(sys.argv[1:]);"
        "print([name for name in ('numba', 'llvmlite', 'scipy') if name in sys.modules], file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, "emit", circuit]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_an_output_that_exists_keeps_its_mode(circuit: str, tmp_path: Path) -> None:
    output = tmp_path / "kernel.py"
    output.write_text("old")
    output.chmod(0o640)
    assert main(["emit", circuit, "-o", str(output)]) == 0
    assert output.stat().st_mode & 0o777 == 0o640


def test_a_refused_text_leaves_the_output_alone(tmp_path: Path, capsys: Captured) -> None:
    output = tmp_path / "kernel.py"
    output.write_text("old")
    assert main(["emit", written(tmp_path, "x +"), "-o", str(output)]) == 2
    assert output.read_text() == "old"


# eval and check -------------------------------------------------------------------------------------------------------


def test_eval_prints_value_and_gradient_by_name(circuit: str, capsys: Captured) -> None:
    assert main(["eval", circuit, "x=-2", "y=5", "z=-4"]) == 0
    assert capsys.readouterr().out.split() == "value -12.0 d_x -4.0 d_y -4.0 d_z 3.0".split()


def test_eval_takes_inputs_around_options(circuit: str, capsys: Captured) -> None:
    assert main(["eval", "--wrt", "z", circuit, "x=-2", "--accuracy", "strict", "y=5", "z=-4"]) == 0
    assert capsys.readouterr().out.split() == "value -12.0 d_z 3.0".split()


def test_eval_prints_all_digits(tmp_path: Path, capsys: Captured) -> None:
    assert main(["eval", written(tmp_path, "x/3"), "x=1"]) == 0
    assert "0.3333333333333333\n" in capsys.readouterr().out


def test_eval_takes_names_as_python_compares_them(tmp_path: Path, capsys: Captured) -> None:
    assert main(["eval", written(tmp_path, "\u00b5*2"), "\u03bc=1.5"]) == 0
    assert "3.0" in capsys.readouterr().out


def test_eval_takes_infinity_where_it_is_meant(tmp_path: Path, capsys: Captured) -> None:
    assert main(["eval", written(tmp_path, "exp(x)"), "x=-inf"]) == 0
    assert capsys.readouterr().out.split() == "value 0.0 d_x 0.0".split()


def test_check_succeeds_and_says_where(circuit: str, capsys: Captured) -> None:
    assert main(["check", circuit, "x=-2"]) == 0
    said = capsys.readouterr()
    assert "y=" in said.err
    assert "x=" not in said.err
    assert said.out


def test_check_fails_with_status_1(circuit: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symgrad.Kernel, "check", lambda *_: [])
    assert main(["check", circuit]) == 1


def test_check_takes_the_same_point_each_time(circuit: str, capsys: Captured) -> None:
    main(["check", circuit])
    once = capsys.readouterr()
    main(["check", circuit])
    assert capsys.readouterr() == once


# Bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("emit CIRCUIT --target fortran", f"target is one of {', '.join(TARGETS)}"),
        ("emit CIRCUIT --wrt x,k", "no input 'k'; the inputs are x, y, z"),
        ("emit CIRCUIT --wrt x,x", "twice"),
        ("emit CIRCUIT --wrt ,", "names no input"),
        ("emit CIRCUIT -o FOLDER", "is a directory"),
        ("emit CIRCUIT -o FOLDER/no/kernel.py", "there is no directory"),
        ("emit FOLDER/absent.txt", "absent.txt: No such file"),
        ("emit FOLDER", "Is a directory"),
        ("eval CIRCUIT x=1", "missing inputs: write y=... z=..."),
        ("eval CIRCUIT x=1 k=2", "no input 'k'"),
        ("eval CIRCUIT x=1 x=2", "given twice"),
        ("eval CIRCUIT x=abc y=1 z=1", "'abc' is no number"),
        ("eval CIRCUIT x= y=1 z=1", "'' is no number"),
        ("eval CIRCUIT x=1e999 y=1 z=1", "out of the range"),
        ("eval CIRCUIT x", "write name=number"),
        ("check CIRCUIT x=1+2j", "is no number"),
    ],
)
def test_bad_input_is_refused_in_words(
    arguments: str, words: str, circuit: str, tmp_path: Path, capsys: Captured
) -> None:
    filled = arguments.replace("CIRCUIT", circuit).replace("FOLDER", str(tmp_path))
    assert main(filled.split()) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x +", "line 1, column 4"),
        ("", "no expression"),
        ("import os", "operator is missing"),
        ("foo(x)", "unknown function 'foo'"),
        ("9**9**9**9", "digits"),
        (b"\xff\xfe x", "not UTF-8 at byte 1"),
        ("x" * 2_000_000, "longer than 1,000,000 characters"),
        ("é" * 5_000_000, "longer than 1,000,000 characters"),
        ("x" + "\0", "is not in the language"),
    ],
    ids=lambda value: repr(value[:10]),
)
def test_bad_text_is_refused_in_words(text: str | bytes, words: str, tmp_path: Path, capsys: Captured) -> None:
    assert main(["emit", written(tmp_path, text)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("symgrad: ")
    assert "expr.txt: " in said
    assert words in said


@pytest.mark.parametrize(
    ("text", "inputs", "words"),
    [
        ("x: vector(n)\nx[3]", "x=[1,2]", "an index of axis 0 of x is 3, out of the bounds 0 .. 1"),
        ("x: vector(n)\ny: integers(n)\nsum(x[y[i]] for i in range(n))", "x=[1,2] y=[1,5]", "y holds 5, an index of"),
        ("A: matrix(n, n)\nlogdet(A)", "A=[[1,2],[2,4]]", "Singular matrix: A has no inverse, which the value or"),
        ("x: vector(n)\nsum(x)", "x=1", "x"),
        ("x: vector(1e400)\nsum(x)", "x=[1,2]", "is too large for an index, a bound or an extent"),
        ("sum(x*i for i in range(10**30))", "x=1", "is too large for an index, a bound or an extent"),
        ("x*y", "x=[1,2] y=1", "x is an array of shape (2,): a "),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["eval", "check", "trace", "draw --format dot"])
def test_bad_arrays_are_refused_in_words(
    command: str, text: str, inputs: str, words: str, tmp_path: Path, capsys: Captured
) -> None:
    if (command, text) == ("eval", "x*y"):
        words = ""  # a batch
    status = main([*command.split(), written(tmp_path, text), *inputs.split()])
    said = capsys.readouterr().err
    assert (status, said.startswith("symgrad: "), words in said) == ((2, True, True) if words else (0, False, True))


TOKENS = [token for case in CORPUS for token in re.findall(r"\w+|\s|[^\w\s]", case.text)]
TOKENS += "[ ] ( , : = # @ % // i n nan oo 1/0 1e400 2**99 for in range(n) vector(n) matrix(n,n) .T é \0 '".split()
LINES = [f"v: vector(n)\ny: integers(n)\nA: matrix(n, n)\n{line}" for line in (
    "sum(v[i]*A[i, j] for i in range(n) for j in range(i))", "logdet(A @ A.T) + norm(v)",
    "sum(exp(v)[y[i]] for i in range(n))",
    "max(v) + sum(v[(i + 1) % n] for i in range(n) if i > 0)", "z = tanh(A @ v)\nsum(z**2)/n",
)]  # fmt: skip
VALUES = [
    "0.5",
    "2",
    "-1",
    "0",
    "nan",
    "inf",
    "1e400",
    "",
    "[1,2]",
    "[0.5,1.5,2]",
    "[0,2,1]",
    "[[1,2],[3,4]]",
    "[[",
    "[]",
]


def spoiled(rng: random.Random) -> str:
    """A text, mostly with a few tokens dropped, doubled, swapped or replaced."""
    tokens = re.findall(r"\w+|\s|[^\w\s]", rng.choice([*LINES, rng.choice(CORPUS).text]))
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
        at, other = rng.randrange(len(tokens)), rng.randrange(len(tokens))
        change = rng.choice([[], [tokens[at]] * 2, [tokens[other]], [rng.choice(TOKENS)]])
        tokens[at : at + 1] = change or [" "]
    return "".join(tokens)


@pytest.mark.parametrize("part", range(10))
def test_no_input_ends_in_a_traceback(
    part: int, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand spoiled texts, at points that suit them or not. What `main` does not catch fails here."""
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)  # the same calls, without waiting for the compiler
    for seed in range(100 * part, 100 * part + 100):
        rng = random.Random(seed)
        text = spoiled(rng)
        path = written(tmp_path, text.encode(errors="surrogatepass"))
        command = rng.choice(
            ["emit --target=python", "emit", "eval", "check", "trace", "trace --json", "draw --format=dot"]
        )
        inputs = []
        if not command.startswith("emit"):
            with suppress(symgrad.SymgradError):
                symbols = {symbol.name for symbol in free_symbols(symgrad.parse(text).expression)}
                inputs = [f"{name}={rng.choice(VALUES)}" for name in sorted(symbols) if rng.random() < 0.95]
        options = rng.choice([[], [], ["--dtype=float32"], ["--wrt=x"]])
        status = main([*command.split(), path, *inputs, *options])
        said = capsys.readouterr()
        assert status in (0, 1, 2), text
        assert ("symgrad: " in said.err) == (status == 2), text


@pytest.mark.parametrize("arguments", ["", "run", "emit", "emit - --bad", "emit - extra", "eval - --stage graph"])
def test_bad_usage_is_status_2(arguments: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code == 2
    assert "usage: symgrad" in capsys.readouterr().err


def test_deep_and_long_texts_are_read_or_refused(tmp_path: Path) -> None:
    for text in ("(" * 20_000 + "x" + ")" * 20_000, "-" * 5_000 + "x", "+".join(f"x{i}**2" for i in range(500))):
        done = in_process("emit", "-", stdin=text.encode())
        assert done.returncode in (0, 2)
        assert b"Traceback" not in done.stderr


def test_version(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"symgrad {symgrad.__version__}\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals of POSIX")
def test_a_reader_that_leaves_is_no_error(circuit: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "symgrad", "emit", circuit]
    done = subprocess.run(command, env=environment, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_interrupt_is_status_130(circuit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("symgrad.commands.emit", interrupt)
    assert main(["emit", circuit]) == 130


@pytest.mark.parametrize(("error", "words"), [(RecursionError(), "nested too deeply"), (MemoryError(), "memory")])
def test_what_python_cannot_hold_is_bad_input(
    circuit: str, error: BaseException, words: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("symgrad.commands.emit", fail)
    assert main(["emit", circuit]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "ends"), [("draw", ".svg, .dot, .gv, .html, .htm"), ("explore --no-open", ".html, .htm")]
)
def test_a_drawing_is_not_written_under_another_name(command: str, ends: str, tmp_path: Path, capsys: Captured) -> None:
    name, *options = command.split()
    assert main([name, written(tmp_path, "x*y"), "-o", str(tmp_path / "x.foo"), *options]) == 2
    assert f"x.foo: it ends in none of {ends}" in capsys.readouterr().err
    assert not (tmp_path / "x.foo").exists()


# --- several outputs --------------------------------------------------------------------------------------------------

SEVERAL = "q = x*y\nf = sin(q) + z\ng = q**2\n"
PRINTED: dict[str, tuple[str, list[str], str]] = {
    "jacobian": (SEVERAL, ["x=1", "y=2", "z=3"], "f  g  d_f_x  d_f_y  d_f_z  d_g_x  d_g_y  d_g_z"),
    "values": (SEVERAL, ["x=1", "y=2", "z=3", "--derivative", "none"], "f  g"),
    "listed": (f"{SEVERAL}output q, g\n", ["x=1", "y=2", "--derivative", "none"], "q  g"),
    "hessian": ("x**2*y", ["x=1", "y=2", "--derivative", "hessian"], "value  d_x  d_y  d_x_x  d_x_y  d_y_x  d_y_y"),
    "arrays": (
        "w: vector(n)\nf = sum(w**2)\ng = sum(w)*x\n",
        ["w=[1,2]", "x=3"],
        "f  g  d_f_w  d_f_x  d_g_w  d_g_x",
    ),
}


@pytest.mark.parametrize("case", PRINTED)
def test_eval_prints_every_output(case: str, tmp_path: Path, capsys: Captured) -> None:
    text, arguments, names = PRINTED[case]
    assert main(["eval", written(tmp_path, text), *arguments]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert list(lines) == names.split()
    known = {"d_g_x": "8.0", "d_x_y": "2.0", "d_g_w": "[3.0, 3.0]", "q": "2.0"}
    if case != "arrays":
        known |= {"g": "4.0"}
        assert all(lines[name] == number for name, number in known.items() if name in lines)
    else:
        assert lines["d_f_w"] == "[2.0, 4.0]"


def test_commands_take_several_outputs(tmp_path: Path, capsys: Captured) -> None:
    file = written(tmp_path, SEVERAL)
    assert main(["check", file, "x=1", "y=2", "z=3"]) == 0
    assert "the derivatives agree" in capsys.readouterr().out
    assert main(["trace", file, "x=1", "y=2", "z=3", "--of", "g"]) == 0
    assert "q**2" in capsys.readouterr().out
    assert main(["draw", file, "x=1", "y=2", "z=3", "--of", "g", "--format", "dot"]) == 0
    capsys.readouterr()
    assert main(["emit", file, "--derivative", "none", "--target", "python"]) == 0
    assert "return (f, g), ()" in capsys.readouterr().out
    assert main(["emit", file, "--derivative", "hessian"]) == 2
    assert "is of one number" in capsys.readouterr().err
    assert main(["bench", file]) == 2
    assert "bench times one expression" in capsys.readouterr().err
    assert main(["trace", file, "x=1", "y=2", "z=3", "--of", "h"]) == 2
    assert "no output; those are f, g" in capsys.readouterr().err


ARRAY_OUTPUTS = """
X: matrix(n, d)
w: vector(d)
residual = [sum(X[i, j]*w[j] for j in range(d)) - i for i in range(n)]
loss = residual @ residual
"""


def test_commands_take_outputs_that_are_arrays(tmp_path: Path, capsys: Captured) -> None:
    file, point = written(tmp_path, ARRAY_OUTPUTS + "output residual, loss\n"), ["X=[[1,2],[3,4]]", "w=[0.5,1]"]
    assert main(["eval", file, *point]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["residual"] == "[2.5, 4.5]"
    assert lines["d_residual_w"] == "[[1.0, 2.0], [3.0, 4.0]]"
    assert lines["d_loss_w"] == "[32.0, 46.0]"
    assert main(["check", file, *point]) == 0
    assert "the derivatives agree" in capsys.readouterr().out
    assert main(["trace", file, *point, "--of", "residual[1]"]) == 0
    assert capsys.readouterr().out.startswith("f = residual[1] = ")
    assert main(["trace", file, *point, "--by", "w[1]", "--of", "loss", "--level", "entries", "--explain", "w[0]"]) == 0
    assert "df/dw[0] = 28, where f = d loss / d w[1] = 46 and w[0] = 0.5." in capsys.readouterr().out
    assert main(["draw", file, *point, "--of", "residual[0]", "--format", "dot"]) == 0
    capsys.readouterr()
    for target in ("cpu", "cuda", "javascript", "python"):
        assert main(["emit", file, "--target", target]) == 0
        assert re.search(r'VALUES = [(\[]"residual", ', capsys.readouterr().out)
    assert main(["trace", file, *point, "--of", "residual"]) == 2
    assert "take an entry of it, such as 'residual[0]'" in capsys.readouterr().err


def test_one_array_is_an_output(tmp_path: Path, capsys: Captured) -> None:
    file = written(tmp_path, "x: vector(n)\n[x[i]**2 for i in range(n)]\n")
    assert main(["eval", file, "x=[2,3]"]) == 0
    assert capsys.readouterr().out == "value  [4.0, 9.0]\nd_x    [[4.0, 0.0], [0.0, 6.0]]\n"
    assert main(["trace", file, "x=[2,3]"]) == 0
    assert "f = value[0] = " in capsys.readouterr().out
    assert main(["eval", file, "x=[2,3]", "--derivative", "none"]) == 0
    assert capsys.readouterr().out == "value  [4.0, 9.0]\n"


# sparse derivatives ---------------------------------------------------------------------------------------------------

CHAIN = "x: vector(n)\nsum(c*x[i]**2*x[i+1] for i in range(n - 1))"
AT = ["x=[1,2,3]", "c=2"]


def test_eval_names_the_entries_of_a_sparse_derivative(tmp_path: Path, capsys: Captured) -> None:
    file = written(tmp_path, CHAIN)
    assert main(["eval", file, "--derivative", "hessian", "--sparse", *AT, "--symmetric=lower"]) == 0
    lines = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines()[2:])
    wanted = {"d_x_c[0]": "4.0", "d_x_x[0, 0]": "8.0", "d_x_x[1, 0]": "4.0", "d_x_x[1, 1]": "12.0"}
    assert {name: lines[name] for name in wanted} == wanted
    assert "d_x_x[0, 1]" not in lines
    family = written(tmp_path, "x: vector(n)\nf = [x[i]*x[i+1] for i in range(n - 1)]\ng = x[0]**2")
    for storage in ("csr", "csc", "coo"):
        assert main(["eval", family, "--sparse", storage, "x=[1,2,3]"]) == 0
        assert "d_f_x[0, 1]  1.0" in capsys.readouterr().out
    assert main(["eval", written(tmp_path, "f = a*b\ng = b"), "--sparse", "a=2", "b=3"]) == 0
    assert capsys.readouterr().out.split() == "f 6.0 g 3.0 d_f_a 3.0 d_f_b 2.0 d_g_b 1.0".split()


def test_check_takes_sparse_derivatives(tmp_path: Path, capsys: Captured) -> None:
    file = written(tmp_path, CHAIN)
    for derivative in ("jacobian", "hessian"):
        assert main(["check", file, "--derivative", derivative, "--sparse=csc", *AT]) == 0
        assert "along a direction" in capsys.readouterr().out


def test_draw_shows_a_pattern(tmp_path: Path, capsys: Captured) -> None:
    file = written(tmp_path, CHAIN)
    assert main(["draw", file, "--pattern", "hessian", *AT]) == 0
    assert "4 rows, 4 columns, 12 entries" in capsys.readouterr().out
    assert main(["draw", file, "--pattern", "jacobian", *AT, "-o", str(tmp_path / "pattern.dot")]) == 2
    assert "drawn as svg" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--sparse"], ["--symmetric", "lower"], ["--sparse=dia"]])
def test_what_is_not_sparse_is_refused(options: list[str], tmp_path: Path, capsys: Captured) -> None:
    with suppress(SystemExit):
        assert main(["eval", written(tmp_path, CHAIN), *options, *AT]) == 2
    assert "sparse" in capsys.readouterr().err
