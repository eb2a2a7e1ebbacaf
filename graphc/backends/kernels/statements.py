"""Statements of a kernel: members, what they add to totals, what is stored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from graphc.backends.kernels.layout import Level
from graphc.backends.kernels.values import Function
from graphc.backends.printing.text import remark
from graphc.ir import C_TYPES, Node

__all__ = ["Body", "accumulator_type", "beginning", "combined"]

_LEAST = "(-9223372036854775807LL - 1)"
_BEGINNINGS = {
    ("sum", "real"): "0",
    ("prod", "real"): "1",
    ("max", "real"): "-infinity()",
    ("min", "real"): "infinity()",
    ("sum", "int"): "0",
    ("prod", "int"): "1",
    ("max", "int"): _LEAST,
    ("min", "int"): "9223372036854775807LL",
}


def beginning(node: Node) -> str:
    """What a reduction begins with: it changes nothing."""
    return _BEGINNINGS[node.op.reduces, "real" if node.tensor.kind == "real" else "int"]


def accumulator_type(node: Node) -> str:
    """The type in which a total is summed up: of very many reals, in double precision."""
    return "double" if node.tensor.kind == "real" else "long long"


def combined(node: Node, name: str, term: str) -> str:
    """The statement that adds a term to a reduction."""
    if node.op.reduces in ("sum", "prod"):
        return f"{name} {'+' if node.op.reduces == 'sum' else '*'}= {term};"
    function = "maximum" if node.op.reduces == "max" else "minimum"
    return f"{name} = {function}({name}, {term});"


class Body:
    """The body of a kernel of kind *elements*, and what all kinds share."""

    def __init__(self, nodes: Sequence[Node], fn: Function) -> None:
        self.nodes, self.fn, self.values = nodes, fn, fn.values
        self.layout = fn.values.layout
        self.arrays: dict[int, list[int]] = {}
        """The arrays to which each value is written."""
        for array, id in self.values.stored.items():
            self.arrays.setdefault(id, []).append(array)

    def write(self) -> None:
        fn, layout = self.fn, self.layout
        self.numbers()
        self.begin_totals()
        single = layout.elements == 1
        if single:
            fn.open("if (thread_number() == 0)")
        else:
            count = fn.size(layout.elements)
            fn.open(f"for (long long i = thread_number(); i < {count}; i += thread_count())")
        start = len(fn.lines)
        for node in self.nodes:
            if layout.level[node.id] in ("row", "element"):
                self.member(node)
            elif layout.level[node.id] == "total":
                self.add_to_total(node)
        self.store_elements()
        if not single:
            self._positions(start)
        fn.close()
        self.end_totals()

    def _positions(self, start: int) -> None:
        """Row and column of the element, where the lines from ``start`` on read them."""
        fn, layout = self.fn, self.layout
        text = "\n".join(line for line, _ in fn.lines[start:])
        parts = []
        for name, sign in (("row", "/"), ("column", "%")):
            if re.search(rf"\b{name}\b", text):
                parts.append(f"{name} = i {sign} {fn.size(layout.columns, atom=True)}")
        if parts:
            line = "    " * fn.indent + f"const long long {', '.join(parts)};"
            fn.lines.insert(start, (line, ""))

    # -- members

    def member(self, node: Node) -> None:
        """The statement of a member; one that is an operand under another shape needs none."""
        fn = self.fn
        text, args = fn.expression(node)
        if self._is_name(node, text, args):
            fn.at[node.id] = text
            return
        name = fn.at[node.id] = self.values.local(node.id)
        fn.line(f"const {C_TYPES[node.tensor.kind]} {name} = {text};", remark(node))

    def _is_name(self, node: Node, text: str, args: Sequence[str]) -> bool:
        """Whether a member is one of its operands; what is stored may not be read later, when
        something else may have been written there."""
        if text not in args or (self.layout.kind == "elements" and node.id in self.arrays):
            return False
        source = node.inputs[args.index(text)]
        return C_TYPES[self.values.graph[source].tensor.kind] == C_TYPES[node.tensor.kind]

    def numbers(self) -> None:
        """Single numbers that every thread computes for itself; one of them stores them."""
        for node in self.of_level("number"):
            self.member(node)
        stores = [line for node in self.of_level("number") for line in self.stores(node.id, "0")]
        self.guarded("thread_number() == 0", stores)

    def of_level(self, *levels: Level) -> list[Node]:
        return [node for node in self.nodes if self.layout.level[node.id] in levels]

    # -- what is written

    def stores(self, id: int, place: str) -> list[str]:
        return [
            f"{self.values.array(array)}[{place}] = {self.fn.at[id]};"
            for array in self.arrays.get(id, ())
        ]

    def guarded(self, condition: str, lines: Iterable[str]) -> None:
        lines = list(lines)
        if lines:
            self.fn.open(f"if ({condition})")
            for line in lines:
                self.fn.line(line)
            self.fn.close()

    def store_elements(self) -> None:
        fn, layout = self.fn, self.layout
        whole = fn.place("element")
        given = [id for id in self.arrays if id not in layout.level]
        for id in given:  # an operand, or a number, as it is: read before anything is written
            name = self.values.names.fresh(f"{self.values.array(self.arrays[id][0])}_next")
            type = C_TYPES[self.values.graph[id].tensor.kind]
            fn.line(f"const {type} {name} = {self._given(id)};")
            fn.at[id] = name
        for id in given:
            for line in self.stores(id, whole):
                fn.line(line)
        for node in self.of_level("element"):
            for line in self.stores(node.id, whole):
                fn.line(line)
        rows = [line for n in self.of_level("row") for line in self.stores(n.id, fn.place("row"))]
        self.guarded("column == 0", rows)

    def _given(self, id: int) -> str:
        shape = self.values.graph[id].tensor.shape
        return self.fn.given(id, self.fn.broadcast(shape, self.layout.domain, "element"))

    # -- totals

    def begin_totals(self) -> None:
        for node in self.of_level("total"):
            type, name = accumulator_type(node), self.values.part(node.id)
            self.fn.line(f"{type} {name} = {beginning(node)};", remark(node))

    def add_to_total(self, node: Node) -> None:
        line = self.added(node)
        if self.term_level(node) == "row":
            self.guarded("column == 0", [line])
        else:
            self.fn.line(line)

    def added(self, node: Node) -> str:
        """The statement that adds a term to a total; its type is that of the sum."""
        term, _ = self.fn.expression(node)
        if node.op.reduces in ("max", "min") and node.tensor.kind == "real":
            term = f"(double)({term})" if " " in term else f"(double){term}"
        return combined(node, self.values.part(node.id), term)

    def term_level(self, node: Node) -> Level:
        """Where the operand of a reduction lies."""
        id = node.inputs[0]
        shape = self.values.graph[id].tensor.shape
        return self.layout.level.get(id) or self.layout.level_of_shape(shape)

    def end_totals(self) -> None:
        totals = self.of_level("total")
        for node in totals:
            name = self.values.part(node.id)
            self.fn.line(f"{name} = block_{node.op.reduces}({name});")
        lines = [
            f"{self.values.partials(node.id)}[blockIdx.x] = {self.values.part(node.id)};"
            for node in totals
        ]
        self.guarded("threadIdx.x == 0", lines)

    def write_last(self) -> None:
        """The second function of a kernel with totals: one block combines what the others wrote."""
        fn, totals = self.fn, self.of_level("total")
        for node in totals:
            type, name = accumulator_type(node), self.values.part(node.id)
            fn.line(f"{type} {name} = {beginning(node)};")
        fn.open("for (long long block = threadIdx.x; block < blocks; block += blockDim.x)")
        for node in totals:
            name = self.values.part(node.id)
            fn.line(combined(node, name, f"{self.values.partials(node.id)}[block]"))
        fn.close()
        for node in totals:
            name = self.values.part(node.id)
            fn.line(f"{name} = block_{node.op.reduces}({name});")
        fn.open("if (threadIdx.x == 0)")
        self._single_numbers()
        fn.close()

    def _single_numbers(self) -> None:
        fn, level = self.fn, self.layout.level
        needed = {id for node in self.of_level("last") for id in node.inputs}
        for node in reversed(self.of_level("number")):
            needed |= {*node.inputs} if node.id in needed else set()
        for node in self.nodes:
            if level[node.id] == "total":
                type, name = C_TYPES[node.tensor.kind], self.values.local(node.id)
                fn.line(f"const {type} {name} = ({type}){self.values.part(node.id)};", remark(node))
                fn.at[node.id] = name
            elif level[node.id] == "last" or (level[node.id] == "number" and node.id in needed):
                self.member(node)
        for node in self.of_level("total", "last"):
            for line in self.stores(node.id, "0"):
                fn.line(line)
