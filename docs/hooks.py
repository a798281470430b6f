"""What the site has beside its pages: pictures and pages of circuits, made by symgrad while the site is built."""

from __future__ import annotations

import logging
import os
import posixpath
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pygments.formatters import HtmlFormatter

import symgrad

LOG = logging.getLogger("mkdocs.hooks.symgrad")  # a warning ends a strict build
HELP = "<!-- the help of every command -->"
# What a browser loads without being asked, other than the target of a link.
_LOADED = re.compile(r"""<(?:img|script|iframe|source|link)\b[^>]*?\b(?:src|href)\s*=\s*["']([^"'>]+)""")
_LOADED_BY_STYLE = re.compile(r"""(?:\burl\(|@import\s)\s*["']?([^"')\s]+)""")
_ELSEWHERE = re.compile(r"(?:https?:)?//")
_ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
_CODE = re.compile(r"`[^`]+`")
_LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)\s]+)\)")


class Circuit(NamedTuple):
    """A circuit that the pages show: `pictures/NAME.svg`, and `pictures/NAME.html` where it can be stepped through."""

    text: str  # in the language of expr.txt
    point: dict[str, Any]
    page: bool = False
    wrt: str = ""  # the inputs that are differentiated for; all, if empty
    level: str = "gates"
    through: str | None = None


NEURON = "s = w0*x0 + w1*x1 + w2\n1 / (1 + exp(-s))"
AT_NEURON = {"w0": 2.0, "w1": -3.0, "w2": -3.0, "x0": -1.0, "x1": -2.0}
MATRIX = "W: matrix(m, n)\nx: vector(n)\nq = W @ x\nsum(q**2)"
AT_MATRIX = {"W": np.array([[0.1, 0.5], [-0.3, 0.8]]), "x": np.array([0.2, 0.4])}
NET = """
X: matrix(n, d)
y: integers(n)
W1: matrix(d, h)
b1: vector(h)
W2: matrix(h, c)
b2: vector(c)
scores = max(0, X @ W1 + b1) @ W2 + b2
sum(max(0, scores[i, k] - scores[i, y[i]] + 1) for i in range(n) for k in range(c))/n - 1
"""
SMALL_NET = """
x: vector(d)
W: matrix(h, d)
b: vector(h)
v: vector(h)
t: real
(v @ max(0, W @ x + b) - t)**2
"""
AT_SMALL_NET = {
    "x": np.array([1.0, -2.0]),
    "W": np.array([[0.5, -1.0], [1.0, 0.5]]),
    "b": np.array([0.1, -0.2]),
    "v": np.array([2.0, -1.0]),
    "t": 3.0,
}
DRAW = np.random.default_rng(0).normal
AT_NET = {
    "X": DRAW(size=(20, 2)),
    "y": np.arange(20) % 3,
    "W1": DRAW(size=(2, 5)),
    "b1": np.zeros(5),
    "W2": DRAW(size=(5, 3)),
    "b2": np.zeros(3),
}
CIRCUITS = {
    "circuit": Circuit("q = x + y\nq*z", {"x": -2.0, "y": 5.0, "z": -4.0}, page=True),
    "neuron": Circuit(NEURON, AT_NEURON),
    "neuron-elementary": Circuit(NEURON, AT_NEURON, page=True, level="elementary"),
    "neuron-through": Circuit(NEURON, AT_NEURON, level="elementary", through="x1"),
    "patterns": Circuit("2*(x*y + max(z, w))", {"x": 3.0, "y": -4.0, "z": 2.0, "w": -1.0}, page=True),
    "twice": Circuit("x*y + sin(x)", {"x": 0.3, "y": 5.0}),
    "logarithm": Circuit("s = x - y\nlog(s)*z", {"x": 1.0, "y": 2.0, "z": 3.0}, page=True),
    "matrix": Circuit(MATRIX, AT_MATRIX),
    "matrix-entries": Circuit(MATRIX, AT_MATRIX, page=True, level="entries"),
    "small-net": Circuit(SMALL_NET, AT_SMALL_NET, page=True, level="entries"),
    "net": Circuit(NET, AT_NET, wrt="W1 b1 W2 b2"),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what is made here to the files of the site."""
    files.append(File.generated(config, "css/pygments.css", content=_colours()))
    for name, circuit in CIRCUITS.items():
        problem = symgrad.parse(circuit.text)
        wrt = [array for array in problem.declared if str(array) in circuit.wrt.split()]
        kernel = symgrad.compile(problem, wrt=wrt or None)
        drawing = kernel.draw(level=circuit.level, through=circuit.through, **circuit.point)
        files.append(File.generated(config, f"pictures/{name}.svg", content=drawing.svg))
        if circuit.page:
            files.append(File.generated(config, f"pictures/{name}.html", content=drawing.html))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Puts the help of the command line in its place; links to files outside of docs/ become the names of these files.

    And a bar in the code of a table needs no backslash here, as it does elsewhere.
    """
    if HELP in markdown:
        markdown = markdown.replace(HELP, _help())
    markdown = _ROW.sub(lambda row: _CODE.sub(lambda code: code[0].replace("\\|", "|"), row[0]), markdown)
    folder = posixpath.dirname(page.file.src_uri)

    def name(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", folder, link[2]))
        return link[0] if path.startswith("docs/") else f"`{path}`"

    return _LINK.sub(name, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Warns of what a browser would not find, or load from another host: the site is read without a network."""
    site = Path(config.site_dir)
    for path in sorted(site.rglob("*")):
        if path.suffix not in (".html", ".css", ".svg"):
            continue
        text = path.read_text(encoding="utf-8")
        for address in [*_LOADED.findall(text), *_LOADED_BY_STYLE.findall(text)]:
            if _ELSEWHERE.match(address):
                LOG.warning("%s loads %s", path.relative_to(site), address)
            elif not address.startswith(("data:", "#", "/")) and not (path.parent / address.split("?")[0]).is_file():
                LOG.warning("%s loads %s, which is not there", path.relative_to(site), address)


def _colours() -> str:
    """Pygments' style sheets: light, and dark where the theme is."""
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs("[data-bs-theme=dark] .highlight")
    return "\n".join(line for line in f"{light}\n{dark}".splitlines() if "background" not in line)


def _help() -> str:
    """What `symgrad --help` prints, and `symgrad COMMAND --help` for each command that is named there."""
    general = _printed("--help")
    commands = re.findall(r"^    (\w+)(?= )", general.partition("commands:")[2], re.MULTILINE)
    parts = [f"```text\n{general}```"]
    parts += [f"## symgrad {command}\n\n```text\n{_printed(command, '--help')}```" for command in commands]
    return "\n\n".join(parts)


def _printed(*arguments: str) -> str:
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "symgrad", *arguments]
    return subprocess.run(command, capture_output=True, check=True, env=environment, encoding="utf-8").stdout
