"""Prints a group as one kernel: its functions in CUDA C++, a statement a member.

Every value has the name that the source around it has; ``h_i`` is the element of ``h`` that the
thread works on. What a kernel needs of its operands is read where it is used, and what it gives is
written when all is read, so that an output may lie where an operand does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from graphc.backends.kernels.kernel import Entry, Kernel
from graphc.backends.kernels.layout import Layout, lay_out
from graphc.backends.kernels.names import CNames, PlainNames
from graphc.backends.kernels.rows import RowsBody
from graphc.backends.kernels.statements import Body, accumulator_type
from graphc.backends.kernels.values import Function, Values
from graphc.backends.printing.writer import WIDTH, harmless
from graphc.ir import C_TYPES, Graph, Node, Size
from graphc.schedule import How

__all__ = ["print_group", "print_kernel"]


def print_kernel(
    graph: Graph,
    members: Iterable[int],
    results: Iterable[int],
    *,
    how: Mapping[int, How],
    names: Mapping[int, str],
    dims: Mapping[str, str] | None = None,
    name: str,
    title: str,
) -> Kernel:
    """The kernel of some nodes that are computed together: of one group, in order.

    ``results`` are the members that are read outside. ``how`` is what each node of the graph is;
    members that are numbers of the run count as operands. ``names`` are the variables of the
    values, ``dims`` those of symbolic dimensions, ``name`` is the function's: an identifier.
    NoKernel where an operator has no expression in C, and where the shapes of the members do not
    go together.
    """
    nodes = [graph[id] for id in members if how[id] in ("compute", "view")]
    stored = {id: id for id in results if how[id] in ("compute", "view")}
    return print_group(
        graph, nodes, stored, how=how, names=names, dims=dims, name=name, title=title
    )


def print_group(
    graph: Graph,
    nodes: Sequence[Node],
    stored: Mapping[int, int],
    *,
    how: Mapping[int, How],
    names: Mapping[int, str],
    dims: Mapping[str, str] | None = None,
    name: str,
    title: str,
    domain: tuple[Size, ...] | None = None,
    trouble: bool = False,
) -> Kernel:
    """The same, ``stored`` saying which value is written to each array."""
    layout = lay_out(graph, nodes, domain)

    def printer(allocator: CNames) -> _Printer:
        values = Values(graph, how, layout, names, stored, allocator)
        values.dims.update(
            (symbol, allocator.fresh(variable)) for symbol, variable in (dims or {}).items()
        )
        return _Printer(nodes, values, layout, trouble)

    readable = printer(CNames())
    main, total = readable.functions(name)
    source = f"// {_comment(title)}\n" + readable.text()
    plain = printer(PlainNames())
    plain.functions("kernel")
    return Kernel(
        title=title,
        kind=layout.kind,
        source=source,
        key=re.sub(r" *//.*", "", plain.text()),
        main=main,
        total=total,
        elements=layout.elements,
        rows=layout.rows,
        columns=layout.columns,
        totals={id: graph[id].tensor.kind for id in layout.totals},
        in_place=readable.in_place(main),
    )


class _Printer:
    """Writes the functions of one kernel."""

    def __init__(
        self, nodes: Sequence[Node], values: Values, layout: Layout, trouble: bool
    ) -> None:
        self.nodes, self.values, self.layout, self.trouble = nodes, values, layout, trouble
        self.texts: list[str] = []

    def functions(self, name: str) -> tuple[Entry, Entry | None]:
        layout, level = self.layout, self.layout.level
        fn = Function(self.values)
        self.main = fn
        if self.trouble:
            fn.open("if (trouble[0] >= 0)")
            fn.line("return;")
            fn.close()
        body = RowsBody if layout.kind == "rows" else Body
        body(self.nodes, fn).write()
        behind = {id for id in level if level[id] in ("total", "last")}
        first = [array for array, id in self.values.stored.items() if id not in behind]
        main = fn.entry(name, first, layout.totals, trouble=self.trouble)
        self.texts.append(self._function(main, fn))
        if not behind:
            return main, None
        fn = Function(self.values)
        Body(self.nodes, fn).write_last()
        last = [array for array, id in self.values.stored.items() if id in behind]
        total = fn.entry(f"{name}_total", last, layout.totals, blocks=True)
        self.texts.append(self._function(total, fn))
        return main, total

    def text(self) -> str:
        return "\n".join(self.texts)

    def _function(self, entry: Entry, fn: Function) -> str:
        head = f'extern "C" __global__ void {entry.name}('
        parameters = self._parameters(entry)
        line = f"{head}{', '.join(parameters)})"
        if len(line) > WIDTH:
            line = head + _wrapped(parameters) + ")"
        return "\n".join([line, "{", *map(_commented, fn.lines), "}", ""])

    def _parameters(self, entry: Entry) -> list[str]:
        values, graph = self.values, self.values.graph
        types = {id: C_TYPES[graph[id].tensor.kind] for id in (*entry.inputs, *entry.outputs)}
        parts = [f"const {types[id]}* {values.array(id)}" for id in entry.inputs]
        parts += [f"{types[id]}* {values.array(id)}" for id in entry.outputs]
        const = "const " if entry.blocks else ""
        for id in entry.partials:
            parts.append(f"{const}{accumulator_type(graph[id])}* {values.partials(id)}")
        parts += [f"double {values.array(id)}" for id in entry.numbers]
        parts += [f"long long {values.dims[symbol]}" for symbol in entry.sizes]
        if entry.draws:
            parts += ["unsigned long long seed", "long long step"]
        parts += ["long long blocks"] * entry.blocks
        parts += ["const long long* trouble"] * entry.trouble
        return parts

    def in_place(self, main: Entry) -> dict[int, tuple[int, ...]]:
        """Each thread reads and writes the same element of both arrays, and reads first."""
        layout, graph = self.layout, self.values.graph
        if layout.kind == "rows":
            return {}
        place = self.main.place("element")
        found = {}
        for id in main.outputs:
            type = graph[id].tensor
            if layout.level.get(id, "element") == "element":
                found[id] = tuple(
                    other
                    for other in main.inputs
                    if self.main.inputs[other] == {place}
                    and graph[other].tensor.size == layout.elements
                    and C_TYPES[graph[other].tensor.kind] == C_TYPES[type.kind]
                )
        return found


def _wrapped(parameters: Sequence[str]) -> str:
    """Parameters on lines of their own, as many on one as fit."""
    lines = [""]
    for number, parameter in enumerate(parameters):
        text = parameter + ("," if number < len(parameters) - 1 else "")
        if len(lines[-1]) + len(text) + 5 > WIDTH or not lines[-1]:
            lines.append(f"    {text}")
        else:
            lines[-1] += f" {text}"
    return "\n".join(lines)


def _commented(line: tuple[str, str]) -> str:
    """A line and its comment, which is left out where it does not fit. A value that is too long
    gets a line of its own."""
    text, comment = line
    if len(text) > WIDTH and " = " in text:
        indent = " " * (len(text) - len(text.lstrip()) + 4)
        return text.replace(" = ", f" =\n{indent}", 1)
    added = f"  // {_comment(comment)}"
    return text + added if comment and len(text) + len(added) <= WIDTH else text


def _comment(text: str) -> str:
    """Text for a comment in C inside a string of Python: one line that nothing ends or joins."""
    return harmless(text).replace("*/", "* /").replace("??", "? ?")
