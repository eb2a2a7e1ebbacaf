"""What a kernel calls its values, and how one of its functions reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from graphc.backends.kernels.kernel import Entry
from graphc.backends.kernels.layout import Layout, Level
from graphc.backends.kernels.names import CNames
from graphc.backends.kernels.places import broadcast_place, size_text
from graphc.ir import C_TYPES, Graph, KernelContext, Node, Size, Type, kernel_number, product
from graphc.ir.kernel import Number
from graphc.ops.leaves import Constant, Dimension
from graphc.ops.random import Draw
from graphc.ops.reductions import Reduction
from graphc.ops.shapes import Reshape
from graphc.passes.fuse import domain_of
from graphc.schedule import How

__all__ = ["Function", "Values"]

_SUFFIX: dict[Level, str] = {"element": "i", "row": "row"}
"""Behind the name of an array stands what an element of it is called: ``h_i`` is ``h[i]``."""


@dataclass
class Values:
    """Names that the functions of one kernel share."""

    graph: Graph
    how: Mapping[int, How]
    layout: Layout
    wanted: Mapping[int, str]
    """The variable of each value in the source around the kernel."""
    stored: Mapping[int, int]
    """The value that is written to each array."""
    names: CNames
    dims: dict[str, str] = field(default_factory=dict)
    arrays: dict[int, str] = field(default_factory=dict)
    locals: dict[int, str] = field(default_factory=dict)
    parts: dict[int, str] = field(default_factory=dict)
    partial_arrays: dict[int, str] = field(default_factory=dict)

    def title(self, id: int) -> str:
        """What a value is called outside."""
        node = self.graph[id]
        return self.wanted.get(id) or node.name or node.op.name

    def array(self, id: int) -> str:
        """The name of an array, or of a number of the run."""
        if id not in self.arrays:
            self.arrays[id] = self.names.fresh(self.title(id))
        return self.arrays[id]

    def local(self, id: int) -> str:
        """The name of an element of a value that is computed."""
        if id not in self.locals:
            name = self.title(id)
            if id in self.stored:
                level = self.layout.level[id] if self.layout.elements != 1 else "number"
                name = f"{self.array(id)}_{_SUFFIX.get(level, 'value')}"
            self.locals[id] = self.names.fresh(name)
        return self.locals[id]

    def part(self, id: int) -> str:
        """The variable in which a thread sums up its part of a total."""
        if id not in self.parts:
            self.parts[id] = self.names.fresh(f"{self.title(id)}_part")
        return self.parts[id]

    def partials(self, id: int) -> str:
        """The array of the parts of a total, one a block."""
        if id not in self.partial_arrays:
            self.partial_arrays[id] = self.names.fresh(f"{self.title(id)}_partials")
        return self.partial_arrays[id]

    def is_number(self, id: int) -> bool:
        """Whether a value that is given is a single number by value."""
        return self.how[id] == "scalar" or (
            self.how[id] == "static" and not self.graph[id].tensor.shape
        )


@dataclass
class Function:
    """One function while it is written: what it reads, the lines of its body, and what stands for
    each member where the next line will be."""

    values: Values
    inputs: dict[int, set[str]] = field(default_factory=dict)
    """Where each array is read."""
    numbers: dict[int, None] = field(default_factory=dict)
    sizes: dict[str, None] = field(default_factory=dict)
    draws: bool = False
    at: dict[int, str] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    indent: int = 1

    def line(self, text: str, comment: str = "") -> None:
        self.lines.append(("    " * self.indent + text, comment))

    def open(self, head: str) -> None:
        self.line(f"{head} {{")
        self.indent += 1

    def close(self) -> None:
        self.indent -= 1
        self.line("}")

    # -- expressions

    def size(self, size: Size, *, atom: bool = False) -> str:
        self.mark(size)
        return size_text(size, self.values.dims, atom=atom)

    def mark(self, *sizes: Size) -> None:
        """Sizes that the text holds: their symbols become arguments."""
        for size in sizes:
            for symbol in () if isinstance(size, int) else sorted(size.symbols):
                self.sizes[symbol] = None
                if symbol not in self.values.dims:
                    self.values.dims[symbol] = self.values.names.fresh(symbol)

    def place(self, level: Level) -> str:
        """The position of the present element in an array of that level."""
        layout = self.values.layout
        if level == "element":
            return "i" if layout.elements != 1 else "0"
        return "row" if level == "row" and layout.rows != 1 else "0"

    def _along(self, node: Node) -> tuple[str, str, str]:
        """Of a member that goes along rows, its own operand's or its result's: the position of the
        element in them, that of its row, and that in its row."""
        layout = self.values.layout
        shape = domain_of(self.values.graph, node)
        level = layout.level_of_shape(shape)
        place = self.place(level)
        if shape == layout.domain and layout.columns != 1:
            row = "row" if layout.rows != 1 else "0"
            single = layout.kind == "elements" and layout.rows == 1
            return place, row, "i" if single else "column"
        if shape[-1] == 1:
            return place, place, "0"
        if product(shape[:-1]) == 1:
            return place, "0", place
        columns = self.size(shape[-1], atom=True)
        return place, f"{place} / {columns}", f"({place} % {columns})"

    def expression(self, node: Node) -> tuple[str, list[str]]:
        """One element of a member, or the term of one, and its operands."""
        graph, layout = self.values.graph, self.values.layout
        level = layout.level[node.id]
        args = [self.operand(node, slot) for slot in range(len(node.inputs))]
        drawn = isinstance(node.op, Draw)
        self.draws = self.draws or drawn
        context = KernelContext(
            types=tuple(graph[i].tensor for i in node.inputs),
            result=node.tensor,
            numbers=tuple(map(self.number, node.inputs)),
            exact=tuple(map(self.exact, node.inputs, args)),
            column=self._along(node)[2] if node.op.rowwise else "",
            index=self.place(level),
            size=self.size(node.tensor.size) if drawn else "",
        )
        return node.op.kernel(context, *args), args

    def number(self, id: int) -> Number | None:
        op = self.values.graph[id].op
        literal = self.values.how.get(id) == "literal" and isinstance(op, Constant)
        return op.value if literal else None  # type: ignore[attr-defined]

    def exact(self, id: int, arg: str) -> str:
        """A number of the run before it is rounded."""
        if id in self.values.layout.level:
            return arg
        number = self.number(id)
        if number is not None:
            return kernel_number(number).removeprefix("(real)")
        return self.values.array(id) if self.values.is_number(id) else arg

    def operand(self, node: Node, slot: int) -> str:
        """One element of an operand: a member, a number, or an element of an array."""
        id = node.inputs[slot]
        if id in self.values.layout.level:
            return self.at[id]
        return self.given(id, self._place_of(node, self.values.graph[id].tensor))

    def given(self, id: int, place: str) -> str:
        """A number, or the element at a place of an array."""
        values, node = self.values, self.values.graph[id]
        number = self.number(id)
        if number is not None:
            return kernel_number(number)
        if isinstance(node.op, Dimension):
            return f"(real){self.size(node.op.size, atom=True)}"
        if values.is_number(id):
            self.numbers[id] = None
            name, kind = values.array(id), node.tensor.kind
            return f"({name} != 0)" if kind == "bool" else f"({C_TYPES[kind]}){name}"
        self.inputs.setdefault(id, set()).add(place)
        return f"{values.array(id)}[{place}]"

    def _place_of(self, node: Node, operand: Type) -> str:
        """Where the element of an array is that a member reads."""
        layout = self.values.layout
        level = layout.level[node.id]
        if isinstance(node.op, Reduction) or node.op.rowwise:
            place, row, _ = self._along(node)
            return place if operand.shape == domain_of(self.values.graph, node) else row
        if isinstance(node.op, Reshape):
            return self.place(level)
        return self.broadcast(operand.shape, node.tensor.shape, level)

    def broadcast(self, shape: tuple[Size, ...], whole: tuple[Size, ...], level: Level) -> str:
        """Where the element of an array is that is broadcast to what lies at a level."""
        layout = self.values.layout
        if all(size == 1 for size in shape):
            return "0"
        if level == "element" and whole == layout.domain and layout.columns != 1:
            if shape == (*layout.domain[:-1], 1) and layout.rows != 1:
                return "row"
            if shape[-1:] == layout.domain[-1:] and all(size == 1 for size in shape[:-1]):
                return "column" if layout.rows != 1 or layout.kind == "rows" else "i"
        self.mark(*whole)
        return broadcast_place(shape, whole, self.place(level), self.values.dims)

    # -- the whole

    def entry(
        self,
        name: str,
        outputs: Iterable[int],
        partials: Iterable[int],
        *,
        blocks: bool = False,
        trouble: bool = False,
    ) -> Entry:
        outputs = tuple(outputs)
        return Entry(
            name,
            tuple(id for id in self.inputs if id not in outputs),
            outputs,
            tuple(partials),
            tuple(self.numbers),
            tuple(self.sizes),
            self.draws,
            blocks,
            trouble,
        )
