"""The order in which nodes are computed, and what kind of work each of them is.

Who runs the graph node by node opens the groups first; their members stay beside each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from graphc.ir import Graph, Group, Node, Operand, Type, in_order, open_group
from graphc.model.program import Program
from graphc.ops.indexing import Index
from graphc.ops.leaves import Clock, Constant, Dimension, Leaf
from graphc.ops.random import Draw

__all__ = [
    "REMATERIALISED",
    "Groups",
    "How",
    "backward_part",
    "classify",
    "is_backward",
    "is_repeated",
    "opened",
    "ordered",
]

How = Literal["leaf", "literal", "static", "scalar", "view", "compute"]
"""What a node is at run time.

``leaf``     comes from outside.
``literal``  a number in the source, or a symbolic dimension.
``static``   depends on no leaf and no draw: computed once the dimensions are known.
``scalar``   a single number that depends on clocks and static numbers only: computed in f64.
``view``     the memory of its first operand under another shape.
``compute``  everything else: written to memory of its own.
"""


REMATERIALISED = "rematerialise"
"""What made the nodes that compute a value of the forward pass again."""


def is_backward(node: Node) -> bool:
    """Whether the node is there for the backward pass alone."""
    made = node.origin.made_by in ("differentiate", REMATERIALISED)
    return made or bool(node.origin.adjoint_of)


def is_repeated(node: Node) -> bool:
    """Whether the node computes a value of the forward pass again."""
    return node.origin.made_by == REMATERIALISED


Groups = Mapping[int, Group]
"""The group that each node was a member of."""


def opened(program: Program) -> Program:
    """The program with the members of its groups in their place, updates apart, and ``groups``.

    The program given is left as it is.
    """
    program = program.copy()
    graph, moved = program.graph, dict[int, int]()
    updates = set(program.named("update").values())
    for node in graph.topological():
        if isinstance(node.op, Group) and node.id not in updates:
            first = graph.next_id
            moved.update(open_group(graph, node))
            program.groups.update(dict.fromkeys(range(first, graph.next_id), node.op))
    program.roots = {key: moved.get(id, id) for key, id in program.roots.items()}
    return program


def ordered(graph: Graph, roots: Iterable[int], groups: Groups | None = None) -> list[Node]:
    """What the roots need, every node after its operands and close to its first use.

    Roots of the forward pass come first. Those that differentiation made follow in reverse, from
    the last layer to the first: so an adjoint is used up before the next one is made. The members
    of a group stand together.
    """
    wanted = list(dict.fromkeys(roots))
    forward = [id for id in wanted if not is_backward(graph[id])]
    backward = [id for id in wanted if is_backward(graph[id])]
    targets = [*forward, *reversed(backward)]
    if groups or any(map(is_repeated, graph)):
        return _by_groups(graph, targets, groups or {})
    return graph.depth_first(targets)


def _by_groups(graph: Graph, roots: Sequence[int], groups: Groups) -> list[Node]:
    """Depth first, a group as one node; what is computed again waits for the adjoints."""
    members: dict[Group, list[int]] = {}
    wanted = sorted(graph.ancestors(roots))
    behind = _adjoints_behind(graph, wanted)
    for id in wanted:
        if id in groups:
            members.setdefault(groups[id], []).append(id)
    order: list[Node] = []
    seen: set[int] = set()
    for root in roots:
        stack = [(root, False)]
        while stack:
            id, ready = stack.pop()
            group = groups.get(id)
            if ready:
                order += [graph[id]] if group is None else in_order(graph, members[group])
            elif id not in seen:
                own = [id] if group is None else members[group]
                seen.update(own)
                stack.append((id, True))
                inputs = list(dict.fromkeys(i for m in own for i in graph[m].inputs))
                if behind:
                    inputs.sort(key=lambda i: -behind[i])
                stack.extend((i, False) for i in reversed(inputs) if i not in seen)
    return order


def _adjoints_behind(graph: Graph, wanted: Sequence[int]) -> dict[int, int]:
    """The longest chain of nodes of the backward pass that each node ends, where something is
    computed again; what is has none, so that it comes last among the operands of its readers."""
    if not any(is_repeated(graph[id]) for id in wanted):
        return {}
    behind: dict[int, int] = {}
    for node in graph.topological():
        chain = max((behind[i] for i in node.inputs), default=0)
        behind[node.id] = chain + (is_backward(node) and not is_repeated(node))
    return behind


def backward_part(graph: Graph, roots: Iterable[int]) -> set[int]:
    """The nodes that only roots made by differentiation need."""
    wanted = list(roots)
    forward = graph.ancestors(id for id in wanted if not is_backward(graph[id]))
    return graph.ancestors(wanted) - forward


def classify(order: Sequence[Node], *, static_arrays: bool = True) -> dict[int, How]:
    """What each node is. Without ``static_arrays`` only single numbers are ``static``."""
    how: dict[int, How] = {}
    for node in order:
        how[node.id] = _classify(node, how, static_arrays)
    return how


def _classify(node: Node, how: Mapping[int, How], static_arrays: bool) -> How:
    op = node.op
    if isinstance(op, Clock):
        return "scalar"
    single = node.tensor.shape == ()
    if isinstance(op, Dimension) or (single and isinstance(op, Constant)):
        return "literal"
    if isinstance(op, Leaf | Operand):
        return "leaf"
    given = {how[i] for i in node.inputs}
    if not isinstance(op, Draw):
        if given <= {"literal", "static"} and (single or static_arrays):
            return "static"
        if single and given <= {"literal", "static", "scalar"}:
            return "scalar"
    if op.view and not _is_element(op, node.tensor):
        return "view"
    return "compute"


def _is_element(op: object, type: Type) -> bool:
    """One element of an array: NumPy gives a copy, not a view."""
    return isinstance(op, Index) and type.shape == ()


def memory_of(graph: Graph, how: Mapping[int, How], id: int) -> int:
    """The node whose memory a view looks into; any other node itself."""
    while how[id] == "view":
        id = graph[id].inputs[0]
    return id
