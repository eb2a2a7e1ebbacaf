"""Where values are kept: lifetimes of arrays to slots of memory, in place where an operand dies.

Slots are shared by arrays of equal element kind and equal number of elements, so a plan
holds for every value of the symbolic dimensions. Gradients of parameters, and the operands of an
optimizer's update, live in memory that is given: such a slot has a ``target``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from graphc.ir import Body, Graph, Kind, Node, Operand, Origin, Size
from graphc.model.program import Program, RootKey
from graphc.ops.leaves import Parameter, StateRead
from graphc.ops.logic import Cast, StopGradient
from graphc.ops.shapes import Broadcast, Reshape, Transpose
from graphc.ops.windows import Windows
from graphc.schedule.order import How, classify, ordered

__all__ = ["Plan", "Slot", "Step", "plan", "plan_update"]


@dataclass(frozen=True, slots=True)
class Slot:
    """Memory for ``size`` elements. ``target``: it is given from outside and goes by that name."""

    id: int
    kind: Kind
    size: Size
    target: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One node in the order of the run.

    ``slot`` is where a computed value is kept, or what a view looks into; None for what needs none.
    ``fixed``: the array is the same one in every run, so a view of it may be made once.
    """

    node: Node
    how: How
    slot: int | None = None
    fixed: bool = False


@dataclass(frozen=True)
class Plan:
    """A graph in order, with a place for every array.

    ``roots`` are those of the program; a root that needs memory of its own may have become a copy.
    ``finals`` are values that must be copied to a slot with a target after the last step.
    """

    graph: Graph
    steps: tuple[Step, ...]
    slots: tuple[Slot, ...]
    roots: Mapping[RootKey, int]
    finals: tuple[tuple[int, int], ...] = ()

    @property
    def how(self) -> dict[int, How]:
        return {step.node.id: step.how for step in self.steps}


def plan(program: Program, *, symbols: Iterable[str]) -> Plan:
    """A plan of a training step: roots ``objective``, ``gradient`` and ``next``.

    ``symbols`` are the symbolic dimensions that a run knows. Gradients get slots whose target is
    the parameter's name. The program is left as it is.
    """
    graph = program.graph.copy()
    roots = {key: id for key, id in program.roots.items() if key[0] in _ROLES}
    targets = _own_memory(graph, roots)
    order = ordered(graph, roots.values())
    how = classify(order)
    for id in targets:
        if how[id] in ("static", "scalar"):
            how[id] = "compute"
    planner = _Planner(graph, order, how, targets)
    planner.keep(roots.values())
    result = planner.run(roots)
    _check_symbols(result, frozenset(symbols))
    return result


_ROLES = ("objective", "gradient", "next")


def plan_update(body: Body, names: tuple[str, ...]) -> Plan:
    """A plan of one optimizer's update, over the arrays of its operands.

    ``names`` are the targets of the operands: parameter, gradient, states. The results replace the
    parameter and the states.
    """
    graph = body.graph.copy()
    results = (names[0], *names[2:])
    roots: dict[RootKey, int] = {}
    used: set[int] = set()
    for name, id, operand in zip(
        results, body.results, (body.operands[0], *body.operands[2:]), strict=True
    ):
        shape = graph[operand].tensor.shape
        if graph[id].tensor.shape != shape:
            id = _wrap(graph, id, Broadcast(shape), shape)
        elif id != operand and (id in used or _is_operand(graph, id)):
            id = _copy(graph, id)
        used.add(id)
        roots["next", name] = id
    order = ordered(graph, roots.values())
    targets = {id: name for (_, name), id in roots.items()}
    planner = _Planner(graph, order, classify(order, static_arrays=False), targets)
    for operand, name in zip(body.operands, names, strict=True):
        planner.give(operand, name)
    planner.keep(roots.values())
    return planner.run(roots)


# --------------------------------------------------------------- roots with memory of their own


def _own_memory(graph: Graph, roots: dict[RootKey, int]) -> dict[int, str]:
    """Make gradients and next states values of their own; the node of each gradient's target."""
    targets: dict[int, str] = {}
    how = classify(ordered(graph, roots.values()))
    others = {id for (role, _), id in roots.items() if role != "gradient"}
    taken = {_owner(graph, how, id) for id in others}
    for key, id in list(roots.items()):
        role, name = key
        owner = _owner(graph, how, id)
        if role == "next" and how[owner] == "leaf":
            roots[key] = _copy(graph, id)
        elif role == "gradient":
            owned = how[owner] == "compute" or (how[id] == "static" and id == owner)
            if not owned or owner in taken or not _in_order(graph, how, id):
                owner = roots[key] = _copy(graph, id)
            taken.add(owner)
            targets[owner] = name
    return targets


def _owner(graph: Graph, how: Mapping[int, How], id: int) -> int:
    """The node whose memory a view looks into."""
    while how[id] == "view":
        id = graph[id].inputs[0]
    return id


def _in_order(graph: Graph, how: Mapping[int, How], id: int) -> bool:
    """Whether a value is all of its owner's memory, from first to last element."""
    while how[id] == "view":
        if not isinstance(graph[id].op, Reshape | StopGradient):
            return False
        id = graph[id].inputs[0]
    return True


def _is_operand(graph: Graph, id: int) -> bool:
    """Whether a value is an operand, or a view of one."""
    while graph[id].op.view:
        id = graph[id].inputs[0]
    return isinstance(graph[id].op, Operand)


def _copy(graph: Graph, id: int) -> int:
    return _wrap(graph, id, Cast(graph[id].tensor.kind), graph[id].tensor.shape)


def _wrap(graph: Graph, id: int, op: Cast | Broadcast, shape: tuple[Size, ...]) -> int:
    node = graph[id]
    origin = Origin(node.origin.span, node.origin.chain, "schedule", node.origin.adjoint_of)
    return graph.add(op, (id,), node.tensor.with_shape(shape), origin)


# ------------------------------------------------------------------------------- slots


@dataclass
class _Planner:
    """Walks the order once, giving memory to what is computed and taking it from what is dead."""

    graph: Graph
    order: list[Node]
    how: dict[int, How]
    targets: Mapping[int, str]
    slots: list[Slot] = field(default_factory=list)
    place: dict[int, int] = field(default_factory=dict)
    """Slot of each node that has one."""
    fixed: set[int] = field(default_factory=set)
    straight: set[int] = field(default_factory=set)
    """Nodes whose elements lie in memory in order."""
    scattered: set[int] = field(default_factory=set)
    """Views whose elements lie out of order, whatever the array from outside looks like."""
    owner: dict[int, int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)
    """Position of the last use of each owner."""
    kept: set[int] = field(default_factory=set)
    free: dict[tuple[Kind, Size], list[int]] = field(default_factory=dict)
    given: dict[str, int] = field(default_factory=dict)
    """Slot of each target."""
    busy: dict[int, int] = field(default_factory=dict)
    """The owner that lives in a slot with a target now."""

    def __post_init__(self) -> None:
        for node in self.order:
            self._settle_view(node)
            self.owner[node.id] = (
                self.owner[node.inputs[0]] if self.how[node.id] == "view" else node.id
            )
        for position, node in enumerate(self.order):
            for id in node.inputs:
                self.last[self.owner[id]] = position

    def _settle_view(self, node: Node) -> None:
        """Whether an array is fixed and straight; a reshape of one that is not straight copies."""
        id, how = node.id, self.how[node.id]
        if how == "view":
            source = node.inputs[0]
            fixed, straight = source in self.fixed, source in self.straight
            scattered = source in self.scattered or isinstance(node.op, Transpose | Windows)
            if isinstance(node.op, Reshape) and (scattered or (fixed and not straight)):
                how = self.how[id] = "compute"
            else:
                if scattered:
                    self.scattered.add(id)
                if fixed:
                    self.fixed.add(id)
                if straight and isinstance(node.op, Reshape | StopGradient):
                    self.straight.add(id)
        if how == "compute" or isinstance(node.op, Parameter | StateRead | Operand):
            self.fixed.add(id)
            self.straight.add(id)

    def give(self, id: int, target: str) -> None:
        """The array of a leaf lives in memory that may be written over once it is dead."""
        slot = self._target_slot(self.graph[id], target)
        if id in self.owner:
            self.place[id] = slot
            self.busy[slot] = id

    def keep(self, ids: Iterable[int]) -> None:
        self.kept.update(self.owner[id] for id in ids)

    def run(self, roots: Mapping[RootKey, int]) -> Plan:
        steps = []
        for position, node in enumerate(self.order):
            how = self.how[node.id]
            if how == "compute":
                self._take(node, position)
            elif how == "view" and self.owner[node.id] in self.place:
                self.place[node.id] = self.place[self.owner[node.id]]
            steps.append(Step(node, how, self.place.get(node.id), node.id in self.fixed))
            self._release(node, position)
        finals = tuple(
            (id, self.given[name])
            for id, name in self.targets.items()
            if self.place.get(id) != self.given[name]
        )
        return Plan(self.graph, tuple(steps), tuple(self.slots), roots, finals)

    def _take(self, node: Node, position: int) -> None:
        slot = self._pinned(node, position)
        if slot is None:
            slot = self._dying(node, position)
        if slot is None:
            vacant = self.free.get((node.tensor.kind, node.tensor.size))
            slot = vacant.pop() if vacant else self._new(node)
        self.place[node.id] = slot
        if self.slots[slot].target:
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
            if node.id not in self.kept or not self.slots[slot].target:
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
            taken = slot == self.place.get(node.id)
            if not taken and not self.slots[slot].target:
                kind, size = self.slots[slot].kind, self.slots[slot].size
                self.free.setdefault((kind, size), []).append(slot)

    def _new(self, node: Node, target: str = "") -> int:
        type = node.tensor
        self.slots.append(Slot(len(self.slots), type.kind, type.size, target))
        return len(self.slots) - 1

    def _target_slot(self, node: Node, target: str) -> int:
        if target not in self.given:
            self.given[target] = self._new(node, target)
        return self.given[target]


def _check_symbols(result: Plan, known: frozenset[str]) -> None:
    for slot in result.slots:
        unknown = frozenset() if isinstance(slot.size, int) else slot.size.symbols - known
        if unknown:
            raise ValueError(f"nothing gives the dimension {', '.join(sorted(unknown))}")
