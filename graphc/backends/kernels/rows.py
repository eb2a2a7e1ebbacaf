"""The body of a kernel of kind *rows*: a block a row, a loop over its columns a phase."""

from __future__ import annotations

import re

from graphc.backends.kernels.statements import Body, beginning, combined
from graphc.backends.printing.text import remark
from graphc.ir import C_TYPES, Node

__all__ = ["RowsBody"]


class RowsBody(Body):
    """Phase k works with what reductions gave in the phases before. What it needs of elements it
    computes again, or reads again where it was stored."""

    def write(self) -> None:
        fn, layout = self.fn, self.layout
        self.numbers()
        self.begin_totals()
        fn.open(f"for (long long row = blockIdx.x; row < {fn.size(layout.rows)}; row += gridDim.x)")
        self.kept: dict[int, str] = {}
        """Elements that an earlier phase stored."""
        for phase in range(max(layout.phase.values()) + 1):
            self._row(phase)
            self._elements(phase)
        fn.close()
        self.end_totals()

    def _of_phase(self, phase: int) -> list[Node]:
        return [node for node in self.nodes if self.layout.phase[node.id] == phase]

    def _row(self, phase: int) -> None:
        """What every thread computes of the row, and one of them stores."""
        lines = []
        for node in self._of_phase(phase):
            level = self.layout.level[node.id]
            if level == "row":
                if node.id not in self.layout.combined:
                    self.member(node)
                lines += self.stores(node.id, self.fn.place("row"))
            elif level == "total" and self.term_level(node) == "row":
                lines.append(self.added(node))
        self.guarded("threadIdx.x == 0", lines)

    def _elements(self, phase: int) -> None:
        fn, layout = self.fn, self.layout
        reductions = [n for n in self._of_phase(phase + 1) if n.id in layout.combined]
        totals = [
            node
            for node in self._of_phase(phase)
            if layout.level[node.id] == "total" and self.term_level(node) == "element"
        ]
        stored = [
            node
            for node in self._of_phase(phase)
            if layout.level[node.id] == "element" and node.id in self.arrays
        ]
        if not (reductions or totals or stored):
            return
        for node in reductions:
            type, name = C_TYPES[node.tensor.kind], self.values.local(node.id)
            fn.line(f"{type} {name} = {beginning(node)};", remark(node))
            fn.at[node.id] = name
        columns = fn.size(layout.columns)
        fn.open(f"for (long long column = threadIdx.x; column < {columns}; column += blockDim.x)")
        start = len(fn.lines)
        self._loop(reductions, totals, stored)
        self._position(start)
        fn.close()
        for node in reductions:
            name = self.values.local(node.id)
            fn.line(f"{name} = block_{node.op.reduces}({name});")

    def _loop(self, reductions: list[Node], totals: list[Node], stored: list[Node]) -> None:
        """The elements that a phase needs, in order, and what becomes of them."""
        fn, level = self.fn, self.layout.level
        needed = self._needed([*reductions, *totals, *stored])
        ends = {node.id for node in (*reductions, *totals)}
        for node in self.nodes:
            if node.id in needed:
                if node.id in self.kept:
                    fn.at[node.id] = self.kept[node.id]
                else:
                    self.member(node)
            elif node.id in ends and level[node.id] == "total":
                self.add_to_total(node)
            elif node.id in ends:
                term, _ = fn.expression(node)
                fn.line(combined(node, self.values.local(node.id), term))
        for node in stored:
            for line in self.stores(node.id, "i"):
                fn.line(line)
            self.kept[node.id] = f"{self.values.array(self.arrays[node.id][0])}[i]"

    def _needed(self, ends: list[Node]) -> set[int]:
        """Members of elements behind some nodes, those that are stored already without theirs."""
        graph, level = self.values.graph, self.layout.level
        found: set[int] = set()
        stack = [node.id for node in ends]
        while stack:
            id = stack.pop()
            if level.get(id) == "element" and id not in found:
                found.add(id)
                if id in self.kept:
                    continue
            elif id not in {node.id for node in ends}:
                continue
            stack += [i for i in graph[id].inputs if level.get(i) == "element"]
        return found

    def _position(self, start: int) -> None:
        """The position of the element in the whole array, where it is read."""
        fn, layout = self.fn, self.layout
        text = "\n".join(line for line, _ in fn.lines[start:])
        if re.search(r"\bi\b", text):
            place = f"row * {fn.size(layout.columns, atom=True)} + column"
            line = "    " * fn.indent + f"const long long i = {place};"
            fn.lines.insert(start, (line, ""))
