"""Statements over fixed arrays: what the passes forward and backward and the update share.

Views, numbers and NumPy's functions are looked up once, outside the step; every call of a step
writes into memory that is already there. What depends on the size of a batch and not on its
values is filled in when batches of another size begin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from graphc.backends.numpy.bound import bare, spelled, write_equal, write_functions
from graphc.backends.printing.names import NameAllocator, name_values
from graphc.backends.printing.text import (
    DTYPES,
    Dims,
    Line,
    as_operand,
    atom,
    clock_lines,
    guarded,
    remark,
)
from graphc.backends.printing.writer import WIDTH, Writer, harmless, quoted
from graphc.ir import UNICODE, Formula, Node, Size, Type, Workspace, WriteContext
from graphc.ops.leaves import Clock, Input
from graphc.ops.logic import StopGradient
from graphc.ops.random import Draw
from graphc.ops.shapes import Reshape, Transpose
from graphc.schedule import Plan, Step

__all__ = ["InPlace"]

STEP_INDENT = 16
"""Columns that the indentation of a step and the sign of a comment take."""

_STEMS = {"ones": "ones_of", "arange": "places"}
"""What is kept is named after what it is for, since functions keep their own names."""

_CALL = re.compile(r"(?<![\w.])np\.([a-z_0-9]+(?:\.(?:reduce|at))?)\(")


@dataclass
class _Context(WriteContext):
    """Lets operators put what never changes outside the step, or outside of all steps."""

    body: InPlace | None = None

    def fixed(self, text: str) -> str:
        assert self.body is not None
        return self.body.fixed(text)

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
    held: Writer = field(default_factory=lambda: Writer(2))
    """Arrays that the trainer holds, and those that never change."""
    rooms: dict[tuple[int, tuple[Size, ...], str], list[str]] = field(default_factory=dict)
    """The values that live in a slot under a shape and type, one after the other."""
    bind: Writer = field(default_factory=lambda: Writer(2))
    """Numbers, and views of fixed arrays."""
    entering: list[str] = field(default_factory=list)
    """What is filled in for batches of one size."""
    lines: list[Line] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    """Statements about single numbers of the run: they come first."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Variable of each input by its name."""
    clocks: dict[str, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    """Local name of each NumPy function that a step calls."""
    singles: dict[str, str] = field(default_factory=dict)
    """Local name of each that a step calls with single numbers."""

    def __post_init__(self) -> None:
        self.graph, self.how = self.plan.graph, self.plan.how
        self.value: dict[int, str] = {}
        self._numbers: dict[str, str] = {}
        self._once: dict[str, str] = {}
        self._loaded: dict[str, str] = {}
        self._filled: dict[int, str] = {}
        self._arrays: set[int] = set()
        """Static values that are arrays, also those of a single number."""
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

    def target_array(self, slot: int, type: Type) -> str:
        """The array of a slot whose memory is given."""
        raise NotImplementedError

    def room_text(self, slot: int, shape: tuple[Size, ...], dtype: str) -> str:
        """An expression of the array of a slot under a shape."""
        raise NotImplementedError

    def name_in(self, slot: int, type: Type, wanted: str) -> str:
        """The variable of a value that lives in a slot: its own name."""
        key = (slot, type.shape, DTYPES[type.kind])
        self.rooms.setdefault(key, []).append(wanted)
        return wanted

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
            self._static(step)
        elif how == "scalar":
            self._scalar(node)
        elif how == "view":
            self.view(step)
        else:
            self._compute(step)

    def _static(self, step: Step) -> None:
        node = step.node
        name = self.value[node.id] = self.called[node.id]
        args = [self.value[i] for i in node.inputs]
        if step.slot is not None:
            self._arrays.add(node.id)
            out = self.name_in(step.slot, node.tensor, name)
            self.entering += self._called(self._into(node, out, self._workspaces(step))).split("; ")
        elif node.tensor.shape:
            text = self._static_array(node, args)
            self.held.line(f"{name} = self._constant({quoted(name)}, lambda: {text})")
        else:
            literal = all(self.how[i] == "literal" for i in node.inputs)
            text = node.op.numpy(self._context(node), *guarded(node, args, literal))
            lines = self.bind if node.id in self.plan.varying else self.held
            lines.line(f"{name} = {self._singly(text)}", remark(node))

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
        self.numbers.append(self._singly(text))

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
        assert step.slot is not None
        out = self.value[node.id] = self.name_in(step.slot, node.tensor, self.called[node.id])
        self.run(self._into(node, out, self._workspaces(step)), node)

    def _into(self, node: Node, out: str, workspace: tuple[str, ...] = ()) -> str:
        if isinstance(node.op, Draw):
            args = [self.value[i] for i in node.inputs]
        else:
            args = [self.array_text(i) for i in node.inputs]
        return node.op.numpy_into(self._context(node, workspace), out, *args)

    def _workspaces(self, step: Step) -> tuple[str, ...]:
        """Variables of the arrays that a step's operator works in."""
        node = step.node
        types = tuple(self.graph[i].tensor for i in node.inputs)
        pairs = zip(node.op.workspace(types, node.tensor), step.workspace, strict=True)
        return tuple(self._workspace(wanted, slot) for wanted, slot in pairs)

    def _workspace(self, wanted: Workspace, slot: int) -> str:
        """The variable of an array that an operator works in."""
        if wanted.start is None:
            return self.name_in(slot, wanted.type, self.names.fresh("scratch"))
        if slot not in self._filled:
            ones = wanted.step == 0 and wanted.start == 1
            name = self.names.fresh("ones_of" if ones else "places")
            self._filled[slot] = self.name_in(slot, wanted.type, name)
            count = f"_count({name}, {wanted.start}, {wanted.step})"
            self.entering.append(count if wanted.step else f"{name}.fill({wanted.start})")
        return self._filled[slot]

    # -- operands

    def array_text(self, id: int) -> str:
        """A value as an operand of arrays: numbers as arrays of no dimension, which are faster."""
        node, how, text = self.graph[id], self.how[id], self.value[id]
        number = how in ("literal", "static", "scalar") and id not in self._arrays
        if node.tensor.shape or not number:
            return text
        if how == "scalar":
            return self._box(node, text, self.numbers)
        if node.id in self.plan.varying:
            return self._box(node, text, self.entering)
        if text not in self._numbers:
            name = self.names.fresh(f"c_{spelled(text)}" if how == "literal" else f"c_{text}")
            dtype = DTYPES[node.tensor.kind]
            self.bind.line(f"{name} = self._number({quoted(name)}, {dtype}, {bare(text)})")
            self._numbers[text] = name
        return self._numbers[text]

    def _box(self, node: Node, text: str, lines: list[str]) -> str:
        """An array of no dimension that takes a number of the run, or of the batch's size."""
        if text not in self._numbers:
            name = self._numbers[text] = self.names.fresh(f"c_{spelled(text)}")
            dtype = DTYPES[node.tensor.kind]
            self.bind.line(f"{name} = self._number({quoted(name)}, {dtype})")
            lines.append(f"{name}[()] = {bare(text)}")
        return self._numbers[text]

    def once(self, text: str) -> str:
        """A variable that holds an expression, computed outside the step."""
        if text not in self._once:
            drawn = re.match(r"_\w+_into\((\w+)", text)
            match = re.match(r"(?:np\.)?_?(\w+)", text)
            stem = f"draw_{drawn[1]}" if drawn else match[1] if match else "fixed"
            name = self._once[text] = self.names.fresh(stem)
            self.bind.line(f"{name} = {text}")
        return self._once[text]

    def fixed(self, text: str) -> str:
        """A variable that holds an expression, computed once for batches of all sizes."""
        if text not in self._once:
            match = re.match(r"(?:np\.)?_?(\w+)", text)
            name = self._once[text] = self.names.fresh(match[1] if match else "fixed")
            self.held.line(f"{name} = self._constant({quoted(name)}, lambda: {text})")
        return self._once[text]

    def loaded(self, wanted: str, text: str) -> str:
        """A variable of something that the trainer holds."""
        if text not in self._loaded:
            self._loaded[text] = self.names.fresh(wanted)
            self.held.line(f"{self._loaded[text]} = {text}")
        return self._loaded[text]

    def run(self, text: str, node: Node | None) -> None:
        """A statement of the step, NumPy's functions by their local names."""
        for part in self._called(text).split("; "):
            self.lines.append((part, self._comment(part, node) if node else "", node))

    def _called(self, text: str) -> str:
        """A statement with NumPy's functions by their local names."""
        return _CALL.sub(self._function, text)

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

    def _singly(self, text: str) -> str:
        """A statement of single numbers with functions that make no array of them."""
        return _CALL.sub(self._single, text)

    def _single(self, match: re.Match[str]) -> str:
        name = match[1]
        if not isinstance(getattr(np, name, None), np.ufunc):
            return match[0]
        if name not in self.singles:
            self.singles[name] = self.names.fresh(f"{name}_of")
        return f"{self.singles[name]}("

    def _context(self, node: Node, workspace: tuple[str, ...] = ()) -> _Context:
        types = tuple(self.graph[i].tensor for i in node.inputs)
        sliced = any(self._is_slice(i) for i in node.inputs)
        return _Context(
            types,
            node.tensor,
            self.dims,
            real="real",
            workspace=workspace,
            sliced=sliced,
            body=self,
        )

    def _is_slice(self, id: int) -> bool:
        """Whether a value is part of an array, not all of it in some order."""
        while self.how[id] == "view":
            if not isinstance(self.graph[id].op, Reshape | StopGradient | Transpose):
                return True
            id = self.graph[id].inputs[0]
        return False

    # -- writing

    def reads(self, name: str) -> bool:
        """Whether a statement mentions a variable."""
        pattern = re.compile(rf"(?<![\w.]){name}\b")
        bound = (*self.held.lines, *self.bind.lines)
        texts = (*self.numbers, *bound, *self.entering, *(text for text, _, _ in self.lines))
        return any(pattern.search(text) for text in texts)

    def write_bound(self, w: Writer) -> None:
        """Everything that is looked up once, in the order of its use."""
        write_functions(w, self.functions, self.singles)
        if self.held.lines:
            w.line("", "parameters, states and constants")
            w.append(self.held)
        if self.rooms:
            w.line("", "memory: a line a place, with the values that live there in turn")
        for (slot, shape, dtype), names in self.rooms.items():
            text = self.room_text(slot, shape, dtype)
            write_equal(w, names, text)
        if self.bind.lines:
            w.line("", "numbers, and views of what is above")
            w.append(self.bind)

    def write_numbers(self, w: Writer) -> None:
        """The clocks and what is computed from them alone."""
        for line in (*clock_lines(self.clocks), *self.numbers):
            w.line(line)
