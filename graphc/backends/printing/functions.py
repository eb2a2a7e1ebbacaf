"""The plain functions of a module's face, each printed from one program."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from graphc.backends.printing.names import NameAllocator
from graphc.backends.printing.plain import PlainBody
from graphc.backends.printing.text import (
    CLOCKS_OF_A_RUN,
    Dims,
    axis_of,
    clock_lines,
    leaf_label,
)
from graphc.backends.printing.writer import Writer, quoted
from graphc.ir import Node, Type
from graphc.model.program import ModelSpec, Program, Programs
from graphc.ops.leaves import Direction, Input, Parameter, StateRead, Tangent
from graphc.passes.vectorize import TANGENTS

__all__ = [
    "LARGE",
    "Finish",
    "clock_preamble",
    "function_body",
    "function_lines",
    "gap",
    "input_variables",
    "print_function",
    "print_gradients",
    "print_losses",
    "print_metrics",
    "print_predict",
    "real_line",
    "size_line",
    "state_preamble",
]

LARGE = 65536
"""Bytes of values for one example. With more, arrays are let go after their last use: a metric
takes a whole part of the data as one batch."""

Finish = Callable[[PlainBody, Writer], None]


def real_line(spec: ModelSpec) -> str:
    """A statement that gives the floating-point type of a state."""
    for name in spec.parameters:
        return f"real = state[{quoted(name)}].dtype.type"
    return "real = REAL"


# ------------------------------------------------------------------- from inputs to values


def print_predict(w: Writer, programs: Programs, kind: type[PlainBody]) -> None:
    """``predict(state, inputs)``."""
    program = programs.prediction
    roots = program.named("output")

    def finish(body: PlainBody, out: Writer) -> None:
        items = [f"{quoted(n)}: {body.as_array(i)}" for n, i in roots.items()]
        body.give_back(out, items, "inputs")

    doc = "Outputs by name, for inputs by name."
    _print(w, program, kind, "predict", "inputs", doc, roots.values(), finish)


def print_losses(w: Writer, programs: Programs, kind: type[PlainBody]) -> None:
    """``losses(state, batch)``."""
    program = programs.losses
    roots, objective = program.named("loss"), program.roots.get(("objective", ""))
    ids = [*roots.values(), *([] if objective is None else [objective])]

    def finish(body: PlainBody, out: Writer) -> None:
        body.fetch(out, ids)
        value = 'float("nan")' if objective is None else body.as_number(objective)
        items = [f"{quoted(n)}: {body.as_number(i)}" for n, i in roots.items()]
        out.items(f"return {value}, {{", items, "}")

    doc = "The objective without penalties, and each loss by name."
    _print(w, program, kind, "losses", "batch", doc, ids, finish)


def print_metrics(w: Writer, programs: Programs, kind: type[PlainBody]) -> None:
    """``metrics(state, batch)``."""
    program = programs.metrics
    roots = program.named("metric")

    def finish(body: PlainBody, out: Writer) -> None:
        out.items("return {", [f"{quoted(n)}: {body.as_number(i)}" for n, i in roots.items()], "}")

    doc = "Each metric by name, over the whole batch."
    _print(w, program, kind, "metrics", "batch", doc, roots.values(), finish)


def print_gradients(w: Writer, programs: Programs, kind: type[PlainBody]) -> None:
    """``loss_and_gradients``, and ``_training`` where that differs or gives next states."""
    assert programs.evaluation is not None
    assert programs.training is not None
    doc = "The objective and its gradient by each parameter. Nothing is changed."
    evaluation = _gradient_body(programs.evaluation, kind)
    moves = bool(programs.training.named("next"))
    shared = not moves and programs.training.graph is programs.evaluation.graph
    following = evaluation if shared else _gradient_body(programs.training, kind, following=True)
    if not moves and following.lines[:-1] == evaluation.lines[:-1]:  # but for what is returned
        head = "def loss_and_gradients(state, batch, training=False):"
        _print_parts(w, head, doc, evaluation, kind)
        return
    _print_parts(
        w,
        "def _evaluation(state, batch):",
        "The objective and its gradients in evaluation.",
        evaluation,
        kind,
    )
    next_doc = "The objective, its gradients and the next values of states, in training."
    _print_parts(w, "def _training(state, batch):", next_doc, following, kind)
    with w.block("def loss_and_gradients(state, batch, training=False):"):
        w.docstring(doc)
        with w.block("if training:"):
            w.line("objective, gradients, _ = _training(state, batch)")
            w.line("return objective, gradients")
        w.line("return _evaluation(state, batch)")
    gap(w)


def _gradient_body(program: Program, kind: type[PlainBody], following: bool = False) -> Writer:
    spec = program.spec
    objective, gradients = program.roots["objective", ""], program.named("gradient")
    states = program.named("next") if following else {}

    def finish(body: PlainBody, out: Writer) -> None:
        items = [
            f"{quoted(n)}: {body.as_array(gradients[n])}"
            if n in gradients
            else f"{quoted(n)}: np.zeros_like(state[{quoted(n)}])"
            for n in spec.learned
        ]
        out.items("gradients = {", items, "}")
        if following:
            items = [f"{quoted(n)}: {body.as_array(i)}" for n, i in states.items()]
            out.items(f"return {body.as_number(objective)}, gradients, {{", items, "}")
        else:
            out.line(f"return {body.as_number(objective)}, gradients")

    hints = {id: f"{name}_next" for name, id in states.items()}
    hints.update({id: f"d_{name}" for name, id in gradients.items()})
    hints.setdefault(objective, "objective")
    ids = [objective, *gradients.values(), *states.values()]
    body = function_body(program, kind, ids, hints)
    return function_lines(program, body, "batch", finish)


def _print(
    w: Writer,
    program: Program,
    kind: type[PlainBody],
    name: str,
    source: str,
    doc: str,
    ids: Iterable[int],
    finish: Finish,
) -> None:
    hints = {id: label or role for (role, label), id in program.roots.items()}

    def end(body: PlainBody, out: Writer) -> None:
        if body.bytes_an_example > LARGE:
            body.let_go()
        finish(body, out)

    parts = function_lines(program, function_body(program, kind, ids, hints), source, end)
    _print_parts(w, f"def {name}(state, {source}):", doc, parts, kind)


def print_function(
    w: Writer,
    program: Program,
    kind: type[PlainBody],
    head: str,
    doc: str,
    ids: Iterable[int],
    hints: dict[int, str],
    finish: Finish,
) -> None:
    """A function of a state and a batch, under a head of its own."""
    body = function_body(program, kind, ids, hints)
    statements = function_lines(program, body, "batch", finish)
    _print_parts(w, head, doc, statements, kind)


def _print_parts(w: Writer, head: str, doc: str, statements: Writer, kind: type[PlainBody]) -> None:
    for line in kind.decorators:
        w.line(line)
    with w.block(head):
        w.docstring(doc)
        w.append(statements)
    gap(w)


def gap(w: Writer) -> None:
    w.line()
    w.line()


def function_body(
    program: Program,
    kind: type[PlainBody],
    ids: Iterable[int],
    hints: dict[int, str],
    **options: Any,
) -> PlainBody:
    """The statements of a function that computes some roots; ``options`` are those of ``kind``."""
    names = NameAllocator(kind.reserved)
    dims = Dims((*program.spec.symbols, TANGENTS), names)
    return kind(
        program.graph,
        list(ids),
        names,
        dims,
        _leaf_name,
        hints,
        groups=program.groups,
        **options,
    )


def function_lines(program: Program, body: PlainBody, source: str, finish: Finish) -> Writer:
    """All of a function: what it is given, the statements, and what ``finish`` writes at the end.

    ``source`` is the argument that holds inputs and targets.
    """
    spec, names, dims = program.spec, body.names, body.dims
    tangents = [(v, n) for v, n in body.leaves.values() if isinstance(n.op, Tangent)]
    end, w = Writer(1), Writer(1)
    body.settle(end)
    finish(body, end)
    read = {leaf_label(n): v for v, n in body.leaves.values() if isinstance(n.op, Input)}
    inputs = input_variables(spec, read, dims.used - {TANGENTS}, names)
    if inputs or tangents or body.reads("real") or any("real" in line for line in end.lines):
        w.line(real_line(spec))
    for line in body.opening():
        w.line(line)
    clock_preamble(w, body)
    if inputs:
        w.line("sizes = {}")
    for name, variable in inputs.items():
        w.line(f"{variable} = _array({source}, {quoted(name)}, real, sizes)")
    _tangent_preamble(w, tangents, dims)
    for symbol in sorted(dims.used - {TANGENTS}):
        types = {variable: spec.inputs[name].type for name, variable in inputs.items()}
        w.line(size_line(symbol, dims, types))
    state_preamble(w, body)
    if w.lines and body.lines:
        w.line()
    body.write(w)
    if body.lines:
        w.line()
    w.append(end)
    return w


def _leaf_name(node: Node) -> str:
    label = leaf_label(node)
    return f"t_{label}" if isinstance(node.op, Tangent) else label


def _tangent_preamble(w: Writer, tangents: list[tuple[str, Node]], dims: Dims) -> None:
    """Tangents as arrays of the right shapes, as many of each."""
    counted = "_tangent_count"
    for variable, node in tangents:
        label = quoted(leaf_label(node))
        if isinstance(node.op, Direction):
            counted = "_layer_tangent_count"
            w.line(f"{variable} = _layer_tangents(tangents, {label}, {node.tensor.shape[1]}, real)")
        else:
            w.line(f"{variable} = _tangents(tangents, {label}, real)")
    if TANGENTS in dims.used:
        w.line(f"{dims[TANGENTS]} = {counted}(tangents)")


def input_variables(
    spec: ModelSpec, read: dict[str, str], used: Iterable[str], names: NameAllocator
) -> dict[str, str]:
    """Variables of the inputs that are read, and of those that give a dimension used."""
    wanted = dict(read)
    for symbol in sorted(used):
        having = [n for n in spec.inputs if axis_of(spec.inputs[n].type, symbol) is not None]
        if not having:
            raise ValueError(f"no input has the dimension {symbol}")
        if not any(name in wanted for name in having):
            wanted[having[0]] = names.fresh(having[0])
    return {name: wanted[name] for name in spec.inputs if name in wanted}


def size_line(symbol: str, dims: Dims, types: dict[str, Type]) -> str:
    """A statement that reads a dimension off the first variable that has it."""
    for variable, type in types.items():
        axis = axis_of(type, symbol)
        if axis is not None:
            return f"{dims[symbol]} = {variable}.shape[{axis}]"
    raise ValueError(f"nothing gives the dimension {symbol}")


def clock_preamble(w: Writer, body: PlainBody) -> None:
    if body.clocks or body.reads("step"):
        w.line('step = int(state["step"])')
    if body.reads("seed"):
        w.line('seed = int(state["seed"])')
    known: set[str] = set()
    for clock in body.clocks:
        for name in CLOCKS_OF_A_RUN.get(clock, ()):
            if name not in known:
                known.add(name)
                w.line(f"{name} = _of_run(state, {quoted(name)}, {quoted(clock)})")
    for line in clock_lines(body.clocks):
        w.line(line)


def state_preamble(w: Writer, body: PlainBody) -> None:
    for variable, node in body.leaves.values():
        if isinstance(node.op, Parameter | StateRead):
            w.line(f"{variable} = {body.state_text(node.op.label)}")
