"""Functions between raw columns and the model's values: ``prepare``, ``fit`` and ``restore``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphc.backends.printing.functions import gap, real_line, size_line, state_preamble
from graphc.backends.printing.names import NameAllocator
from graphc.backends.printing.plain import QUIET, PlainBody
from graphc.backends.printing.text import DTYPES, Dims, leaf_label, symbols_in
from graphc.backends.printing.writer import Writer, quoted
from graphc.ir import Node, Type
from graphc.model.program import ModelSpec, Program, Programs
from graphc.ops.leaves import Column, Input

__all__ = ["print_fit", "print_prepare", "print_restore"]


def print_prepare(w: Writer, programs: Programs) -> None:
    """``prepare(raw, state)``: a block for every input and target."""
    program = programs.prepare
    blocks = []
    for name, id in program.named("batch").items():
        body, lines = _column_block(program, [id], {id: name}, name, 2)
        lines.line(f"batch[{quoted(name)}] = {body.as_array(id)}")
        blocks.append((f"if _present(raw, {quoted(name)}):", lines))
    doc = "Inputs and targets from raw columns; targets whose columns are missing are left out."
    _print_blocks(w, program, "prepare(raw, state)", doc, "batch = {}", blocks, "return batch")


def print_restore(w: Writer, programs: Programs) -> None:
    """``restore(outputs, state)``: a block for every output that was scaled."""
    program = programs.restore
    blocks = []
    for name, id in program.named("restored").items():
        body, lines = _column_block(program, [id], {id: name}, name, 2)
        read = [leaf_label(n) for _, n in body.leaves.values() if isinstance(n.op, Input)]
        lines.line(f"restored[{quoted(name)}] = {body.as_array(id)}")
        test = " and ".join(f"{quoted(label)} in outputs" for label in read or [name])
        blocks.append((f"if {test}:", lines))
    doc = "Outputs in the units of the data, those that are given and have any."
    head, start = "restore(outputs, state)", "restored = {}"
    _print_blocks(w, program, head, doc, start, blocks, "return restored")


def print_fit(w: Writer, programs: Programs) -> None:
    """``fit(raw, state)``."""
    program = programs.fit
    roots = program.named("fitted")
    hints = {id: name for name, id in roots.items()}
    body, lines = _column_block(program, roots.values(), hints, "", 1)
    for name, id in roots.items():
        lines.line(f"new[{quoted(name)}] = {body.as_array(id)}")
    doc = "A copy of the state with the constants of the data computed from the training part."
    w.line(QUIET)
    with w.block("def fit(raw, state):"):
        w.docstring(doc)
        w.line(real_line(program.spec))
        w.line("new = dict(state)")
        w.append(lines)
        w.line("return new")
    gap(w)


def _column_block(
    program: Program, ids: Iterable[int], hints: dict[int, str], reader: str, indent: int
) -> tuple[PlainBody, Writer]:
    """The statements of some roots over columns or outputs, everything they read included."""
    names, w = NameAllocator(["restored"]), Writer(indent)
    dims = Dims(symbols_in(program.graph), names)
    body = PlainBody(program.graph, list(ids), names, dims, leaf_label, hints)
    types: dict[str, Type] = {}
    for variable, node in body.leaves.values():
        if isinstance(node.op, Column):
            w.line(f"{variable} = {_column_text(program.spec, node, reader)}")
        elif isinstance(node.op, Input):
            dtype = DTYPES[node.tensor.kind]
            w.line(f"{variable} = np.asarray(outputs[{quoted(node.op.label)}], dtype={dtype})")
        if isinstance(node.op, Column | Input):
            types[variable] = node.tensor
    for symbol in sorted(dims.used):
        w.line(size_line(symbol, dims, types))
    state_preamble(w, body)
    body.write(w)
    return body, w


def _column_text(spec: ModelSpec, node: Node, reader: str) -> str:
    column, type = leaf_label(node), node.tensor
    if type.kind == "label":
        name = reader or next(iter(spec.data.columns.get(column, ())), column)
        return f"_label_column(raw, {quoted(column)}, {quoted(name)}, {type.classes})"
    return f"_number_column(raw, {quoted(column)}, {quoted(type.kind)}, real)"


def _print_blocks(
    w: Writer,
    program: Program,
    head: str,
    doc: str,
    start: str,
    blocks: Sequence[tuple[str, Writer]],
    end: str,
) -> None:
    w.line(QUIET)
    with w.block(f"def {head}:"):
        w.docstring(doc)
        if any("real" in line for _, lines in blocks for line in lines.lines):
            w.line(real_line(program.spec))
        w.line(start)
        for test, lines in blocks:
            w.line(test)
            w.append(lines)
        w.line(end)
    gap(w)
