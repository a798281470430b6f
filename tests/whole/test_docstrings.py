"""The docstrings of all that is public, as a parser of Google's style reads them: they say what the signatures have."""

from __future__ import annotations

import builtins
import doctest
import importlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
import pytest
import sympy
from griffe import DocstringSectionKind as Kind

import symgrad
import symgrad.reductions

ROOT = Path(__file__).resolve().parents[2]
SHOWN = [
    name
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for name in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
]
LISTED = [f"symgrad.{name}" for name in symgrad.__all__ if not name.startswith("_")]
LOADED = griffe.load(
    "symgrad", search_paths=[ROOT, ROOT / "codegen"], docstring_parser="google", allow_inspection=False
)
# How an object is called or made is public, too.
SPECIAL = ("__call__", "__new__")


def found(name: str) -> Any:
    """What a dotted name stands for, where it is defined."""
    item = LOADED[name.removeprefix("symgrad.")]
    return item.final_target if item.is_alias else item


def public(item: Any) -> Iterator[Any]:
    """A public function or class, and of a class its public methods and properties, those of its parents as well."""
    yield item
    if item.is_class:
        for member in item.all_members.values():
            is_attribute = member.is_attribute and "property" not in member.labels
            if not is_attribute and (member.name in SPECIAL or not member.name.startswith("_")):
                yield member


PUBLIC = {item.path: item for name in [*LISTED, *SHOWN] for item in public(found(name))}
FUNCTIONS = {path: item for path, item in PUBLIC.items() if item.is_function}
EXAMPLES = [path for path, item in PUBLIC.items() if item.docstring and ">>> " in item.docstring.value]
CLASSES = {path: item for path, item in PUBLIC.items() if item.is_class}


def sections(item: Any) -> dict[Kind, Any]:
    """The content of each section of a docstring that has items, and of its examples."""
    assert item.docstring is not None, f"{item.path} has no docstring"
    parsed = griffe.parse(item.docstring, "google", returns_multiple_items=False)
    told = [section for section in parsed if section.kind not in (Kind.text, Kind.admonition)]
    kinds = [section.kind for section in told]
    assert len(set(kinds)) == len(kinds), f"{item.path} has a section twice"
    return {section.kind: section.value for section in told}


def arguments(item: Any) -> list[str]:
    """The names in a signature, with their stars, as `Args:` lists them."""
    stars = {"variadic positional": "*", "variadic keyword": "**"}
    parameters = [parameter for parameter in item.parameters if parameter.name not in ("self", "cls")]
    return [stars.get(parameter.kind.value, "") + parameter.name.lstrip("*") for parameter in parameters]


def fields(item: Any) -> set[str]:
    """The public attributes of a class, its parents' included, without those that have a docstring themselves."""
    return {
        name
        for name, member in item.all_members.items()
        if member.is_attribute and not name.startswith("_") and "property" not in member.labels
        if member.docstring is None
    }


def test_every_public_name_is_in_the_reference() -> None:
    shown = {found(name).path for name in SHOWN}
    assert [name for name in LISTED if found(name).path not in shown] == []
    assert len(FUNCTIONS) > 20
    assert len(CLASSES) > 15


@pytest.mark.parametrize("path", PUBLIC)
def test_has_a_docstring_that_the_parser_takes(path: str, caplog: pytest.LogCaptureFixture) -> None:
    item = PUBLIC[path]
    with caplog.at_level(logging.WARNING, logger="griffe"):
        sections(item)
    assert caplog.messages == []
    first, *rest = item.docstring.value.splitlines()
    assert re.search(r"\w", first)
    assert not rest or not rest[0], f"{path}: the first line stands alone"


@pytest.mark.parametrize("path", FUNCTIONS)
def test_arguments_are_those_of_the_signature(path: str) -> None:
    item = FUNCTIONS[path]
    entries = sections(item).get(Kind.parameters, [])
    assert [entry.name for entry in entries] == arguments(item)
    assert all(entry.description and entry.annotation is not None for entry in entries)


@pytest.mark.parametrize("path", FUNCTIONS)
def test_says_what_comes_back(path: str) -> None:
    """Of what takes no arguments the first line is enough."""
    item = FUNCTIONS[path]
    comes_back = str(item.returns) != "None"
    has = Kind.returns in sections(item)
    assert comes_back or not has
    assert has or not comes_back or not arguments(item)


@pytest.mark.parametrize("path", CLASSES)
def test_attributes_are_those_of_the_class(path: str) -> None:
    item = CLASSES[path]
    names = [entry.name for entry in sections(item).get(Kind.attributes, [])]
    assert len(set(names)) == len(names)
    assert set(names) == fields(item)
    members = item.all_members
    assert [name for name in names if members[name].annotation is None] == [], "they have no types"


@pytest.mark.parametrize("path", PUBLIC)
def test_errors_are_exceptions(path: str) -> None:
    """What is said to be raised is an exception of symgrad's, of Python's or of NumPy's, once."""
    entries = sections(PUBLIC[path]).get(Kind.raises, [])
    names = [str(entry.annotation) for entry in entries]
    assert len(set(names)) == len(names)
    for name in names:
        module, _, last = name.rpartition(".")
        homes = [importlib.import_module(module)] if module else [symgrad, builtins]
        kind = next((getattr(home, last) for home in homes if hasattr(home, last)), None)
        assert isinstance(kind, type), name
        assert issubclass(kind, Exception), name
    assert all(entry.description for entry in entries)


@pytest.mark.parametrize("path", EXAMPLES)
def test_examples_run(path: str) -> None:
    item = PUBLIC[path]
    names = {"symgrad": symgrad, "sympy": sympy}
    test = doctest.DocTestParser().get_doctest(item.docstring.value, names, path, str(item.filepath), item.lineno)
    report: list[str] = []
    doctest.DocTestRunner().run(test, out=report.append)
    assert not report, "".join(report)
