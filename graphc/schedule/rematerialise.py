"""Values of the forward pass computed again in the backward pass, so that none of them is kept.

What the backward pass reads of the forward pass lives through both. Such a value is dropped: its
readers in the backward pass read a copy, made by the same operators from the values that are kept.
The graph says the same before and after, to the last bit: a draw depends on its place and the step
alone. What to drop is chosen in two ways, which :mod:`graphc.schedule.budget` combines:

- what costs little beside the memory that it takes (Briggs, Cooper and Torczon, 1992, for the
  registers of a processor): element-wise results, masks, draws;
- all of a stretch of the forward pass but what the next stretch reads (Chen et al., 2016).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from graphc.ir import Group, Node
from graphc.model.program import Program
from graphc.passes.titles import group_title
from graphc.schedule.costs import flops
from graphc.schedule.memory import array_bytes, size_value
from graphc.schedule.order import (
    REMATERIALISED,
    backward_part,
    classify,
    is_repeated,
    ordered,
)
from graphc.schedule.roots import step_roots

__all__ = ["Drop", "Lifetimes", "cheap_drops", "rematerialised", "stretches"]

MOST = 16
"""Operations for each byte that a value may cost to count as cheap: 64 for a number in f32."""

WINDOW = 0.6
"""A stretch is at least that part of what it may be: it ends where little is read across."""


class Lifetimes:
    """Who reads what in a program whose groups are open, and when.

    ``early`` gives the position of the last reader of each array in the forward pass; ``late`` are
    the arrays of the forward pass that the backward pass reads. What is computed again counts as
    forward pass here; ``sources`` are what it is computed from, and ``held`` what roots are.
    """

    def __init__(self, program: Program, dims: Mapping[str, int]) -> None:
        roots = step_roots(program)
        self.program, self.graph, self.dims = program, program.graph, dims
        self.order = ordered(self.graph, roots.values(), program.groups)
        self.how = classify(self.order)
        behind = backward_part(self.graph, roots.values())
        self.backward = {id for id in behind if not is_repeated(self.graph[id])}
        self.owner: dict[int, int] = {}
        self.early: dict[int, int] = {}
        self.late: set[int] = set()
        self.sources: set[int] = set()
        for position, node in enumerate(self.order):
            self._read(node, position)
        self.held = {self.owner[id] for id in roots.values()}

    def _read(self, node: Node, position: int) -> None:
        if self.how[node.id] == "view":
            self.owner[node.id] = self.owner[node.inputs[0]]
            return
        self.owner[node.id] = node.id
        for owner in (self.owner[id] for id in node.inputs):
            if node.id not in self.backward:
                self.early[owner] = position
            if owner in self.backward or self.how[owner] != "compute":
                continue
            if node.id in self.backward:
                self.late.add(owner)
            elif is_repeated(node) and not is_repeated(self.graph[owner]):
                self.sources.add(owner)

    @property
    def kept(self) -> set[int]:
        """Arrays of the forward pass that are there in the backward pass."""
        return self.late | self.fixed

    @property
    def fixed(self) -> set[int]:
        """Arrays that are there in the backward pass whatever it reads."""
        return self.held | self.sources

    def bytes(self, id: int) -> int:
        return array_bytes(self.graph[id].tensor, self.program.spec.train.precision, self.dims)

    def work(self, id: int) -> int:
        """Operations to compute an array; moving an element counts as one."""
        node = self.graph[id]
        count = size_value(flops(node, self.graph, self.how[id]), self.dims)
        return max(count, size_value(node.tensor.size, self.dims))


# ------------------------------------------------------------------------------ what to drop


@dataclass(frozen=True)
class Drop:
    """An array that is not kept, and the operations a byte that it costs to have it again."""

    id: int
    cost: float


def cheap_drops(lifetimes: Lifetimes) -> list[Drop]:
    """Arrays that are cheap to compute from those that are still kept, cheapest first.

    Those of the forward pass come in its order, so what one of them is computed from is decided.
    """
    kept, fixed = lifetimes.kept, lifetimes.fixed
    drops = []
    for id in (node.id for node in lifetimes.order):
        if id not in lifetimes.late or id not in lifetimes.early or id in fixed:
            continue
        limit = MOST * lifetimes.bytes(id)
        work = _work_again(lifetimes, id, kept, limit)
        if work <= limit:
            kept.remove(id)
            drops.append(Drop(id, work / max(lifetimes.bytes(id), 1)))
    return sorted(drops, key=lambda drop: drop.cost)


def _work_again(lifetimes: Lifetimes, id: int, kept: Set[int], limit: int) -> int:
    """Operations to compute an array from what is kept; it may stop above ``limit``."""
    graph, how = lifetimes.graph, lifetimes.how
    total, stack, seen = 0, [id], {id}
    while stack and total <= limit:
        node = graph[stack.pop()]
        if how[node.id] == "compute":
            total += lifetimes.work(node.id)
        new = [i for i in node.inputs if i not in seen and how[i] in ("compute", "view")]
        seen.update(new)
        stack += [i for i in new if i not in kept]
    return total


def stretches(lifetimes: Lifetimes, limit: int) -> set[int]:
    """The arrays of the forward pass that stay if the backward pass takes it in stretches, the
    last one first, in each of which it reads at most ``limit`` bytes of arrays.

    The last stretch is kept; of the others what a later one reads.
    """
    ends = _ends(lifetimes, limit)
    stay = set(lifetimes.held)
    start = 0
    for end in ends:
        for node in lifetimes.order[start:end]:
            crosses = lifetimes.early.get(node.id, 0) >= end
            if crosses or (end == ends[-1] and node.id in lifetimes.late):
                stay.add(node.id)
        start = end
    return stay


def _ends(lifetimes: Lifetimes, limit: int) -> list[int]:
    """Where each stretch of the forward pass ends, from the last one backwards.

    It begins where little is read across; groups are not cut.
    """
    forward = [node for node in lifetimes.order if node.id not in lifetimes.backward]
    late = (lifetimes.bytes(n.id) if n.id in lifetimes.late else 0 for n in forward)
    read = [0, *accumulate(late)]
    across = _read_across(lifetimes, forward)
    groups = [lifetimes.program.groups.get(node.id) for node in forward]
    pairs = enumerate(pairwise(groups), start=1)
    cuts = [place for place, (before, own) in pairs if own is None or own is not before]
    sizes = [read[cut] for cut in cuts]
    ends = [len(forward)]
    while read[ends[0]] > limit:
        total = read[ends[0]]
        last = bisect_left(sizes, total)  # cuts with something to read behind them
        if last == 0:
            break
        first = min(bisect_left(sizes, total - limit), last - 1)
        longest = total - sizes[first]
        near = max(bisect_right(sizes, total - WINDOW * longest), first + 1)
        ends.insert(0, min(cuts[first:near], key=across.__getitem__))
    return ends


def _read_across(lifetimes: Lifetimes, forward: Sequence[Node]) -> list[int]:
    """At each place the bytes of arrays that are made before it and read from there on."""
    change = [0] * (len(forward) + 1)
    for position, node in enumerate(forward):
        last = lifetimes.early.get(node.id)
        if last is None or lifetimes.how[node.id] != "compute" or node.id in lifetimes.held:
            continue
        size = lifetimes.bytes(node.id)
        change[position + 1] += size
        change[last + 1] -= size
    return list(accumulate(change))


# --------------------------------------------------------------------------- the new program


def rematerialised(lifetimes: Lifetimes, kept: Set[int]) -> Program:
    """The program with what the backward pass reads of the forward pass, and is not among
    ``kept``, computed again. The program given is left as it is."""
    program = lifetimes.program.copy()
    _Repeats(lifetimes, program, kept).redirect()
    return program


class _Repeats:
    """The copies of one rewriting, one of each array."""

    def __init__(self, lifetimes: Lifetimes, program: Program, kept: Set[int]) -> None:
        self.lifetimes, self.program, self.kept = lifetimes, program, kept
        self.graph = program.graph
        self.copy_of: dict[int, int] = {}

    def redirect(self) -> None:
        """Let the backward pass read copies of what is not kept."""
        backward = self.lifetimes.backward
        for node in self.lifetimes.order:
            if node.id in backward:
                inputs = tuple(i if i in backward else self._again(i) for i in node.inputs)
                if inputs != node.inputs:
                    self.graph.set_inputs(node.id, inputs)
        self._group()

    def _again(self, wanted: int) -> int:
        """A copy of a value of the forward pass, or itself where it is there anyway."""
        stack = [wanted]
        while stack:
            id = stack[-1]
            inputs = self.lifetimes.graph[id].inputs
            missing = [] if self._stays(id) else [i for i in inputs if i not in self.copy_of]
            if missing:
                stack += missing
                continue
            stack.pop()
            if id not in self.copy_of:
                self.copy_of[id] = self._copied(id)
        return self.copy_of[wanted]

    def _stays(self, id: int) -> bool:
        return id in self.kept or self.lifetimes.how[id] not in ("compute", "view")

    def _copied(self, id: int) -> int:
        node = self.lifetimes.graph[id]
        inputs = tuple(self.copy_of.get(i, i) for i in node.inputs)
        view = self.lifetimes.how[id] == "view"
        if self._stays(id) or (view and inputs == node.inputs):
            return id
        name = node.name
        if name and not is_repeated(node):
            name = f"{name} again"
        origin = replace(node.origin, made_by=REMATERIALISED)
        return self.graph.add(node.op, inputs, node.type, origin, name)

    def _group(self) -> None:
        """Copies of a group's members that read each other make a group."""
        groups = self.program.groups
        copies = {new: old for old, new in self.copy_of.items() if new != old and old in groups}
        titled: dict[int, list[int]] = {}
        leader: dict[int, int] = {}
        for new, old in sorted(copies.items()):
            near = {
                leader[i]
                for i in self.graph[new].inputs
                if i in leader and groups[copies[i]] is groups[old]
            }
            members = titled[new] = [new]
            for other in near:
                members += titled.pop(other)
            leader.update(dict.fromkeys(members, new))
        for members in titled.values():
            nodes = [self.lifetimes.graph[copies[new]] for new in sorted(members)]
            title = f"again: {group_title(nodes, (), {}, backward=False)}"
            group = Group(replace(groups[nodes[0].id].body, title=title))
            groups.update(dict.fromkeys(members, group))
