"""Modules of the target javascript over arrays, run in Node: many in one process, with entries guarded."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from test_javascript import NODE, _coded, _decoded, assert_fits_into_a_page

# In front of a module: an entry that is outside of its array is an error, but for arrays that have none.
GUARD = """
const guarded = (type) => {
    const outside = (array, key) => {
        if (typeof key !== "string" || !/^(-?\\d+(\\.\\d+)?|NaN|undefined)$/.test(key) || !array.length) return;
        if (!(key in array)) throw new Error(`outside of an array: entry ${key} of ${array.length}`);
    };
    const guard = (array) =>
        new Proxy(array, {
            get(target, key) {
                outside(target, key);
                const found = Reflect.get(target, key, target);
                return typeof found === "function" ? found.bind(target) : found;
            },
            set(target, key, value) {
                outside(target, key);
                return Reflect.set(target, key, value, target);
            },
        });
    return new Proxy(type, {
        construct: (target, given) => guard(new target(...given)),
        get: (target, key) => (key === "from" ? (...given) => guard(target.from(...given)) : target[key]),
    });
};
const Float64Array = guarded(globalThis.Float64Array);
const Float32Array = guarded(globalThis.Float32Array);
const Uint8Array = guarded(globalThis.Uint8Array);
"""

RUNNER = """
import { readFileSync } from "node:fs";

const number = (value) => (typeof value === "string" ? Number(value) : value);
const text = (value) => (Object.is(value, -0) ? "-0" : Number.isFinite(value) ? value : String(value));
const plain = (value) =>
    typeof value === "number" ? text(value) : { shape: value.shape, data: Array.from(value, text) };
const nested = (data, [length, ...rest]) => {
    const size = rest.reduce((a, b) => a * b, 1);
    const row = (i) => (rest.length ? nested(data.slice(i * size, (i + 1) * size), rest) : data[i]);
    return Array.from({ length }, (_, i) => row(i));
};
const TYPES = { Float64Array, Float32Array, Int32Array, Array };
const argument = (given) => {
    if (typeof given !== "object") return number(given);
    const data = given.data.map(number);
    if (given.as === "nested") return nested(data, given.shape);
    return Object.assign(TYPES[given.as].from(data), given.shape ? { shape: given.shape } : {});
};
const found = [];
for (const [file, name, calls] of JSON.parse(readFileSync(new URL("jobs.json", import.meta.url)))) {
    const module = await import(file);
    const attempt = (given) => {
        try {
            const [value, gradient] = module[name](...given.map(argument));
            return [plain(value), gradient.map(plain)];
        } catch (error) {
            return String(error);
        }
    };
    found.push({ wrt: module.WRT, arguments: module.ARGUMENTS, calls: calls.map(attempt) });
}
console.log(JSON.stringify(found));
"""


class Flat(NamedTuple):
    """An argument as it is given: a typed array of JavaScript, with a property `shape` or without; or nested."""

    array: Any
    type: str  # Float64Array, Float32Array, Int32Array, Array; or nested
    shape: bool = True


class Job(NamedTuple):
    """A module, and the arguments of its calls: arrays, numbers, `Flat`."""

    source: str
    calls: Sequence[Sequence[Any]]
    name: str = "kernel"
    guarded: bool = True


class Found(NamedTuple):
    """What a module exports, and what it returned: the value and the list of derivatives, or what was thrown."""

    arguments: list[str]
    wrt: list[str]
    calls: list[Any]


def run(jobs: Sequence[Job]) -> list[Found]:
    """All of the modules in one process of Node."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = []
        for place, job in enumerate(jobs):
            assert_fits_into_a_page(job.source)
            guard = GUARD if job.guarded else ""
            (folder / f"module_{place}.mjs").write_text(guard + job.source, encoding="utf-8")
            calls = [[_given(value) for value in call] for call in job.calls]
            rows.append((f"./module_{place}.mjs", job.name, calls))
        (folder / "jobs.json").write_text(json.dumps(rows, allow_nan=False), encoding="utf-8")
        (folder / "run.mjs").write_text(RUNNER, encoding="utf-8")
        done = subprocess.run([str(NODE), str(folder / "run.mjs")], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return [
        Found(row["arguments"], row["wrt"], [_result(call) for call in row["calls"]]) for row in json.loads(done.stdout)
    ]


def _given(value: Any) -> Any:
    if isinstance(value, Flat):
        array = np.asarray(value.array)
        shape = list(array.shape) if value.shape or value.type == "nested" else None
        return {"as": value.type, "shape": shape, "data": _coded(array.ravel().tolist())}
    if isinstance(value, np.ndarray):
        return _given(Flat(value, "Array"))
    return value if isinstance(value, int) else _coded(value)


def _result(call: Any) -> Any:
    if isinstance(call, str):
        return call
    value, gradient = call
    return _decoded(value), [_array(own) for own in gradient]


def _array(own: Any) -> Any:
    if not isinstance(own, dict):
        return _decoded(own)
    return np.array(_decoded(own["data"]), float).reshape(own["shape"])
