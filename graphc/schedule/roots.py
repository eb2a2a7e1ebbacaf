"""What a plan has to reach: roots, those of them that need memory of their own, a target's choice
of instructions on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from graphc.ir import Graph, Group, Node, Operand, Origin, Size
from graphc.model.program import Program, RootKey
from graphc.ops.leaves import Flat
from graphc.ops.logic import Cast, StopGradient
from graphc.ops.shapes import Broadcast, Reshape
from graphc.schedule.order import How, classify, memory_of, ordered

__all__ = [
    "Selection",
    "copied",
    "is_operand",
    "own_memory",
    "selected",
    "slopes",
    "step_roots",
    "update_groups",
    "wrapped",
]

Selection = Callable[[Graph, dict[int, Group]], None]
"""A target's choice of instructions: it rewrites a graph in place before it is planned."""


def update_groups(program: Program) -> list[Node]:
    """The group of each optimizer, in their order."""
    return [program.graph[id] for id in program.named("update").values()]


def step_roots(program: Program) -> dict[RootKey, int]:
    """What a step reaches without the updates: objective, next states, and the gradients that the
    updates read, or those of the program where there are no updates."""
    roots = {key: id for key, id in program.roots.items() if key[0] in ("objective", "next")}
    for group in update_groups(program):
        roots.update(slopes(program, group))
    if not program.named("update"):
        roots.update({("gradient", name): id for name, id in program.named("gradient").items()})
    return roots


def slopes(program: Program, group: Node) -> dict[RootKey, int]:
    """The gradient of each parameter as the update of a group reads it."""
    graph = program.graph
    flats = [graph[id] for id in group.inputs]
    gradients = next(node for node in flats if node.op.what == "gradient")  # type: ignore[attr-defined]
    assert isinstance(gradients.op, Flat)
    names = program.spec.groups[gradients.op.group].parameters
    known = [name for name in names if ("gradient", name) in program.roots]
    return {("gradient", n): id for n, id in zip(known, gradients.inputs, strict=True)}


def selected(
    graph: Graph,
    roots: dict[RootKey, int],
    groups: dict[int, Group],
    select: Selection,
    kept: Iterable[int] = (),
) -> dict[RootKey, int]:
    """The roots after a target has chosen its instructions: a root is not rewritten away. Only
    what they and the nodes ``kept`` need stays."""
    graph.keep_only(graph.ancestors([*roots.values(), *kept]))
    holders = {key: copied(graph, id) for key, id in roots.items()}
    select(graph, groups)
    found = {key: graph[id].inputs[0] for key, id in holders.items()}
    for id in holders.values():
        graph.remove(id)
    return found


def own_memory(graph: Graph, roots: dict[RootKey, int]) -> dict[int, str]:
    """Make gradients and next states values of their own; the node of each gradient's target."""
    targets: dict[int, str] = {}
    how = classify(ordered(graph, roots.values()))
    others = {id for (role, _), id in roots.items() if role != "gradient"}
    taken = {memory_of(graph, how, id) for id in others}
    for key, id in list(roots.items()):
        role, name = key
        owner = memory_of(graph, how, id)
        if role == "next" and how[owner] == "leaf":
            roots[key] = copied(graph, id)
        elif role == "gradient":
            owned = how[owner] == "compute" or (how[id] == "static" and id == owner)
            if not owned or owner in taken or not _in_order(graph, how, id):
                owner = roots[key] = copied(graph, id)
            taken.add(owner)
            targets[owner] = name
    return targets


def _in_order(graph: Graph, how: Mapping[int, How], id: int) -> bool:
    """Whether a value is all of its owner's memory, from first to last element."""
    while how[id] == "view":
        if not isinstance(graph[id].op, Reshape | StopGradient):
            return False
        id = graph[id].inputs[0]
    return True


def is_operand(graph: Graph, id: int) -> bool:
    """Whether a value is an operand, or a view of one."""
    while graph[id].op.view:
        id = graph[id].inputs[0]
    return isinstance(graph[id].op, Operand)


def copied(graph: Graph, id: int) -> int:
    return wrapped(graph, id, Cast(graph[id].tensor.kind), graph[id].tensor.shape)


def wrapped(graph: Graph, id: int, op: Cast | Broadcast, shape: tuple[Size, ...]) -> int:
    node = graph[id]
    origin = Origin(node.origin.span, node.origin.chain, "schedule", node.origin.adjoint_of)
    return graph.add(op, (id,), node.tensor.with_shape(shape), origin)
