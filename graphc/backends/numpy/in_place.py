"""Statements over fixed arrays: what the passes forward and backward and the update share.

Views, numbers and NumPy's functions are looked up once, outside the step; every call of a step
writes into memory that is already there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from graphc.backends.numpy.names import NameAllocator, name_values
from graphc.backends.numpy.text import (
    CLOCKS_OF_A_RUN,
    DTYPES,
    Dims,
    Line,
    as_operand,
    atom,
    clock_lines,
    guarded,
    remark,
)
from graphc.backends.numpy.writer import WIDTH, Writer, harmless
from graphc.ir import UNICODE, Formula, Node, Type, WriteContext
from graphc.ops.leaves import Clock, Input
from graphc.ops.random import Draw
from graphc.ops.reductions import Sum
from graphc.ops.shapes import Transpose
from graphc.schedule import Plan, Step

__all__ = ["InPlace", "write_functions", "write_run_lengths"]

STEP_INDENT = 16
"""Columns that the indentation of a step and the sign of a comment take."""

_STEMS = {"ones": "ones_of", "arange": "places", "word_source": "words"}
"""What is kept is named after what it is for, since functions keep their own names."""

_CALL = re.compile(r"(?<![\w.])np\.([a-z_0-9]+(?:\.(?:reduce|at))?)\(")


@dataclass
class _Context(WriteContext):
    """Lets operators put what never changes outside the step."""

    body: InPlace | None = None

    def once(self, text: str) -> str:
        assert self.body is not None
        return self.body.once(text)


@dataclass
class InPlace:
    """The statements of a plan: ``bind`` once for a size, ``lines`` in every step."""

    plan: Plan
    names: NameAllocator
    dims: Dims
    hints: Mapping[int, str]
    bind: Writer = field(default_factory=lambda: Writer(2))
    lines: list[Line] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    """Statements about single numbers of the run: they come first."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Variable of each input by its name."""
    clocks: dict[str, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    """Local name of each NumPy function that a step calls."""
    arrays: dict[tuple[int, tuple[object, ...]], str] = field(default_factory=dict)
    """Variable of each slot under each shape."""

    def __post_init__(self) -> None:
        self.graph, self.how = self.plan.graph, self.plan.how
        self.value: dict[int, str] = {}
        self._numbers: dict[str, str] = {}
        self._once: dict[str, str] = {}
        self._boxes: dict[int, str] = {}
        self._loaded: dict[str, str] = {}
        order = [step.node for step in self.plan.steps]
        self._read = {id for node in order for id in node.inputs}
        self._read |= {id for (role, _), id in self.plan.roots.items() if role != "gradient"}
        for node in order:
            if isinstance(node.op, Input):
                label = node.op.label
                if label not in self.inputs:
                    self.inputs[label] = self.names.fresh(label)
        self.called = name_values(order, self.how, self.hints, self.names)

    def print(self) -> None:
        """Print every step of the plan."""
        for step in self.plan.steps:
            self._step(step)
        for id, slot in self.plan.finals:
            source, target = self.value[id], self.target_array(slot, self.graph[id].tensor)
            self.run(f"np.copyto({target}, {source})", None)

    # -- what the two kinds of step do differently

    def leaf(self, node: Node) -> str:
        """The array of a parameter or a state."""
        raise NotImplementedError

    def storage(self, step: Step) -> str:
        """The array that a step writes to."""
        raise NotImplementedError

    def target_array(self, slot: int, type: Type) -> str:
        """The array of a slot whose memory is given."""
        raise NotImplementedError

    # -- steps

    def _step(self, step: Step) -> None:
        node, how = step.node, step.how
        if isinstance(node.op, Clock):
            which = node.op.which
            self.clocks.setdefault(which, self.called[node.id])
            self.value[node.id] = self.clocks[which]
        elif isinstance(node.op, Input):
            self.value[node.id] = self.inputs[node.op.label]
        elif how == "leaf":
            self.value[node.id] = self.leaf(node)
        elif how == "literal":
            self.value[node.id] = atom(node.op.numpy(self._context(node)))
        elif how == "static":
            self._static(node)
        elif how == "scalar":
            self._scalar(node)
        elif how == "view":
            self.view(step)
        else:
            self._compute(step)

    def _static(self, node: Node) -> None:
        name = self.value[node.id] = self.called[node.id]
        args = [self.value[i] for i in node.inputs]
        if node.tensor.shape:
            text = self._static_array(node, args)
        else:
            literal = all(self.how[i] == "literal" for i in node.inputs)
            text = node.op.numpy(self._context(node), *guarded(node, args, literal))
        self.bind.line(f"{name} = {text}", remark(node))

    def _static_array(self, node: Node, args: list[str]) -> str:
        numbers = [not self.graph[i].tensor.shape for i in node.inputs]
        operands = [
            as_operand(self.graph[i], number, text, node)
            for i, number, text in zip(node.inputs, numbers, args, strict=True)
        ]
        text = node.op.numpy(self._context(node), *operands)
        if node.op.elementwise and not all(self._has_precision(i) for i in node.inputs):
            return f"np.asarray({text}, dtype={DTYPES[node.tensor.kind]})"
        return text

    def _has_precision(self, id: int) -> bool:
        """Whether a static value has the model's precision: f64 numbers and truth values do not."""
        return bool(self.graph[id].tensor.shape) and self.graph[id].tensor.kind == "real"

    def _scalar(self, node: Node) -> None:
        name = self.value[node.id] = self.called[node.id]
        args = [self.value[i] for i in node.inputs]
        text = f"{name} = {node.op.numpy(self._context(node), *args)}"
        self.numbers.append(_CALL.sub(self._function, text))

    def view(self, step: Step) -> None:
        """A view of a fixed array is made once, any other in every step. A gradient that views
        its own memory is read by nobody here."""
        node = step.node
        if node.id not in self._read:
            return
        text = node.op.numpy(self._context(node), *(self.value[i] for i in node.inputs))
        name = self.value[node.id] = self.called[node.id]
        if step.fixed:
            self.bind.line(f"{name} = {text}")
        else:
            self.run(f"{name} = {text}", node)

    def _compute(self, step: Step) -> None:
        node = step.node
        out = self.value[node.id] = self.storage(step)
        self.run(self._faster(node, out) or self._into(node, out), node)

    def _into(self, node: Node, out: str) -> str:
        operands = node.inputs
        if isinstance(node.op, Draw):
            args = [self.value[i] for i in operands]
        else:
            args = [self.array_text(i) for i in operands]
        return node.op.numpy_into(self._context(node), out, *args)

    def _faster(self, node: Node, out: str) -> str | None:
        """The same result by a quicker call, where there is one."""
        if isinstance(node.op, Sum):
            return self._sum_by_product(node, node.op.axis, out)
        return None

    def _sum_by_product(self, node: Node, axis: tuple[int, ...], out: str) -> str | None:
        """Sums of vectors and along one axis of matrices: BLAS is three times as fast."""
        x = self.graph[node.inputs[0]].tensor
        if x.kind != "real" or x.rank not in (1, 2) or len(axis) != 1:
            return None
        if node.tensor.rank == x.rank:
            out = self.once(f"{out}.reshape({'-1' if x.rank == 2 else '()'})")
        ones = self.once(f"np.ones({self._context(node).size(x.shape[axis[0]])}, dtype=real)")
        source = self.array_text(node.inputs[0])
        operands = (source, ones) if axis[0] == 1 or x.rank == 1 else (ones, source)
        return f"np.dot({operands[0]}, {operands[1]}, out={out})"

    # -- operands

    def array_text(self, id: int) -> str:
        """A value as an operand of arrays: numbers as arrays of no dimension, which are faster."""
        node, how, text = self.graph[id], self.how[id], self.value[id]
        if node.tensor.shape or how not in ("literal", "static", "scalar"):
            return text
        if how == "scalar":
            return self._box(node, text)
        if text not in self._numbers:
            name = self.names.fresh(f"c_{_spelled(text)}" if how == "literal" else f"c_{text}")
            dtype = DTYPES[node.tensor.kind]
            self.bind.line(f"{name} = np.array({_bare(text)}, dtype={dtype})")
            self._numbers[text] = name
        return self._numbers[text]

    def _box(self, node: Node, text: str) -> str:
        """An array of no dimension that takes a number of the run."""
        if node.id not in self._boxes:
            name = self._boxes[node.id] = self.names.fresh(f"{text}_")
            self.bind.line(f"{name} = np.empty((), dtype={DTYPES[node.tensor.kind]})")
            self.numbers.append(f"{name}[()] = {text}")
        return self._boxes[node.id]

    def once(self, text: str) -> str:
        """A variable that holds an expression, computed outside the step."""
        if text not in self._once:
            match = re.match(r"(?:np\.)?_?(\w+)", text)
            stem = match[1] if match else "fixed"
            name = self._once[text] = self.names.fresh(_STEMS.get(stem, stem))
            self.bind.line(f"{name} = {text}")
        return self._once[text]

    def loaded(self, wanted: str, text: str) -> str:
        """A variable of something that the trainer holds."""
        if text not in self._loaded:
            self._loaded[text] = self.names.fresh(wanted)
            self.bind.line(f"{self._loaded[text]} = {text}")
        return self._loaded[text]

    def run(self, text: str, node: Node | None) -> None:
        """A statement of the step, NumPy's functions by their local names."""
        for part in _CALL.sub(self._function, text).split("; "):
            self.lines.append((part, self._comment(part, node) if node else "", node))

    def _comment(self, text: str, node: Node) -> str:
        """The formula, the shape and the model's line; without the formula where it is long."""
        plain = remark(node)
        formula = node.op.formula(UNICODE, *map(self._symbol, node.inputs))
        whole = f"{harmless(formula.text)}  {plain}"
        return whole if len(text) + len(whole) <= WIDTH - STEP_INDENT else plain

    def _symbol(self, id: int) -> Formula:
        """A value in a formula: its variable, a number, or a matrix transposed."""
        node = self.graph[id]
        if isinstance(node.op, Transpose) and node.op.axes == (1, 0):
            return UNICODE.transpose(self._symbol(node.inputs[0]))
        return UNICODE.symbol(self.value[id])

    def _function(self, match: re.Match[str]) -> str:
        name = match[1]
        if name not in self.functions:
            self.functions[name] = self.names.function(name.replace(".", "_"))
        return f"{self.functions[name]}("

    def _context(self, node: Node) -> _Context:
        types = tuple(self.graph[i].tensor for i in node.inputs)
        return _Context(types, node.tensor, self.dims, real="real", body=self)

    # -- writing

    def reads(self, name: str) -> bool:
        """Whether a statement mentions a variable."""
        pattern = re.compile(rf"(?<![\w.]){name}\b")
        texts = (*self.numbers, *self.bind.lines, *(text for text, _, _ in self.lines))
        return any(pattern.search(text) for text in texts)

    def write_numbers(self, w: Writer) -> None:
        """The clocks and what is computed from them alone."""
        for line in (*clock_lines(self.clocks), *self.numbers):
            w.line(line)


def write_functions(w: Writer, functions: Mapping[str, str]) -> None:
    """Local names of NumPy's functions, as many to a line as fit."""
    row: dict[str, str] = {}
    for source, name in functions.items():
        longer = {**row, source: name}
        if row and 4 * w.indent + len(_assigned(longer)) > WIDTH:
            w.line(_assigned(row))
            longer = {source: name}
        row = longer
    if row:
        w.line(_assigned(row))


def _assigned(row: Mapping[str, str]) -> str:
    return f"{', '.join(row.values())} = {', '.join(f'np.{source}' for source in row)}"


def _spelled(text: str) -> str:
    """A number as part of a name: ``0_5``, ``minus_1``."""
    plain = _bare(text).replace("e-", "em").replace("e+", "e").replace("-", "minus_")
    return plain.replace(".", "_")


def _bare(text: str) -> str:
    return text[1:-1] if text.startswith("(") else text


def write_run_lengths(w: Writer, bodies: list[InPlace], clock_of: Mapping[str, str]) -> None:
    read = {
        name for body in bodies for clock in body.clocks for name in CLOCKS_OF_A_RUN.get(clock, ())
    }
    for name in clock_of:
        if name in read:
            w.line(f"{name} = self._{name}")
