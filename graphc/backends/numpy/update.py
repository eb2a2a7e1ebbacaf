"""The ``Trainer``'s update of the parameters, over flat arrays, tile by tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphc.backends.numpy.bound import write_functions, write_run_lengths
from graphc.backends.numpy.in_place import InPlace
from graphc.backends.printing.names import NameAllocator
from graphc.backends.printing.text import DTYPES, Dims, symbols_in
from graphc.backends.printing.writer import Writer, harmless
from graphc.ir import Kind, Node, Operand, Type
from graphc.schedule import Step, TrainingPlan, UpdatePlan

__all__ = ["print_update"]


@dataclass
class Update(InPlace):
    """An optimizer's update: one variable a slot, whatever values it holds in turn."""

    operands: Mapping[str, str] = field(default_factory=dict)
    """Variable of each operand by its label."""
    scratch: dict[tuple[int, Kind], str] = field(default_factory=dict)
    """Variable of each slot of scratch under each kind."""

    def leaf(self, node: Node) -> str:
        assert isinstance(node.op, Operand)
        return self.operands[node.op.label]

    def target_array(self, slot: int, type: Type) -> str:
        return self.operands[self.plan.slots[slot].target]

    def name_in(self, slot: int, type: Type, wanted: str) -> str:
        target = self.plan.slots[slot].target
        if target:
            return self.operands[target]
        if (slot, type.kind) not in self.scratch:
            self.scratch[slot, type.kind] = self.names.numbered("a")
        return self.scratch[slot, type.kind]

    def view(self, step: Step) -> None:
        """Element-wise rules have only one view, the value itself."""
        self.value[step.node.id] = self.value[step.node.inputs[0]]


def print_update(w: Writer, training: TrainingPlan, clock_of: Mapping[str, str]) -> None:
    """``_bind_update``. The arena must be there."""
    names = NameAllocator()
    functions: dict[str, str] = {}
    singles: dict[str, str] = {}
    updates, arena = training.updates, training.passes.arena
    bodies = [_update_body(update, names, functions, singles) for update in updates]
    with w.block("def _bind_update(self):"):
        w.docstring("The update of all parameters over their flat arrays, tile by tile.")
        w.line("real = self._real")
        write_run_lengths(w, [c for body in bodies for c in body.clocks], clock_of)
        write_functions(w, functions, singles)
        tiles = []
        for number, (update, body) in enumerate(zip(updates, bodies, strict=True)):
            w.append(body.held)
            w.append(body.bind)
            tiles.append(_print_tiles(w, number, update, body, names, arena))
        w.line()
        with w.block("def update(step):"):
            for update, body, tile in zip(updates, bodies, tiles, strict=True):
                w.line("", harmless(update.title))
                body.write_numbers(w)
                arrays = ", ".join([*body.operands.values(), *body.scratch.values()])
                with w.block(f"for {arrays} in {tile}:"):
                    for text, comment, _ in body.lines:
                        w.line(text, comment)
                    if not body.lines:
                        w.line("pass")
        w.line()
        w.line("return update")


def _update_body(
    update: UpdatePlan, names: NameAllocator, functions: dict[str, str], singles: dict[str, str]
) -> Update:
    operands = {label: names.fresh(label) for label in update.labels}
    dims = Dims(symbols_in(update.body.graph), names)
    hints = {id: f"{label}_next" for (_, label), id in update.plan.roots.items()}
    body = Update(
        update.plan,
        names,
        dims,
        hints,
        functions=functions,
        singles=singles,
        operands=operands,
    )
    body.print()
    return body


def _print_tiles(
    w: Writer,
    number: int,
    update: UpdatePlan,
    body: Update,
    names: NameAllocator,
    arena: Mapping[int, int],
) -> str:
    """The arrays of an update, and pieces of them together with scratch."""
    arrays = list(body.operands.values())
    if update.decay:
        w.line(f"{', '.join(arrays)} = (*self._flat[{number}], self._decay[{number}])")
    else:
        w.line(f"{', '.join(arrays)} = self._flat[{number}]")
    scratch = []
    for (slot, kind), name in body.scratch.items():
        w.line(
            f"{name} = self._room({arena[update.places[slot]]}, ({update.tile},), {DTYPES[kind]})"
        )
        scratch.append(name)
    tile = names.fresh("tiles")
    w.line(f"{tile} = _tiles([{', '.join(arrays)}], [{', '.join(scratch)}])")
    return tile
