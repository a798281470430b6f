"""The emitted source: as a careful person would write it, safe whatever the names are, a program without symgrad."""

from __future__ import annotations

import ast
import io
import keyword
import math
import os
import re
import subprocess
import sys
import tokenize
import types
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import sympy as sp
from symgrad_codegen.run import build
from symgrad_codegen.targets import TARGETS
from symgrad_codegen.text.expressions import WIDTH

import symgrad

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
RUNTIME = "# --- Fixed run-time text"
x, y, z = sp.symbols("x y z")

NEURON = """
s = w0*x0 + w1*x1 + w2
1/(1 + exp(-s))
"""
NET = """
X: matrix(n, d)
W1: matrix(d, h)
b1: vector(h)
w2: vector(h)
y: vector(n)
hidden = max(0, X @ W1 + b1)
scores = hidden @ w2
sum((scores - y)**2)
"""
AWKWARD = [sp.Symbol(name) for name in ("lambda", "a b", "x; import os", "np", "µ")]

# name: expression, options, a point, the value and the gradient there
GOLDENS: dict[str, tuple[Any, dict[str, Any], tuple[float, ...], tuple[float, ...]]] = {
    "circuit": ((x + y) * z, {}, (-2.0, 5.0, -4.0), (-12, -4, -4, 3)),
    "neuron": (
        NEURON,
        {},
        (2.0, -3.0, -3.0, -1.0, -2.0),
        (
            0.731058578630005,
            -0.19661193324148,
            -0.39322386648296,
            0.19661193324148,
            0.39322386648296,
            -0.58983579972445,
        ),
    ),
    "piecewise": (
        sp.Piecewise((sp.log(x) * y, x > 1), (x**3 - y, True)),
        {"accuracy": "strict"},
        (0.5, 2.0),
        (-1.875, 0.75, -1),
    ),
    "awkward": (
        AWKWARD[0] * AWKWARD[1] + AWKWARD[2] ** 2 * AWKWARD[3] / AWKWARD[4],
        {"target": "python", "dtype": "float32"},
        # in order: a b, lambda, np, x; import os, µ
        (2.0, 3.0, 5.0, 4.0, 8.0),
        (16, 3, 2, 2, 5, -1.25),
    ),
}
GOLDENS |= {
    f"neuron_{target}": (NEURON, {"target": target}, *GOLDENS["neuron"][2:]) for target in TARGETS if target != "cpu"
}
GOLDENS |= {
    "piecewise_cuda": (
        GOLDENS["piecewise"][0],
        {"target": "cuda", "accuracy": "strict", "dtype": "float32"},
        *GOLDENS["piecewise"][2:],
    ),
    "awkward_javascript": (
        GOLDENS["awkward"][0],
        {"target": "javascript", "dtype": "float32"},
        *GOLDENS["awkward"][2:],
    ),
}
# Those for GPUs run in the simulator, those in JavaScript in Node: test_cuda_simulator.py, test_javascript.py.
RUN_HERE = [name for name, row in GOLDENS.items() if row[1].get("target", "cpu") in ("cpu", "python")]
IN_PYTHON = [name for name, target in TARGETS.items() if target.suffix == "py"]


WITH_ARRAYS = [name for name, target in TARGETS.items() if target.arrays]
NETS = [name for name in WITH_ARRAYS if name != "python"]  # it has the functions of cpu


def emitted(name: str) -> str:
    expr, options, *_ = GOLDENS[name]
    return symgrad.emit(expr, **options)


def module_of(text: str) -> Any:
    """The emitted text as a module: from a file, as Numba wants it."""
    return build.load(text, use_cache=False)


def run(module: Any, point: tuple[float, ...], name: str = "kernel") -> list[float]:
    value, gradient = getattr(module, name)(*point)
    return [float(value), *map(float, gradient)]


# --- golden files -----------------------------------------------------------------------------------------------------


# Of points, of arrays.
TEXTS = ("s = x*y\nsin(s) + s", "X: matrix(n, d)\nw: vector(d)\nsum(exp(X @ w))")


@pytest.mark.parametrize(
    ("target", "expr"), [(name, expr) for name, row in TARGETS.items() for expr in TEXTS[: 1 + row.arrays]]
)
def test_the_body_is_the_part_about_the_mathematics(target: str, expr: str) -> None:
    text, body = symgrad.emit(expr, target=target), symgrad.emit(expr, target=target, body=True)
    formula, functions = body.split("\n", 1)
    assert formula.lstrip("#/ ").startswith("f(")
    assert functions.strip() in text
    assert len(body) < len(text)
    assert RUNTIME not in body
    assert not re.search(r"^\W*(import|include|from)\b", body, re.MULTILINE)
    if target in ("cpu", "cuda"):
        assert str(symgrad.compile(expr, target=target)) == body


@pytest.mark.parametrize("name", GOLDENS)
def test_golden(name: str, update_golden: bool) -> None:
    path = GOLDEN / f"{name}.{TARGETS[GOLDENS[name][1].get('target', 'cpu')].suffix}"
    head = emitted(name).split(RUNTIME)[0].rstrip() + "\n"
    if update_golden:
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(head, encoding="utf-8", newline="\n")
    assert head == path.read_text(encoding="utf-8"), "pytest --update-golden writes it anew"


@pytest.mark.parametrize("name", RUN_HERE)
def test_golden_text_runs(name: str) -> None:
    _, options, point, want = GOLDENS[name]
    module = module_of(emitted(name))
    tolerance = 1e-12 if options.get("dtype") != "float32" else 1e-6
    assert run(module, point) == pytest.approx(want, rel=tolerance)
    value, gradient = module.kernel_batch(*(np.full(3, a) for a in point))
    assert [float(value[2]), *(float(g[2]) for g in gradient)] == pytest.approx(want, rel=tolerance)
    assert len(module.ARGUMENTS) == len(point)
    assert len(module.WRT) == len(want) - 1


@pytest.mark.parametrize("target", NETS)
def test_golden_net(target: str, update_golden: bool) -> None:
    """The mathematics of a net reads as its text does: by the names of its layers, of their gradients, and indices."""
    path = GOLDEN / f"net_{target}.{TARGETS[target].suffix}"
    body = symgrad.emit(NET, target=target, body=True)
    if update_golden:
        path.write_text(body, encoding="utf-8", newline="\n")
    assert body == path.read_text(encoding="utf-8"), "pytest --update-golden writes it anew"
    assert {"hidden", "scores", "d_W1", "d_b1", "d_w2", "where_larger"} <= set(re.findall(r"\w+", body))


def test_over_arrays_plain_python_is_what_the_cpu_runs() -> None:
    assert symgrad.emit(NET, target="python", body=True) == symgrad.emit(NET, target="cpu", body=True)


@pytest.mark.parametrize("target", WITH_ARRAYS)
def test_statements_of_the_backward_part_say_what_they_are(target: str) -> None:
    """In loops over arrays as in the one-point function, where a gradient is whole: not at what goes into it."""
    text = "X: matrix(n, d)\nw: vector(d)\nz = X @ w\nh = tanh(z)*z\nloss = mean(h**3) + b*dot(w, w)\nloss"
    body = symgrad.emit(text, target=target, body=True)
    line = r"^ *(?:const )?(\w+?)(?:_block|_here|_i)?(?:\[.*?\])? = .*\S {1,2}(?:#|//) (.*)$"
    said = re.findall(line, body, re.MULTILINE)
    assert sorted(said) == sorted((f"d_{name}", f"d loss / d {name}") for name in ("X", "b", "h", "w", "z"))
    assert all(line == line.rstrip() for line in body.splitlines())


@pytest.mark.parametrize("target", WITH_ARRAYS)
@pytest.mark.parametrize(
    ("text", "rows", "columns"),
    [
        ("sum(sum(sin(X[i,j]) for j in range(d)) for i in range(n))", "i", "j"),
        ("sum(sum(sin(X[i,j])*w[j] for i in range(n)) for j in range(d))", "i", "j"),
        ("sum(exp(sum(X[i,j]*w[j] for j in range(d))) for i in range(n))", "i", "j"),
        ("sum(exp(sum(X[i,j]*v[i] for i in range(n))) for j in range(d))", "i", "j"),
        ("sum(X[j,i]**2*w[i]*v[j] for i in range(d) for j in range(n))", "j", "i"),  # a law reorders its loops
    ],
)
def test_indices_have_the_letters_of_the_text(text: str, rows: str, columns: str, target: str) -> None:
    """Also the loops of gradients, which the text has none of."""
    body = symgrad.emit(f"X: matrix(n, d)\nv: vector(n)\nw: vector(d)\n{text}", target=target, body=True)
    by_entry = rf"X\[{rows} \* d \+ {columns}\]" if target == "javascript" else rf"X\[{rows}, {columns}\]"
    by_block = rf"X_block\[{columns}, {rows}\]|X_{rows}\[{columns}\]"  # rows of a block have the data last
    entries = re.findall(r"\b(?:d_)?(X(?:_block|_\w)?\[\w+[^\w:\]].*?\])", body)
    lines = [line for line in body.splitlines() if not line.lstrip().startswith(("#", "/", '"'))]
    assert any(re.search(rf"\bd_({by_entry}|{by_block}) = ", line) for line in lines)
    assert not [own for own in entries if not re.fullmatch(rf"{by_entry}|{by_block}|X\[{rows}, {columns}\]", own)]
    assert {rows, columns} >= set(re.findall(r"\bfor \(?(?:let )?(\w+) (?:=|in range)", body)) - {
        "entry_0",
        "first",
        "begin",
    }


def test_there_are_no_other_golden_files() -> None:
    nets = {f"net_{target}" for target in NETS}
    assert {path.stem for path in GOLDEN.glob("*.*")} == {*GOLDENS, *nets, "logistic_loss_cuda"}


# --- how it reads -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDENS)
def test_lines_are_short_and_end_well(name: str) -> None:
    text = emitted(name)
    assert all(len(line) <= WIDTH + 4 and line == line.rstrip() for line in text.splitlines())
    assert text.endswith("\n")
    assert "\t" not in text
    assert "_tmp" not in text


def test_blocks_and_docstring() -> None:
    text = symgrad.emit(NEURON)
    body = text.split("def kernel(")[1].split("\n\n")[0]
    assert body.index("# forward") < body.index("# backward") < body.index("return ")
    assert "    s = " in body
    docstring = ast.get_docstring(ast.parse(text)) or ""
    for word in ("w0, w1, w2, x0, x1", "float64", "Numba", "NumPy", "Operations"):
        assert word in docstring


def test_long_expressions_are_shortened_in_the_docstring() -> None:
    text = symgrad.emit(sp.Add(*(sp.sin(s) for s in sp.symbols("s:300"))))
    docstring = ast.get_docstring(ast.parse(text)) or ""
    formula = docstring.split(") = ", 1)[1].split("Arguments")[0]
    assert "..." in formula
    assert len(formula) < 400
    assert "sin(s299)" in text  # the statements stay


@pytest.mark.parametrize("target", IN_PYTHON)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("accuracy", ["fast", "strict"])
def test_the_same_text_twice(target: str, dtype: str, accuracy: str) -> None:
    expr = sp.exp(x * y) * sp.sin(y) + sp.Max(x, z) ** 5 / sp.gamma(z)
    options = {"target": target, "dtype": dtype, "accuracy": accuracy}
    assert symgrad.emit(expr, **options) == symgrad.emit(expr, **options)
    compile(symgrad.emit(expr, **options), "emitted", "exec")


def test_the_run_time_text_is_always_the_same() -> None:
    one, two = symgrad.emit(x**2), symgrad.emit(sp.sin(x) * y, accuracy="strict", dtype="float32")
    text = one.split(RUNTIME)[1].split("\nif JIT:\n    SIGNATURE")[0].rstrip()
    assert text in two


def test_strict_and_float32_are_said() -> None:
    strict = symgrad.emit(x * y + 1, accuracy="strict")
    assert "contract" not in strict.split(RUNTIME)[0]
    assert "contract" in symgrad.emit(x * y + 1).split(RUNTIME)[0]
    assert "float32(0.1)" not in symgrad.emit(x / 10)
    assert "float32(" in symgrad.emit(sp.Rational(1, 3) * x, dtype="float32")


# --- names ------------------------------------------------------------------------------------------------------------

ATTACKS = [
    "x; import os",
    "a\nb",
    "a\rb",
    '"""',
    "'",
    "\\",
    "#",
    "{x}",
    "%s",
    "lambda",
    "None",
    "True",
    "__debug__",
    "µ",
    "μ",
    "ﬁ",
    "fi",
    "kernel",
    "kernel_batch",
    "np",
    "math",
    "njit",
    "exp",
    "gamma",
    "sin",
    "real",
    "inf",
    "nan",
    "pi",
    "float32",
    "range",
    "points",
    "d_x",
    "x",
    "d_d_x",
    "value",
    "value_2",
    "i",
    "j",
    "start",
    "stop",
    "rows",
    "out",
    "out_",
    "inputs",
    "x_block",
    "symbol",
    "symbol_2",
    '__import__("os").system("echo owned")',
    "",
    " ",
    "1x",
    "x y",
    "x_y",
    "😀",
    "\u202e",
    "é",
    "e\u0301",
    "self",
    "_",
    "__name__",
    "print",
    "exec",
    "if",
    "x'",
    "\\frac{a}{b}",
    "sum_1",
    "x_squared",
]
_FUNCTIONS = [name for name in ("exp", "gamma", "sin", "np") if name not in ATTACKS[3::4]]
assert len({*ATTACKS}) == len(ATTACKS)


def without_comments(text: str) -> str:
    """The source with every comment blanked."""
    lines = text.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column] + "\n"
    return "".join(lines)


def attacked(which: list[str], uses: str) -> tuple[sp.Expr, list[sp.Symbol]]:
    """An expression of symbols with those names; with or without functions of the same names in it."""
    symbols = [sp.Symbol(name) for name in which]
    f = sp.Add(*((k + 2) * s**2 for k, s in enumerate(symbols)))
    if uses == "functions":
        f += sp.exp(symbols[0]) * sp.gamma(2 + symbols[1] ** 2) + sp.sin(symbols[2])
    return f, symbols


def expected(point: list[float], uses: str) -> list[float]:
    value = sum((k + 2) * a**2 for k, a in enumerate(point))
    gradient = [2 * (k + 2) * a for k, a in enumerate(point)]
    if uses == "functions":
        a, b, c = point[:3]
        value += math.exp(a) * math.gamma(2 + b**2) + math.sin(c)
        gamma = math.gamma(2 + b**2)
        digamma = float(sp.digamma(2 + sp.Float(b, 30) ** 2))
        gradient[0] += math.exp(a) * gamma
        gradient[1] += math.exp(a) * gamma * digamma * 2 * b
        gradient[2] += math.cos(c)
    return [value, *gradient]


@pytest.mark.parametrize("uses", ["no functions", "functions"])
@pytest.mark.parametrize("target", ["python", "cpu"])
def test_names_are_only_names(target: str, uses: str) -> None:
    # Compiling many inputs takes long: Numba gets those that can collide.
    expr, symbols = attacked(ATTACKS if target == "python" else [*ATTACKS[3::4], *_FUNCTIONS], uses)
    text = symgrad.emit(expr, symbols, target=target)
    module = module_of(text)
    assert len(set(module.ARGUMENTS)) == len(symbols)
    assert all(name.isidentifier() and not keyword.iskeyword(name) for name in module.ARGUMENTS)
    assert module.WRT == module.ARGUMENTS
    point = [0.25 + k / 64 for k in range(len(symbols))]
    assert run(module, tuple(point)) == pytest.approx(expected(point, uses), rel=1e-13)
    value, gradient = module.kernel_batch(*(np.full(2, a) for a in point))
    assert [value[0], *(g[1] for g in gradient)] == pytest.approx(expected(point, uses), rel=1e-13)


@pytest.mark.parametrize("name", ATTACKS, ids=ascii)
@pytest.mark.parametrize("target", IN_PYTHON)
def test_no_name_gets_out(name: str, target: str) -> None:
    """Nothing of the name stands in the code unless it is an identifier; imports and calls are the fixed ones."""
    other = sp.Symbol("x") if name != "x" else sp.Symbol("y")
    strange = sp.Symbol(name)
    text = symgrad.emit(strange**2 * other + sp.exp(strange), (strange, other), target=target)
    plain = symgrad.emit(y**2 * x + sp.exp(y), (y, x), target=target)
    code = without_comments(text)
    if name.strip() and not name.isidentifier() and name not in ("'", "\\", "#", "%s", '"""', "1x", "x'"):
        assert name not in code
    assert imported(text) == imported(plain)
    assert called(text) - {"symbol"} <= called(plain) | {"exp"}
    assert len([n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.stmt)]) == len(
        [n for n in ast.walk(ast.parse(plain)) if isinstance(n, ast.stmt)]
    )


def imported(text: str) -> set[str]:
    return {ast.unparse(n) for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import | ast.ImportFrom)}


def called(text: str) -> set[str]:
    return {ast.unparse(n.func) for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)}


LONG_POINTS = """
SUM = X*Y + sin(X)
exp(SUM)*SUM + max(Y, SUM)
"""
LONG_ARRAYS = """
X: vector(N)
Y: matrix(N, M)
SUM = X @ Y
log(1 + sum(SUM[J]**2 for J in range(M))) + sum(exp(X[I]*Y[I, J]) for I in range(N) for J in range(M)) + logdet(Y @ Y.T)
"""


def lengthened(text: str, length: int) -> str:
    """The text with each of its names in capitals that long, but for .T."""
    return re.sub(r"\b(SUM|[A-SU-Z])\b", lambda name: name[0][0] * length, text)


@pytest.mark.parametrize("length", [60, 100, 113, 116, 1000])
def test_names_of_any_length(length: int) -> None:
    """Lines are broken where Python may be broken."""
    for target in IN_PYTHON:
        for text in (LONG_POINTS, LONG_ARRAYS):
            ast.parse(symgrad.emit(lengthened(text, length), target=target))
    point = 0.5, 0.75
    module = module_of(symgrad.emit(lengthened(LONG_POINTS, length), target="python"))
    assert run(module, point) == run(module_of(symgrad.emit(LONG_POINTS, target="python")), point)
    assert list(module.ARGUMENTS) == ["X" * length, "Y" * length]
    assert module.WRT == module.ARGUMENTS
    arrays = np.array([0.5, 0.75]), np.array([[0.25, 1.0, 0.5], [0.75, 0.5, 2.0]])
    value, gradient = module_of(symgrad.emit(lengthened(LONG_ARRAYS, length), target="python")).kernel(*arrays)
    want, wanted = module_of(symgrad.emit(LONG_ARRAYS, target="python")).kernel(*arrays)
    assert value == want
    assert [g.tolist() for g in gradient] == [g.tolist() for g in wanted]


def test_a_name_of_any_length_is_compiled() -> None:
    kernel = symgrad.compile(sp.Symbol("x" * 300) * y)
    assert kernel(2.0, 3.0) == (6.0, (3.0, 2.0))


def test_a_name_that_is_an_identifier_stays_as_it_is() -> None:
    names = ["gamma", "exp", "theta", "sigma_1", "Größe", "λ", "_private", "i", "start", "value"]
    expr = sp.Mul(*sp.symbols(" ".join(names)))
    module = module_of(symgrad.emit(expr, sp.symbols(" ".join(names)), target="python"))
    assert [n for n in names if n not in module.ARGUMENTS] == []


def test_a_function_that_is_used_keeps_its_name() -> None:
    gamma, other = sp.symbols("gamma other")
    text = symgrad.emit(sp.gamma(gamma) * other, target="python")
    module = module_of(text)
    assert "gamma" not in module.ARGUMENTS
    assert "stands for 'gamma'" in text
    assert run(module, (3.0, 5.0))[0] == pytest.approx(10.0)


def test_the_legend_tells_what_stands_for_what() -> None:
    text = symgrad.emit(sp.Symbol("x; import os") * sp.Symbol("lambda"), target="python")
    legend = [line for line in text.splitlines() if "stands for" in line and line.startswith("#")]
    assert any("'x; import os'" in line for line in legend)
    assert any("'lambda'" in line for line in legend)
    assert symgrad.emit(sp.Symbol("a\nb") * 2).count("'a\\nb'") == 1


# --- a plain program --------------------------------------------------------------------------------------------------

ALONE = """
import sys
sys.modules.update(symgrad=None, symgrad_codegen=None, sympy=None)
sys.path.insert(0, {folder!r})
import numpy as np
import emitted
value, gradient = emitted.kernel(*{point!r})
print(*(float(a).hex() for a in (value, *gradient)))
value, gradient = emitted.kernel_batch(*(np.full(3, a) for a in {point!r}))
print(*(float(a[1]).hex() for a in (value, *gradient)))
out = emitted.kernel_batch(*(np.full(3, a) for a in {point!r}), out=(value, gradient))
print(out[0] is value, emitted.ARGUMENTS, type(emitted.kernel).__module__.split(".")[0])
"""
PLAIN = sp.exp(-(x**2)) * sp.sin(y) + sp.Max(x, y, z) * sp.floor(z) + sp.Piecewise((sp.log(x), x > 0), (y, True))
PLAIN += sp.gamma(z) * sp.sinc(x) + sp.cbrt(z) + sp.Mod(y, x) + sp.Abs(y) ** 5 + sp.loggamma(z) + sp.atan2(x, y)


@pytest.mark.parametrize("jit", ["numba", "plain"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_runs_without_symgrad(jit: str, dtype: str, tmp_path: Path) -> None:
    (tmp_path / "emitted.py").write_text(symgrad.emit(PLAIN, dtype=dtype, accuracy="strict"), encoding="utf-8")
    point = (0.5, 1.25, 2.5)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "PYTHON"))}
    environment |= {"NUMBA_DISABLE_JIT": "1"} if jit == "plain" else {}
    code = ALONE.format(folder=str(tmp_path), point=point)
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    alone, batch, words = done.stdout.splitlines()
    kernel = symgrad.compile(PLAIN, dtype=dtype, accuracy="strict")
    value, grad = kernel(*point)
    got = [float.fromhex(word) for word in alone.split()]
    assert got == pytest.approx([value, *grad], rel=1e-14 if dtype == "float64" else 1e-5)  # gamma may differ
    assert batch == alone
    assert words == f"True ('x', 'y', 'z') {'numba' if jit == 'numba' else 'builtins'}"


def test_kernel_batch_refuses_what_it_cannot_take() -> None:
    module = module_of(symgrad.emit(x * y))
    good = np.ones(3)
    with pytest.raises(ValueError, match="1-D"):
        module.kernel_batch(good, np.ones(4))
    with pytest.raises(ValueError, match="1-D"):
        module.kernel_batch(np.ones((3, 1)), np.ones((3, 1)))
    for out in [(np.empty(2), (np.empty(3), np.empty(3))), (good, (np.empty(3), np.empty(3)))]:
        with pytest.raises(ValueError, match="out"):
            module.kernel_batch(good, np.ones(3), out=out)


@pytest.mark.parametrize("text", ["x: vector(n)\nsum(x[i]**2 for i in range(n))", "sum(x*i for i in range(n))"])
@pytest.mark.parametrize("name", TARGETS)
def test_a_target_without_arrays_refuses_them(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TARGETS, name, TARGETS[name]._replace(arrays=False))
    others = ", ".join(other for other, target in TARGETS.items() if target.arrays)
    with pytest.raises(symgrad.UnsupportedExpression, match=rf"'{name}'.*arrays.*; the targets {others} have them"):
        symgrad.emit(text, target=name)


def test_targets() -> None:
    assert isinstance(module_of(symgrad.emit(x, target="python")).kernel, types.FunctionType)
    with pytest.raises(ValueError, match="target"):
        symgrad.emit(x, target="fortran")


@pytest.mark.parametrize("name", ["energy", "f", "kernel2", "x_"])
def test_the_name_of_the_kernel(name: str) -> None:
    module = module_of(symgrad.emit(x * y, name=name, target="python"))
    assert run(module, (2.0, 3.0), name) == [6.0, 3.0, 2.0]
    assert hasattr(module, f"{name}_batch")


def test_a_kernel_with_the_name_of_a_function_is_refused() -> None:
    with pytest.raises(ValueError, match="exp"):
        symgrad.emit(sp.exp(x) * y, name="exp", target="python")


def identifiers(text: str) -> list[str]:
    """Every identifier that stands in Python text, and what those are made of that begin with a kernel's name."""
    found = {"__builtins__", "__file__", "_", *keyword.kwlist}
    for node in ast.walk(ast.parse(text)):
        found |= {getattr(node, part, None) or "" for part in ("id", "arg", "name", "asname", "attr", "module")} - {""}
    found = {part for name in found for part in name.split(".")}
    return sorted(found | {name.removesuffix("_batch").removesuffix("_into") for name in found})


def named(text: Any, target: str, name: str) -> Any:
    """The module of a kernel of that name; None where the name is refused."""
    try:
        return module_of(symgrad.emit(text, target=target, name=name))
    except ValueError as error:
        if repr(name) not in str(error):
            raise
        return None


NAMED_POINTS = sp.exp(x) * y + sp.Max(x, y) + sp.gamma(y) + sp.cbrt(y)
NAMED_ARRAYS = """
w: vector(n)
sum(exp(w[i]*t) + sin(w[i]) for i in range(n)) + log(sum(w))
"""


@pytest.mark.parametrize("target", ["python", "cpu"])
def test_a_kernel_of_points_takes_any_name_or_refuses_it(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)  # the same text, without waiting for the compiler
    plain = module_of(symgrad.emit(NAMED_POINTS, target=target))
    point = np.array([0.5, 1.5, 2.5]), np.array([1.25, 0.25, 2.0])
    value, gradient = plain.kernel_batch(*point)
    refused = []
    for name in identifiers(symgrad.emit(NAMED_POINTS, target=target)):
        module = named(NAMED_POINTS, target, name)
        if module is None:
            refused.append(name)
            continue
        assert run(module, (0.5, 1.25), name) == run(plain, (0.5, 1.25)), name
        values, gradients = getattr(module, f"{name}_batch")(*point)
        assert (values.tolist(), [g.tolist() for g in gradients]) == (value.tolist(), [g.tolist() for g in gradient]), (
            name
        )
    assert {"__builtins__", "run", "real", "np", "sorted"} <= set(refused)
    assert not {"i", "start", "rows", "gradient", "out", "value", "_"} & set(refused)


@pytest.mark.parametrize("target", ["python", "cpu"])
def test_a_kernel_of_arrays_takes_any_name_or_refuses_it(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    w, t = np.array([0.5, 1.5, 2.5]), 0.75

    def results(module: Any, name: str) -> list[Any]:
        out = [np.empty(1), np.empty(3)]
        value = getattr(module, f"{name}_into")(module.walk_parts, t, w, *out)
        return [value, *(array.tolist() for array in out)]

    want = results(module_of(symgrad.emit(NAMED_ARRAYS, target=target)), "kernel")
    refused = []
    for name in identifiers(symgrad.emit(NAMED_ARRAYS, target=target)):
        module = named(NAMED_ARRAYS, target, name)
        if module is None:
            refused.append(name)
            continue
        assert results(module, name) == want, name
    assert {"__builtins__", "real", "np", "range", "walk_parts"} <= set(refused)
    assert not {"i", "start", "first", "walk", "result", "_"} & set(refused)


@pytest.mark.parametrize("name", ["x", "d_x"])
def test_a_kernel_with_the_name_of_an_input(name: str) -> None:
    module = module_of(symgrad.emit(sp.exp(x) * y, name=name, target="python"))
    assert run(module, (0.0, 3.0), name) == [3.0, 3.0, 1.0]
