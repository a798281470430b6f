"""What a call returns: the arrays that there are, which results go where in them, and the tuple that holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, product
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import sympy

from ..graph.graph import Graph, Output
from ..options import Options
from ..outputs import Block, Outputs, Tree
from ..result import (
    HessianResult,
    HvpResult,
    JacobianResult,
    JvpResult,
    Result,
    Rows,
    VjpResult,
    gradient_class,
    named_array,
    new_tuple,
)
from ..transform.derive import ALONE, Derivative
from ..transform.products import PRODUCTS
from .sparse import matrix_of_numbers
from .sparsity import SparsityPattern

NOTHING = -1  # the cell of a derivative that is 0 everywhere

_PRODUCTS = {"jvp": JvpResult, "vjp": VjpResult, "hvp": HvpResult}
_FIELDS = {
    "gradient": Result._fields,
    "jacobian": JacobianResult._fields,
    "hessian": HessianResult._fields,
    "jvp": JvpResult._fields,
    "vjp": VjpResult._fields,
    "hvp": HvpResult._fields,
}


class Target(NamedTuple):
    """One array that a call returns, of one point or one instance: axes of cells, then those that each cell has.

    Over points a cell is a number. Of arrays it has the shape of the value `of`, and then those of the inputs `by`.
    """

    name: str  # in messages
    lead: tuple[int, ...]  # the axes of the cells; () of a single one
    cells: tuple[int, ...]  # in C order, which output of the graph each is; NOTHING where it is 0
    of: int = 0
    by: tuple[int, ...] = ()  # by position
    mirrors: int | None = None  # the target that it is the transpose of, of a derivative by two arrays
    is_data: bool = False  # whether it is the data of a sparse matrix, which is made of families of entries, its cells

    @property
    def is_plain(self) -> bool:
        """Whether it is one result as it is."""
        return not (self.lead or self.is_data) and self.mirrors is None and self.cells[0] != NOTHING


class Results:
    """The results of one kernel: its targets, and how they are put together."""

    def __init__(
        self,
        outputs: Outputs,
        graph: Graph,
        wrt: tuple[sympy.Symbol, ...],
        positions: Sequence[int],
        derivative: Derivative,
        is_single: bool,
        options: Options,
    ) -> None:
        """`positions` are those of `wrt` among the arguments; `is_single` says that `wrt` was one symbol."""
        self.storage = options.sparse if derivative in ("jacobian", "hessian", *ALONE) else None
        self._is_lower = options.symmetric == "lower"
        self.matrix: SparsityPattern | None = None  # of numbers, the pattern that all points have
        self._outputs, self._graph, self._positions = outputs, graph, positions
        self._wrt, self._is_single, self._derivative = wrt, is_single, derivative
        self._gradient = gradient_class(wrt)
        self._made = {(own.of, own.by): place for place, own in enumerate(graph.outputs) if own.by}
        # Of numbers by numbers a Jacobian or Hessian is one array; else there is one for each output and input.
        numbers = all(not own.shape for own in graph.values) and all(not graph.shapes[place] for place in positions)
        self._is_flat = graph.over_points or numbers
        self.targets: tuple[Target, ...] = tuple(self._listed_targets())
        self.is_quick = derivative == "gradient" and not is_single  # value and gradient as a point's function has them

    # --- which arrays there are ---------------------------------------------------------------------------------------

    def _listed_targets(self) -> Iterator[Target]:
        blocks, positions = self._outputs.blocks, self._positions
        if self._derivative in ALONE:
            blocks = tuple(Block((), place) for place in range(len(self._graph.values)))
        for number, block in enumerate(blocks, 1):
            yield Target(
                "value" if len(blocks) == 1 else f"value {number}", block.shape, tuple(block.values), block.first
            )
        if self._derivative in ("gradient", "hessian"):
            for i in positions:
                yield self._derived((), [0], i)
        if self.storage is not None:
            yield self._data()
        elif self._derivative == "jacobian" and not self._is_flat:
            for block, i in product(blocks, positions):
                yield self._derived(block.shape, block.values, i)
        elif self._derivative == "jacobian":
            yield Target("jacobian", (len(self._graph.values), len(positions)), tuple(chain(*self._grid())))
        elif self._derivative in PRODUCTS:
            yield from self._products(sum(len(block.values) for block in blocks))
        elif self._derivative == "hessian" and self._is_flat:
            yield Target("hessian", (len(positions), len(positions)), tuple(chain(*self._grid())))
        elif self._derivative == "hessian":
            first = len(blocks) + len(positions)
            for (row, i), (column, j) in product(enumerate(positions), repeat=2):
                mirrors = first + column * len(positions) + row if row < column else None
                yield self._derived((), [0], i, j)._replace(mirrors=mirrors)

    def _data(self) -> Target:
        """The data of a sparse matrix."""
        graph, kind = self._graph, str(self._derivative)
        if not graph.over_points:
            families = range(
                len(graph.outputs) - len(graph.pattern.families if graph.pattern else ()), len(graph.outputs)
            )
            return Target(kind, (), tuple(families), is_data=True)
        self.matrix, cells = matrix_of_numbers(self._grid(), self.storage or "", self._is_lower, self.names)
        return Target(kind, (len(cells),), cells)

    @property
    def names(self) -> tuple[list[str], list[str]]:
        """What the rows and the columns of a sparse matrix stand for: outputs or inputs, and inputs."""
        graph, columns = self._graph, [self._graph.inputs[place] for place in self._positions]
        is_jacobian = self._derivative in ("jacobian", "jacobian_alone")
        return [graph.name_of(own) for own in graph.values] if is_jacobian else columns, columns

    def _grid(self) -> list[list[int]]:
        """Of a Jacobian or Hessian of numbers the cell of each entry, row by row."""
        positions = self._positions
        if self._derivative in ("jacobian", "jacobian_alone"):
            return [[self._place(of, i) for i in positions] for of in range(len(self._graph.values))]
        return [[self._place(0, *self._lower(i, j)) for j in positions] for i in positions]

    def _products(self, first: int) -> Iterator[Target]:
        """Of a product, whose entries are the values of the graph from `first` on."""
        kind, count = str(self._derivative), len(self._positions)
        if kind == "jvp":
            for block in self._outputs.blocks:
                yield Target(kind, block.shape, tuple(first + own for own in block.values), first + block.first)
        elif self._is_flat:
            yield Target(kind, (count,), tuple(range(first, first + count)), first)
        else:
            for place in range(first, first + count):
                yield Target(f"{kind}: {self._graph.values[place].name}", (), (place,), place)

    def _derived(self, lead: tuple[int, ...], values: Sequence[int], *by: int) -> Target:
        name = "_".join(["d", *(self._graph.inputs[place] for place in by)])
        return Target(name, lead, tuple(self._place(of, *by) for of in values), values[0], by)

    def _place(self, of: int, *by: int) -> int:
        return self._made.get((of, by), NOTHING)

    def _lower(self, i: int, j: int) -> tuple[int, int]:
        """A pair of inputs with the later one first: of a Hessian the lower triangle is made."""
        return (i, j) if self._positions.index(i) >= self._positions.index(j) else (j, i)

    # --- what holds them ----------------------------------------------------------------------------------------------

    def result(self, arrays: Sequence[Any], matrix: SparsityPattern | None = None) -> Any:
        """What a call returns, of an array or a number for each target; `matrix` is the pattern of a sparse one."""
        if self.is_quick:  # as below, without its steps
            return new_tuple(Result, (arrays[0], new_tuple(self._gradient, arrays[1:])))
        if self.storage is not None:
            if self._derivative in ALONE:
                return self._stored(arrays[-1], matrix or self.matrix)
            arrays = [*arrays[:-1], self._stored(arrays[-1], matrix or self.matrix)]
        own = iter(arrays)
        value = self._outputs.structured([next(own) for _ in self._outputs.blocks])
        if self._derivative is None:
            return value
        if self._derivative == "jacobian":
            return JacobianResult(value, self._jacobian(own))
        if self._derivative in PRODUCTS:
            return _PRODUCTS[self._derivative](value, self._product(own))
        gradient = self._by_input([next(own) for _ in self._wrt])
        return Result(value, gradient) if self._derivative == "gradient" else self._with_hessian(value, gradient, own)

    @staticmethod
    def _stored(data: Any, matrix: SparsityPattern | None) -> Any:
        assert matrix is not None, "a sparse matrix has a pattern"
        return matrix.of(data)

    def _jacobian(self, own: Iterator[Any]) -> Any:
        if self.storage is not None:
            return next(own)
        if self._is_flat:
            return named_array(next(own), self._wrt, _rows(self._outputs.tree))
        parts = [self._by_input([next(own) for _ in self._wrt]) for _ in self._outputs.blocks]
        return self._outputs.structured(parts)

    def _product(self, own: Iterator[Any]) -> Any:
        if self._derivative == "jvp":
            return self._outputs.structured(list(own))
        return named_array(next(own), self._wrt, None) if self._is_flat else self._by_input(list(own))

    def _with_hessian(self, value: Any, gradient: Any, own: Iterator[Any]) -> HessianResult:
        if self.storage is not None:
            return HessianResult(value, gradient, next(own))
        if self._is_flat:
            return HessianResult(value, gradient, named_array(next(own), self._wrt, self._wrt))
        rows = [self._by_input([next(own) for _ in self._wrt]) for _ in self._wrt]
        return HessianResult(value, gradient, self._by_input(rows))

    def _by_input(self, parts: Sequence[Any]) -> Any:
        return parts[0] if self._is_single else self._gradient(parts)

    def named(self, result: Any) -> Iterator[tuple[str, Any]]:
        """Every value and derivative of a result, with what it is called: d_x, d_x_y, or of several values d_f_x.

        Entries of a sparse matrix of arrays are named by its pattern.
        """
        arrays = self.arrays_of(result)
        for target, array in zip(self.targets, arrays, strict=True):
            if target.is_data:
                continue
            own = [()] if not target.lead else list(np.ndindex(*target.lead))
            for place, at in enumerate(own):
                number = array[at] if at else array
                if target.name in ("jacobian", "hessian") and len(target.lead) == 2:
                    yield self._name_of(target.name, *at), number
                elif target.by:
                    output = Output(self._graph.values[0].view, by=target.by, of=target.of + place)
                    yield self._graph.name_of(output), number
                else:
                    yield self._graph.name_of(self._graph.outputs[target.cells[place]]), number

    def _name_of(self, kind: str, row: int, column: int) -> str:
        """What an entry of a Jacobian or Hessian of numbers is called."""
        value, positions = self._graph.values[0 if kind == "hessian" else row], self._positions
        by = (positions[row], positions[column]) if kind == "hessian" else (positions[column],)
        return self._graph.name_of(Output(value.view, by=by, of=0 if kind == "hessian" else row))

    def arrays_of(self, out: Any) -> list[Any]:
        """The arrays of `out`, one for each target. ValueError where its structure is not that of a result."""
        if self._derivative is None:
            return self._outputs.flat(out)
        if self._derivative in ALONE:
            return [None] * len(self._graph.values) + [_data_of(out, str(self.storage))]
        fields = _FIELDS[self._derivative]
        if not isinstance(out, tuple) or len(out) != len(fields):
            raise ValueError(f"out must hold ({', '.join(fields)})")
        found = self._outputs.flat(out[0])
        if self._derivative == "jvp":
            found += self._outputs.flat(out[1])
        elif self._derivative in ("vjp", "hvp") and self._is_flat:
            found.append(out[1])
        elif self._derivative != "jacobian":
            found += self._parts(out[1])
        elif self.storage is not None:
            found.append(_data_of(out[1], self.storage))
        elif self._is_flat:
            found.append(out[1])
        else:
            for part in self._outputs.flat(out[1]):
                found += self._parts(part)
        if self._derivative == "hessian" and self.storage is not None:
            found.append(_data_of(out[2], self.storage))
        elif self._derivative == "hessian":
            found += [out[2]] if self._is_flat else [own for row in self._parts(out[2]) for own in self._parts(row)]
        return found

    def _parts(self, gradient: Any) -> list[Any]:
        parts = [gradient] if self._is_single else list(gradient)
        if len(parts) != len(self._wrt):
            raise ValueError(f"out must hold a value and {len(self._wrt)} derivatives, not {len(parts)}")
        return parts

    def at_point(self, dtype: Any) -> Callable[[Any, Sequence[float]], Any]:
        """How a result is made of what a function of one point returns: its value, or values, and its derivatives."""
        makers = [_maker(target, dtype) for target in self.targets]
        is_one = len(self._graph.values) == 1

        def made(value: Any, derivatives: Sequence[float]) -> Any:
            numbers = (value, *derivatives, 0.0) if is_one else (*value, *derivatives, 0.0)
            return self.result([make(numbers) for make in makers])

        return made


def _data_of(matrix: Any, storage: str) -> Any:
    """The data of a sparse matrix that is written into. ValueError where it is none of that format."""
    if getattr(matrix, "format", None) != storage:
        raise ValueError(f"out must hold a sparse matrix in the format {storage!r}, not {type(matrix).__name__}")
    return matrix.data


Maker: TypeAlias = Callable[[Sequence[float]], Any]


def _maker(target: Target, dtype: Any) -> Maker:
    """Makes the target of all numbers of a point, behind which there is a 0."""
    cells, lead = target.cells, target.lead
    if not lead:
        return itemgetter(cells[0] if cells else NOTHING)
    if len(cells) < 2:
        return lambda numbers: np.array([numbers[cell] for cell in cells], dtype).reshape(lead)
    chosen = itemgetter(*cells)
    return lambda numbers: np.array(chosen(numbers), dtype).reshape(lead)


def _rows(tree: Tree) -> Rows | None:
    """Which rows of a Jacobian the outputs with names are; None where the outermost structure has none."""
    if isinstance(tree, Block) or tree.kind is not dict:
        return None
    found: dict[Any, Any] = {}
    for key, part in zip(tree.keys, tree.parts, strict=True):
        blocks = Outputs(part, ()).blocks
        start, stop = blocks[0].first, blocks[-1].values.stop
        inner = part.shape if isinstance(part, Block) else _rows(part)
        found[key] = start, stop, (stop - start,) if inner is None else inner
    return found
