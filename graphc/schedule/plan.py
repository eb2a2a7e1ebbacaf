"""The plan of a step: order, kinds of work, and where each array is kept.

Memory is one arena of slots. An element-wise result goes into the slot of an operand that dies
there; anything else takes the free slot that fits best. Gradients of parameters, and the operands
of an optimizer's update, live in memory that is given: such a slot has a ``target``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property

from graphc.ir import Body, Dim, Graph, Node, Operand, Type, Workspace
from graphc.model.program import Program, RootKey
from graphc.ops.leaves import Dimension, Input, Length, Parameter, StateRead
from graphc.ops.logic import StopGradient
from graphc.ops.shapes import Broadcast, Reshape
from graphc.schedule.memory import Arena, Precision, Slot
from graphc.schedule.order import Groups, How, classify, opened, ordered
from graphc.schedule.roots import (
    Selection,
    copied,
    is_operand,
    own_memory,
    selected,
    step_roots,
    wrapped,
)

__all__ = ["Plan", "Step", "plan", "plan_update"]


@dataclass(frozen=True, slots=True)
class Step:
    """One node in the order of the run.

    ``slot`` is where an array is kept, or what a view looks into; None for what needs none and for
    arrays that never change, whatever the symbolic dimensions are.
    ``fixed``: the array is the same one in every run, so a view of it may be made once.
    ``workspace``: slots of the arrays that the operator works in.
    """

    node: Node
    how: How
    slot: int | None = None
    fixed: bool = False
    workspace: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A graph in order, with a place for every array.

    ``roots`` are those of the program; a root that needs memory of its own may have become a copy.
    ``finals`` are values that must be copied to a slot with a target after the last step.
    ``filled`` are slots of workspace that holds something, by what it holds. ``varying`` are the
    literal and static nodes that depend on a symbolic dimension.
    """

    graph: Graph
    steps: tuple[Step, ...]
    slots: tuple[Slot, ...]
    roots: Mapping[RootKey, int]
    finals: tuple[tuple[int, int], ...] = ()
    groups: Groups = field(default_factory=dict)
    filled: Mapping[Workspace, int] = field(default_factory=dict)
    varying: Set[int] = frozenset()

    @cached_property
    def arena(self) -> dict[int, int]:
        """The slots that are not given, each with its place in the arena."""
        own = (slot.id for slot in self.slots if not slot.target)
        return {id: place for place, id in enumerate(own)}

    @cached_property
    def how(self) -> dict[int, How]:
        return {step.node.id: step.how for step in self.steps}


def plan(
    program: Program,
    *,
    symbols: Iterable[str],
    dims: Mapping[str, int] | None = None,
    select: Selection | None = None,
    reuse: bool = True,
    share: bool = True,
) -> Plan:
    """A plan of a training step without the update: roots ``objective``, ``gradient``, ``next``.

    ``symbols`` are the symbolic dimensions that a run knows, ``dims`` likely values of them.
    Gradients get slots whose target is the parameter's name; they are those that the updates read,
    or the roots where there are no updates.
    Without ``reuse`` every array has a slot of its own, without ``share`` every array that is not
    written over a dying one. The program is left as it is.
    """
    program = opened(program)
    graph = program.graph
    roots = step_roots(program)
    if select is not None:
        roots = selected(graph, roots, program.groups, select)
    targets = own_memory(graph, roots)
    order = ordered(graph, roots.values(), program.groups)
    how = classify(order)
    for id in targets:
        if how[id] in ("static", "scalar"):
            how[id] = "compute"
    arena = Arena(program.spec.train.precision, dict(dims or {}), share)
    planner = _Planner(graph, order, how, targets, arena, reuse)
    planner.keep(roots.values())
    result = planner.run(roots, program.groups)
    _check_symbols(result, frozenset(symbols))
    return result


def plan_update(body: Body, names: tuple[str, ...], precision: Precision) -> Plan:
    """A plan of one optimizer's update, over the arrays of its operands.

    ``names`` are the targets of the operands: parameter, gradient, states. The results replace the
    parameter and the states; operands beyond those are only read.
    """
    graph = body.graph.copy()
    count = len(body.results) + 1
    results = (names[0], *names[2:count])
    roots: dict[RootKey, int] = {}
    used: set[int] = set()
    for name, id, operand in zip(
        results, body.results, (body.operands[0], *body.operands[2:count]), strict=True
    ):
        shape = graph[operand].tensor.shape
        if graph[id].tensor.shape != shape:
            id = wrapped(graph, id, Broadcast(shape), shape)
        elif id != operand and (id in used or is_operand(graph, id)):
            id = copied(graph, id)
        used.add(id)
        roots["next", name] = id
    order = ordered(graph, roots.values())
    targets = {id: name for (_, name), id in roots.items()}
    how = classify(order, static_arrays=False)
    planner = _Planner(graph, order, how, targets, Arena(precision, {}))
    for operand, name in zip(body.operands, names, strict=True):
        planner.give(operand, name)
    planner.keep([*roots.values(), *(id for id in body.operands[count:] if id in planner.owner)])
    return planner.run(roots)


# ------------------------------------------------------------------------------- slots


@dataclass
class _Planner:
    """Walks the order once, giving memory to what is computed and taking it from what is dead."""

    graph: Graph
    order: list[Node]
    how: dict[int, How]
    targets: Mapping[int, str]
    arena: Arena
    reuse: bool = True
    place: dict[int, int] = field(default_factory=dict)
    """Slot of each node that has one."""
    fixed: set[int] = field(default_factory=set)
    straight: set[int] = field(default_factory=set)
    """Nodes whose elements lie in memory in order."""
    owner: dict[int, int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)
    """Position of the last use of each owner."""
    kept: set[int] = field(default_factory=set)
    given: dict[str, int] = field(default_factory=dict)
    """Slot of each target."""
    busy: dict[int, int] = field(default_factory=dict)
    """The owner that lives in a slot with a target now."""
    filled: dict[Workspace, int] = field(default_factory=dict)
    varying: set[int] = field(default_factory=set)
    """Static nodes that depend on a symbolic dimension."""

    def __post_init__(self) -> None:
        for node in self.order:
            self._settle_view(node)
            if self.how[node.id] in ("literal", "static") and self._varies(node):
                self.varying.add(node.id)
            self.owner[node.id] = (
                self.owner[node.inputs[0]] if self.how[node.id] == "view" else node.id
            )
        for position, node in enumerate(self.order):
            for id in node.inputs:
                self.last[self.owner[id]] = position

    def _settle_view(self, node: Node) -> None:
        """Whether an array is fixed and straight; a reshape of one that is not straight copies."""
        id, op = node.id, node.op
        if self.how[id] == "view":
            source = node.inputs[0]
            if not isinstance(op, Reshape) or source in self.straight:
                if source in self.fixed:
                    self.fixed.add(id)
                if source in self.straight and isinstance(op, Reshape | StopGradient):
                    self.straight.add(id)
                return
            self.how[id] = "compute"
        own = self.how[id] in ("compute", "static") or isinstance(
            op, Parameter | StateRead | Operand
        )
        if own:
            self.fixed.add(id)
        if own or isinstance(op, Input):
            self.straight.add(id)

    def _varies(self, node: Node) -> bool:
        size = node.op.size if isinstance(node.op, Dimension | Length) else node.tensor.size
        return isinstance(size, Dim) or not self.varying.isdisjoint(node.inputs)

    def _is_filled(self, node: Node) -> bool:
        """Whether a static value is written to memory when batches of another size begin: an array
        that depends on the size, or a number made from one."""
        if node.id not in self.varying:
            return False
        return bool(node.tensor.shape) or any(self._was_filled(i) for i in node.inputs)

    def _was_filled(self, id: int) -> bool:
        return self.how[id] == "static" and id in self.place

    def give(self, id: int, target: str) -> None:
        """The array of a leaf lives in memory that may be written over once it is dead."""
        slot = self._target_slot(self.graph[id], target)
        if id in self.owner:
            self.place[id] = slot
            self.busy[slot] = id

    def keep(self, ids: Iterable[int]) -> None:
        self.kept.update(self.owner[id] for id in ids)

    def run(self, roots: Mapping[RootKey, int], groups: Groups | None = None) -> Plan:
        steps = []
        for position, node in enumerate(self.order):
            how = self.how[node.id]
            workspace: tuple[int, ...] = ()
            if how == "compute":
                self._take(node, position)
                workspace = self._workspace(node)
            elif how == "static" and self._is_filled(node):
                self.place[node.id] = self._held(node.tensor)
                self.kept.add(node.id)
                workspace = self._workspace(node)
            elif how == "view" and self.owner[node.id] in self.place:
                self.place[node.id] = self.place[self.owner[node.id]]
            place = self.place.get(node.id)
            steps.append(Step(node, how, place, node.id in self.fixed, workspace))
            self._release(node, position)
        self.arena.kept.update(
            self.place[self.owner[id]]
            for (role, _), id in roots.items()
            if role == "next" and self.owner[id] in self.place
        )
        finals = tuple(
            (id, self.given[name])
            for id, name in self.targets.items()
            if self.place.get(id) != self.given[name]
        )
        slots = self.arena.slots()
        return Plan(
            self.graph,
            tuple(steps),
            slots,
            roots,
            finals,
            dict(groups or {}),
            self.filled,
            self.varying,
        )

    def _held(self, type: Type) -> int:
        """A slot that is written when a run begins and read in every step."""
        slot = self.arena.new(type)
        self.arena.kept.add(slot)
        return slot

    def _workspace(self, node: Node) -> tuple[int, ...]:
        """Slots of the arrays that an operator works in; scratch is free again at once."""
        types = tuple(self.graph[i].tensor for i in node.inputs)
        slots = []
        scratch = []
        for wanted in node.op.workspace(types, node.tensor):
            if wanted.start is None:
                slots.append(self.arena.take(wanted.type))
                scratch.append(slots[-1])
            else:
                if wanted not in self.filled:
                    self.filled[wanted] = self._held(wanted.type)
                slots.append(self.filled[wanted])
        for slot in scratch:
            self.arena.free(slot)
        return tuple(slots)

    def _take(self, node: Node, position: int) -> None:
        slot = self._pinned(node, position)
        if slot is None and self.reuse:
            slot = self._dying(node, position)
        if slot is None:
            slot = self.arena.take(node.tensor) if self.reuse else self.arena.new(node.tensor)
        self.place[node.id] = slot
        if slot in self.arena.targets:
            self.busy[slot] = node.id

    def _pinned(self, node: Node, position: int) -> int | None:
        """The slot that the node is meant for, if nothing lives there any more."""
        target = self.targets.get(node.id)
        if target is None:
            return None
        slot = self._target_slot(node, target)
        resident = self.busy.get(slot)
        if resident is None or self._dead(resident, position):
            return slot
        return slot if slot in self._overwritable(node, position) else None

    def _dying(self, node: Node, position: int) -> int | None:
        """The slot of an operand that dies here and may be written over."""
        for slot in self._overwritable(node, position):
            if node.id not in self.kept or slot not in self.arena.targets:
                return slot
        return None

    def _overwritable(self, node: Node, position: int) -> list[int]:
        if not node.op.elementwise:
            return []
        return [
            self.place[id]
            for i, id in enumerate(node.inputs)
            if id in self.place
            and node.op.may_overwrite(i)
            and self.graph[id].tensor.shape == node.tensor.shape
            and self.graph[id].tensor.kind == node.tensor.kind
            and id in self.straight
            and self.last[self.owner[id]] == position
            and self.owner[id] not in self.kept
            and self._only_alias(node, id)
        ]

    def _only_alias(self, node: Node, id: int) -> bool:
        return all(i == id or self.owner[i] != self.owner[id] for i in node.inputs)

    def _dead(self, owner: int, position: int) -> bool:
        return owner not in self.kept and self.last.get(owner, -1) < position

    def _release(self, node: Node, position: int) -> None:
        for id in node.inputs:
            owner = self.owner[id]
            slot = self.place.get(owner)
            if slot is None or self.last[owner] != position or owner in self.kept:
                continue
            del self.place[owner]
            if slot != self.place.get(node.id) and self.reuse:
                self.arena.free(slot)

    def _target_slot(self, node: Node, target: str) -> int:
        if target not in self.given:
            self.given[target] = self.arena.new(node.tensor, target)
        return self.given[target]


def _check_symbols(result: Plan, known: frozenset[str]) -> None:
    sizes = (size for slot in result.slots for _, size in slot.residents)
    for size in sizes:
        unknown = frozenset() if isinstance(size, int) else size.symbols - known
        if unknown:
            raise ValueError(f"nothing gives the dimension {', '.join(sorted(unknown))}")
