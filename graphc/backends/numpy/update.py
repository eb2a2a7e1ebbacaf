"""The ``Trainer``'s update of the parameters, over flat arrays, tile by tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphc.backends.numpy.in_place import InPlace, write_functions, write_run_lengths
from graphc.backends.numpy.names import NameAllocator
from graphc.backends.numpy.text import (
    DTYPES,
    Dims,
    leaf_label,
    symbols_in,
)
from graphc.backends.numpy.writer import Writer, harmless
from graphc.ir import Node, Operand, Type
from graphc.model.program import ModelSpec, OptimizerGroup
from graphc.schedule import Step, plan_update

__all__ = ["print_update"]


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


def print_update(w: Writer, spec: ModelSpec, clock_of: Mapping[str, str]) -> None:
    names = NameAllocator()
    functions: dict[str, str] = {}
    bodies = [_update_body(group, names, functions) for group in spec.groups]
    with w.block("def _bind_update(self):"):
        w.docstring("The update of all parameters over their flat arrays, tile by tile.")
        w.line("real = self._real")
        write_run_lengths(w, list(bodies), clock_of)
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
