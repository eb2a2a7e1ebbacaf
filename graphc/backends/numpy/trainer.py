"""The ``Trainer``: a step over fixed arrays, every call writing into memory that is already there.

``_bind`` makes the arrays and returns a closure; views, numbers and NumPy's functions are looked up
once, outside the step. The update runs over flat arrays of all parameters of an optimizer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from graphc.backends.numpy.functions import QUIET, gap, input_variables, real_line, size_line
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
    leaf_label,
    remark,
    symbols_in,
    symbols_of,
    write_sections,
)
from graphc.backends.numpy.writer import WIDTH, Writer, harmless, quoted
from graphc.ir import Node, Operand, Type, WriteContext
from graphc.model.program import ModelSpec, OptimizerGroup, Program
from graphc.ops.elementwise import Power
from graphc.ops.leaves import Clock, Constant, Input, Parameter, StateRead
from graphc.ops.random import Draw
from graphc.ops.reductions import Sum
from graphc.ops.shapes import Transpose
from graphc.schedule import Plan, Step, backward_part, plan, plan_update

__all__ = ["print_trainer"]

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
        """A view of a fixed array is made once, any other in every step."""
        node = step.node
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
        if isinstance(node.op, Power):
            exponent = self.graph[node.inputs[1]].op
            if isinstance(exponent, Constant) and exponent.value == 2:
                return f"np.square({self.array_text(node.inputs[0])}, out={out})"
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
        whole = f"{harmless(node.op.formula(*map(self._symbol, node.inputs)))}  {plain}"
        return whole if len(text) + len(whole) <= WIDTH - STEP_INDENT else plain

    def _symbol(self, id: int) -> str:
        """A value in a formula: its variable, a number, or a matrix transposed."""
        node = self.graph[id]
        if isinstance(node.op, Transpose) and node.op.axes == (1, 0):
            return f"{self._symbol(node.inputs[0])}ᵀ"
        return self.value[id]

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


# ------------------------------------------------------------------- forward and backward


class Gradients(InPlace):
    """Forward and backward: arrays by slot, gradients in views of the flat array."""

    def leaf(self, node: Node) -> str:
        assert isinstance(node.op, Parameter | StateRead)
        return self.loaded(node.op.label, f"self._views[{quoted(node.op.label)}]")

    def storage(self, step: Step) -> str:
        node, type = step.node, step.node.tensor
        assert step.slot is not None
        key = (step.slot, type.shape)
        name = self.called[node.id]
        if key in self.arrays:
            self.bind.line(f"{name} = {self.arrays[key]}")
            return name
        self.arrays[key] = name
        target = self.plan.slots[step.slot].target
        shape = self._context(node).shape(type.shape)
        if target:
            view = f"self._gradients[{quoted(target)}]"
            text = view if type.shape == self._target_shape(target) else f"{view}.reshape({shape})"
        else:
            text = f"self._room({step.slot}, {shape}, {DTYPES[type.kind]})"
        self.bind.line(f"{name} = {text}")
        return name

    def _target_shape(self, target: str) -> tuple[object, ...]:
        return self.graph[self.plan.roots["gradient", target]].tensor.shape


@dataclass
class Update(InPlace):
    """An optimizer's update: one variable a slot, whatever values it holds in turn."""

    operands: Mapping[str, str] = field(default_factory=dict)
    """Variable of each operand by its label."""

    def leaf(self, node: Node) -> str:
        assert isinstance(node.op, Operand)
        return self.operands[node.op.label]

    def storage(self, step: Step) -> str:
        assert step.slot is not None
        return self.slot_name(step.slot)

    def target_array(self, slot: int, type: Type) -> str:
        return self.slot_name(slot)

    def slot_name(self, slot: int) -> str:
        target = self.plan.slots[slot].target
        if target:
            return self.operands[target]
        key: tuple[int, tuple[object, ...]] = (slot, ())
        if key not in self.arrays:
            self.arrays[key] = self.names.numbered("a")
        return self.arrays[key]

    def view(self, step: Step) -> None:
        """Element-wise rules have only one view, the value itself."""
        self.value[step.node.id] = self.value[step.node.inputs[0]]


# ------------------------------------------------------------------------------ the class


def print_trainer(
    w: Writer, spec: ModelSpec, program: Program, clock_of: Mapping[str, str]
) -> None:
    """``Trainer``. ``clock_of`` gives, for each length of the run that it must know, the clock."""
    gradients = _Gradients(spec, program)
    with w.block("class Trainer:"):
        w.docstring(
            "Training over fixed arrays: the numbers of the plain functions, computed faster.",
            "",
            "`batch_size` is the largest batch that will come; `state` is left as it is. A",
            "schedule that reads `epoch`, `epochs` or `steps` needs the length of the run, from",
            "the arguments, the state or this file.",
        )
        w.line()
        _print_start(w, spec, clock_of, gradients)
        gradients.print_step(w)
        _print_state(w)
        gradients.print_bind(w, clock_of)
        _print_room(w)
        _print_update(w, spec, clock_of)
    gap(w)


def _print_start(
    w: Writer, spec: ModelSpec, clock_of: Mapping[str, str], gradients: _Gradients
) -> None:
    with w.block("def __init__(self, state, batch_size, steps_per_epoch=None, epochs=None):"):
        w.line("_check_state(state)")
        w.line(real_line(spec))
        w.line("self._real = real")
        w.line('self._step, self._seed = int(state["step"]), int(state["seed"])')
        w.line("self._batch_size = batch_size")
        w.line('self._views = {name: np.array(state[name], order="C") for name in state}')
        for name, clock in clock_of.items():
            needs = quoted(clock) if clock else None
            arguments = f"{quoted(name)}, {name}, state, {name.upper()}, {needs}"
            w.line(f"self._{name} = _known({arguments})")
            w.line(f"self._views[{quoted(name)}] = np.array(self._{name})")
        w.line(
            "weights, views = _joined(state, [name for names in GROUPS for name in names], real)"
        )
        w.line("slopes = np.zeros_like(weights)")
        w.line("self._views.update(views)")
        w.line("self._gradients = _views(slopes, views, views)")
        w.line("self._flat = _grouped(state, weights, slopes, self._views)")
        w.line("self._memory, self._bound = {}, {}")
        w.line("self._update = self._bind_update()")
        if gradients.symbols == [spec.batch]:
            w.line("self._bind(batch_size)")
        elif not gradients.symbols:
            w.line("self._bind()")
    w.line()


def _print_state(w: Writer) -> None:
    with w.block("def state(self):"):
        w.docstring("A copy of everything that the next step depends on.")
        w.line("state = {name: view.copy() for name, view in self._views.items()}")
        w.line('state["step"] = np.array(self._step)')
        w.line("return state")
    w.line()


def _print_room(w: Writer) -> None:
    with w.block("def _room(self, slot, shape, dtype):"):
        w.docstring("An array in the memory of a slot, which grows when a larger one is needed.")
        w.line("size = math.prod(shape)")
        w.line("memory = self._memory.get(slot)")
        with w.block("if memory is None or memory.size < size:"):
            w.line("memory = self._memory[slot] = np.empty(size, dtype=dtype)")
        w.line("return memory[:size].reshape(shape)")
    w.line()


class _Gradients:
    """Prints ``step`` and ``_bind``."""

    def __init__(self, spec: ModelSpec, program: Program) -> None:
        self.spec = spec
        self.names = NameAllocator()
        self.dims = Dims(symbols_of(spec), self.names)
        planned = plan(program, symbols=self.dims)
        hints = {id: f"{name}_next" for (role, name), id in planned.roots.items() if role == "next"}
        for (role, name), id in planned.roots.items():
            if role != "next":
                hints.setdefault(id, f"d_{name}" if role == "gradient" else "objective")
        self.body = Gradients(planned, self.names, self.dims, hints)
        self.body.print()
        self.objective = self.body.value[planned.roots["objective", ""]]
        self.following = {
            name: planned.roots[role, name] for role, name in planned.roots if role == "next"
        }
        self.missing = [n for n in spec.learned if ("gradient", n) not in planned.roots]
        self._find_symbols()

    def _find_symbols(self) -> None:
        """Symbols that a binding depends on: those of the inputs, and those that are used."""
        used = set(self.dims.used)
        for name in self.body.inputs:
            for size in self.spec.inputs[name].type.shape:
                if not isinstance(size, int):
                    used |= size.symbols
        self.inputs = input_variables(self.spec, dict(self.body.inputs), used, self.names)
        self.symbols = [symbol for symbol in self.dims if symbol in used]

    def print_step(self, w: Writer) -> None:
        w.line(QUIET)
        with w.block("def step(self, batch):"):
            w.docstring("One update; the objective before it, penalties included.")
            self._print_inputs(w)
            sizes = ", ".join(self.dims[symbol] for symbol in self.symbols)
            key = f"({sizes},)" if len(self.symbols) == 1 else f"({sizes})"
            bound = "gradients, commit" if self.following else "gradients"
            w.line(f"{bound} = self._bound.get({key}) or self._bind({sizes})")
            taken = {*self.inputs.values(), *self.dims.values()}
            result = "objective" if "objective" not in taken else self.names.fresh("objective")
            w.items(f"{result} = gradients(", ["self._step", *self.body.inputs.values()], ")")
            with w.block(f"if not math.isfinite({result}):"):
                message = f'f"the objective is {{{result}}} at step {{self._step}}"'
                w.line(f"raise FloatingPointError({message})")
            w.line("self._update(self._step)")
            if self.following:
                w.line("commit()")
            w.line("self._step += 1")
            w.line(f"return {result}")
        w.line()

    def _print_inputs(self, w: Writer) -> None:
        types = {v: self.spec.inputs[name].type for name, v in self.inputs.items()}
        for name, variable in self.inputs.items():
            dtype = DTYPES[types[variable].kind].replace("real", "self._real")
            if dtype == "np.int64":
                w.line(f"{variable} = _integers({quoted(name)}, batch[{quoted(name)}])")
            else:
                w.line(f"{variable} = np.asarray(batch[{quoted(name)}], dtype={dtype})")
        for symbol in self.symbols:
            line = size_line(symbol, self.dims, types)
            variable = line.split(" = ")[1].split(".")[0]
            w.line(f"{line} if {variable}.ndim == {types[variable].rank} else -1")
        for name, variable in self.inputs.items():
            shape = WriteContext(dims=self.dims).shape(types[variable].shape)
            with w.block(f"if {variable}.shape != {shape}:"):
                w.line(f"raise _misfit({quoted(name)}, {variable})")
            classes = types[variable].classes
            if classes is not None:
                w.line("# seen as unsigned, a negative label is a large one")
                with w.block(f"if {variable}.view(np.uint64).max(initial=0) >= {classes}:"):
                    w.line(f"_check_labels({quoted(name)}, {variable}, {classes})")
        if self.spec.batch in self.symbols:
            rows = self.dims[self.spec.batch]
            with w.block(f"if {rows} > self._batch_size:"):
                message = (
                    f'f"the batch has {{{rows}}} rows, at most {{self._batch_size}} were announced"'
                )
                w.line(f"raise ValueError({message})")

    def print_bind(self, w: Writer, clock_of: Mapping[str, str]) -> None:
        sizes = [self.dims[symbol] for symbol in self.symbols]
        with w.block(f"def _bind({', '.join(['self', *sizes])}):"):
            w.docstring("The forward and backward pass over fixed arrays, for batches of one size.")
            w.line("real = self._real")
            if self.body.reads("seed"):
                w.line("seed = self._seed")
            _print_run_lengths(w, [self.body], clock_of)
            self._print_held(w)
            functions = dict(self.body.functions)
            if self.following:
                functions.setdefault("copyto", "copyto")
            write_functions(w, functions)
            w.append(self.body.bind)
            w.line()
            self._print_pass(w)
            bound = "gradients"
            if self.following:
                self._print_commit(w)
                bound = "gradients, commit"
            key = f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"
            w.line(f"self._bound[{key}] = {bound}")
            w.line(f"return {bound}")
        w.line()

    def _print_held(self, w: Writer) -> None:
        for name in self.following:
            self.body.loaded(name, f"self._views[{quoted(name)}]")

    def _print_pass(self, w: Writer) -> None:
        w.items("def gradients(", ["step", *self.body.inputs.values()], "):")
        w.indent += 1
        self.body.write_numbers(w)
        backward = backward_part(self.body.graph, self.body.plan.roots.values())
        write_sections(w, self.body.lines, backward)
        for name in self.missing:
            w.line(f"self._gradients[{quoted(name)}].fill(0)")
        w.line(f"return float({self.objective})")
        w.indent -= 1
        w.line()

    def _print_commit(self, w: Writer) -> None:
        with w.block("def commit():"):
            for name, id in self.following.items():
                target = self.body.loaded(name, f"self._views[{quoted(name)}]")
                w.line(f"copyto({target}, {self.body.value[id]})")
        w.line()


def _print_run_lengths(w: Writer, bodies: list[InPlace], clock_of: Mapping[str, str]) -> None:
    read = {
        name for body in bodies for clock in body.clocks for name in CLOCKS_OF_A_RUN.get(clock, ())
    }
    for name in clock_of:
        if name in read:
            w.line(f"{name} = self._{name}")


# ----------------------------------------------------------------------------- the update


def _print_update(w: Writer, spec: ModelSpec, clock_of: Mapping[str, str]) -> None:
    names = NameAllocator()
    functions: dict[str, str] = {}
    bodies = [_update_body(group, names, functions) for group in spec.groups]
    with w.block("def _bind_update(self):"):
        w.docstring("The update of all parameters over their flat arrays, tile by tile.")
        w.line("real = self._real")
        _print_run_lengths(w, list(bodies), clock_of)
        write_functions(w, functions)
        tiles = []
        for number, body in enumerate(bodies):
            w.append(body.bind)
            tiles.append(_print_tiles(w, number, body, names))
        w.line()
        with w.block("def update(step):"):
            for group, body, tile in zip(spec.groups, bodies, tiles, strict=True):
                w.line("", harmless(group.title))
                body.write_numbers(w)
                arrays = ", ".join([*body.operands.values(), *body.arrays.values()])
                with w.block(f"for {arrays} in {tile}:"):
                    for text, comment, _ in body.lines:
                        w.line(text, comment)
                    if not body.lines:
                        w.line("pass")
        w.line()
        w.line("return update")


def _update_body(group: OptimizerGroup, names: NameAllocator, functions: dict[str, str]) -> Update:
    graph = group.body.graph
    labels = tuple(leaf_label(graph[id]) for id in group.body.operands)
    operands = {label: names.fresh(label) for label in labels}
    planned = plan_update(group.body, labels)
    dims = Dims(symbols_in(graph), names)
    hints = {id: f"{label}_next" for (_, label), id in planned.roots.items()}
    body = Update(planned, names, dims, hints, functions=functions, operands=operands)
    body.print()
    return body


def _print_tiles(w: Writer, number: int, body: Update, names: NameAllocator) -> str:
    slots = {name: body.plan.slots[slot] for (slot, _), name in body.arrays.items()}
    w.line(f"{', '.join(body.operands.values())} = self._flat[{number}]")
    dtypes = ", ".join(DTYPES[slot.kind] for slot in slots.values())
    tile = names.fresh("tiles")
    w.line(f"{tile} = _tiles([{', '.join(body.operands.values())}], [{dtypes}])")
    return tile
