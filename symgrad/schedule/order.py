"""Interleaving: in a large body what belongs together stands together, so that few values are alive at a time.

A sum of many independent terms could be computed forward as a whole and then backward as a whole; every intermediate
value of every term would wait in memory. Here what can follow a statement follows it at once, and a sum is accumulated
as its terms arrive, as a careful person writes such a loop body.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.program import Assignment, Call, Expression, Read, walk


def interleaved(reads: Sequence[Sequence[set[int]]], leads: Sequence[bool]) -> list[tuple[int, int]]:
    """An order of statements as (statement, part).

    `reads[s]` holds the parts of statement `s`, each as the statements that must be done before; a sum that is
    accumulated has a part per term, any other statement one part. Statements that lead keep their order, which must be
    possible; the others, and the parts of sums, come as soon as what they read is done.
    """
    missing = [[len(part) for part in parts] for parts in reads]
    left = [len(parts) for parts in reads]
    readers: list[list[tuple[int, int]]] = [[] for _ in reads]
    for statement, parts in enumerate(reads):
        for part, needed in enumerate(parts):
            for other in needed:
                readers[other].append((statement, part))
    order: list[tuple[int, int]] = []
    waits = [lead and len(parts) == 1 for lead, parts in zip(leads, reads, strict=True)]

    def do(first: list[tuple[int, int]]) -> None:
        queue = deque(first)
        while queue:
            statement, part = queue.popleft()
            order.append((statement, part))
            left[statement] -= 1
            if left[statement]:
                continue
            for reader, place in readers[statement]:
                missing[reader][place] -= 1
                if not missing[reader][place] and not waits[reader]:
                    queue.append((reader, place))

    do([(s, p) for s, parts in enumerate(reads) for p, needed in enumerate(parts) if not needed and not waits[s]])
    for statement, waiting in enumerate(waits):
        if waiting:
            assert not missing[statement][0], "a leading statement before what it reads"
            do([(statement, 0)])
    return order


def interleaved_statements(statements: Sequence[Assignment]) -> list[Assignment]:
    """The same statements in an order that keeps few values alive; sums are accumulated as their terms arrive."""
    place = {statement.name: i for i, statement in enumerate(statements)}

    def reads(expression: Expression) -> set[int]:
        return {place[part.name] for part in walk(expression) if isinstance(part, Read) and part.name in place}

    terms: list[tuple[Expression, ...]] = []
    for statement in statements:
        value = statement.value
        is_sum = isinstance(value, Call) and value.function.name == "add" and len(value.arguments) > 4
        terms.append(value.arguments if is_sum else (value,))  # type: ignore[union-attr]
    leads = [statement.part == "forward" for statement in statements]
    done: list[Assignment] = []
    begun: set[int] = set()
    for i, part in interleaved([[reads(term) for term in own] for own in terms], leads):
        statement = statements[i]
        if i in begun:
            more = Call(FUNCTIONS["add"], (Read(statement.name), terms[i][part]))
            done.append(statement._replace(value=more, comment=""))
        elif len(terms[i]) > 1:
            done.append(statement._replace(value=terms[i][part]))
        else:
            done.append(statement)
        begun.add(i)
    return done
