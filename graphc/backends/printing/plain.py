"""Plain functions: one statement a node, in order, over whatever arrays they are given.

The result of a function has the precision of the state's parameters. Numbers in the source
are Python literals, which take the type of the array beside them; a scalar of the run is computed
in f64 and brought to that type where it meets an array.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from graphc.backends.printing.names import NameAllocator, name_values
from graphc.backends.printing.text import (
    DTYPES,
    Dims,
    Line,
    as_operand,
    atom,
    guarded,
    remark,
    symbols_in,
    write_sections,
)
from graphc.backends.printing.writer import WIDTH, Writer, quoted
from graphc.ir import Graph, Node, WriteContext
from graphc.ops.arithmetic import Add, Divide, Multiply, Subtract
from graphc.ops.leaves import Clock
from graphc.ops.logic import Cast
from graphc.ops.matmul import Matmul
from graphc.ops.random import Draw
from graphc.ops.reductions import Reduction
from graphc.schedule import Groups, How, array_bytes, backward_part, classify, ordered

__all__ = ["LET_GO", "OWNED", "QUIET", "PlainBody", "deletions"]

QUIET = '@np.errstate(all="ignore")'
"""Infinities are the model's affair: a training step reports an objective that is not finite."""

LeafText = Callable[[Node], str]

OWNED = (Add, Subtract, Multiply, Divide, Matmul, Reduction)
"""Operators whose result is always written to a new array. What other roots are is copied."""

LET_GO = 4
"""Arrays that are deleted together."""


@dataclass
class PlainBody:
    """The statements of some roots of a graph, and what each value is called.

    ``leaf`` gives the name wanted for a leaf's variable; leaves that are variables already
    are in ``given``. ``hints`` name roots that have no name of their own. ``groups`` are those
    that the nodes were members of.
    """

    graph: Graph
    roots: Collection[int]
    names: NameAllocator
    dims: Dims
    leaf: LeafText
    hints: Mapping[int, str] = field(default_factory=dict)
    given: Mapping[int, str] = field(default_factory=dict)
    step: str = "step"
    groups: Groups = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    leaves: dict[str, tuple[str, Node]] = field(default_factory=dict)
    """Variable of each leaf by its label, and its node."""
    clocks: dict[str, str] = field(default_factory=dict)

    decorators: ClassVar[tuple[str, ...]] = (QUIET,)
    """Lines above a function that consists of these statements."""
    reserved: ClassVar[tuple[str, ...]] = ()
    """Names that such a function needs for itself."""

    def __post_init__(self) -> None:
        self.order = ordered(self.graph, self.roots, self.groups)
        self.how: dict[int, How] = classify(self.order)
        self.value: dict[int, str] = dict(self.given)
        self._name_leaves()
        self.called = name_values(self.order, self.how, self.hints, self.names)
        self.write_statements()

    def write_statements(self) -> None:
        """A statement for each node that is not written where it is read."""
        for node in self.order:
            self.place(node)

    def _name_leaves(self) -> None:
        for node in self.order:
            if self.how[node.id] == "leaf" and node.id not in self.value:
                label = f"{node.op.name} {self.leaf(node)}"
                if label not in self.leaves:
                    self.leaves[label] = self.names.fresh(self.leaf(node)), node
                self.value[node.id] = self.leaves[label][0]

    def place(self, node: Node) -> None:
        """Give a node its text: a leaf's variable, a number, or a statement of its own."""
        how = self.how[node.id]
        if how == "leaf":
            return
        if isinstance(node.op, Clock):
            which = node.op.which
            self.clocks.setdefault(which, self.called[node.id])
            self.value[node.id] = self.clocks[which]
        elif how == "literal":
            self.value[node.id] = atom(node.op.numpy(self.context(node)))
        else:
            name = self.value[node.id] = self.called[node.id]
            self.lines.append((f"{name} = {self.expression(node)}", remark(node), node))

    def context(self, node: Node) -> WriteContext:
        """What a node's operator may ask."""
        types = tuple(self.graph[i].tensor for i in node.inputs)
        return WriteContext(types, node.tensor, self.dims, real="real", step=self.step)

    def expression(self, node: Node) -> str:
        """The right side of a node's statement."""
        how, op = self.how[node.id], node.op
        if how == "scalar" or (how == "static" and node.tensor.shape == ()):
            return op.numpy(self.context(node), *self._scalar_args(node))
        args = [self.operand(node, i) for i in node.inputs]
        text = op.numpy(self.context(node), *args)
        if op.elementwise and not isinstance(op, Cast) and self.widens(node):
            return f"np.asarray({text}, dtype=real)"
        return text

    def _scalar_args(self, node: Node) -> list[str]:
        literal = all(self.how[i] == "literal" for i in node.inputs)
        return guarded(node, [self.value[i] for i in node.inputs], literal)

    def operand(self, node: Node, id: int) -> str:
        """A value as an operand of a node that works on arrays."""
        if isinstance(node.op, Draw):
            return self.value[id]
        number = self.how[id] == "literal"
        return as_operand(self.graph[id], number, self.array_text(id), node)

    def array_text(self, id: int) -> str:
        """A value as an operand of arrays: a scalar of the run takes their precision."""
        node, how, text = self.graph[id], self.how[id], self.value[id]
        single = node.tensor.shape == () and node.tensor.kind == "real"
        return f"real({text})" if single and how in ("scalar", "static") else text

    def widens(self, node: Node) -> bool:
        """Whether NumPy would give f64, since no operand is an array of the model's precision."""
        if node.tensor.kind != "real":
            return False
        return not any(
            self.graph[i].tensor.kind == "real" and self.how[i] != "literal" for i in node.inputs
        )

    # -- memory

    @property
    def bytes_an_example(self) -> int:
        """Bytes of all computed values in f32 where every symbolic dimension is 1."""
        one = dict.fromkeys(symbols_in(self.graph), 1)
        computed = (node for node in self.order if self.how[node.id] == "compute")
        return sum(array_bytes(node.tensor, "f32", one) for node in computed)

    def let_go(self) -> None:
        """Delete arrays after their last use, a few at a time, so that their memory serves again.

        Memory that is new to the process costs more time than arithmetic on large arrays does.
        """
        dead = self.last_used()
        lines: list[Line] = []
        waiting: list[str] = []
        for position, line in enumerate(self.lines):
            lines.append(line)
            waiting += dead.get(position, [])
            if len(waiting) >= LET_GO:
                lines += [(text, "", None) for text in deletions(waiting)]
                waiting = []
        self.lines = lines

    def last_used(self) -> dict[int, list[str]]:
        """Names of the arrays that the line at each position is the last to read."""
        kept = {self.value[id] for id in self.roots}
        last: dict[str, int] = {}
        for position, (_, _, node) in enumerate(self.lines):
            read = node.inputs if node is not None else ()
            for id in read:
                if self.how[id] in ("compute", "view") and self.value[id] not in kept:
                    last[self.value[id]] = position
        found: dict[int, list[str]] = {}
        for name, position in last.items():
            found.setdefault(position, []).append(name)
        return found

    # -- writing

    def reads(self, name: str) -> bool:
        """Whether a statement mentions a variable, judged by text (strings hold no such names)."""
        pattern = re.compile(rf"(?<![\w.]){name}\b")
        return any(pattern.search(text) for text, _, _ in self.lines)

    def write(self, w: Writer) -> None:
        write_sections(w, self.lines, backward_part(self.graph, self.roots), self.groups)

    def as_array(self, id: int) -> str:
        """A root as an array of its type, also where the statement gave a number."""
        node = self.graph[id]
        if node.tensor.shape != () and self.how[id] != "leaf":
            return self.value[id]
        return f"np.asarray({self.value[id]}, dtype={DTYPES[node.tensor.kind]})"

    def own_array(self, id: int, *, shared: bool) -> str:
        """A root as an array of its own: not a view of another one, nor of what was given, nor
        another root's where it is ``shared``."""
        op = self.graph[id].op
        if self.how[id] == "compute" and isinstance(op, OWNED) and not shared:
            return self.value[id]
        return f"np.array({self.array_text(id)}, dtype={DTYPES['real']})"

    def state_text(self, label: str) -> str:
        """Where a function finds a parameter or a state."""
        return f"state[{quoted(label)}]"

    def opening(self) -> list[str]:
        """Statements that come first, behind the one for ``real``."""
        return []

    def settle(self, w: Writer) -> None:
        """What is to be done before a function returns."""

    def give_back(self, w: Writer, items: list[str], like: str) -> None:
        """Return a dict of arrays, ``name: value`` each; they may lie where those of ``like``
        do."""
        w.items("return {", items, "}")

    def fetch(self, w: Writer, ids: list[int]) -> None:
        """Read numbers that are to be returned, where to read one twice would take longer."""

    def as_number(self, id: int) -> str:
        """A root as a Python float, or as it is where it is not a single number."""
        single = self.graph[id].tensor.shape == ()
        return f"float({self.value[id]})" if single else self.value[id]


def deletions(names: list[str]) -> list[str]:
    """Statements that delete names: one if it fits a line, else one a name."""
    together = f"del {', '.join(names)}"
    return [together] if len(together) <= WIDTH - 4 else [f"del {name}" for name in names]
