"""Pruning masks as part of the optimizers: what is removed stays removed.

Every optimizer gets one more state, ``mask``, an array of 0 and 1 for each of its parameters that
begins as 1 and is never changed by a step. The rule is followed by ``w' * mask + 0`` and, for its
other states, ``s' * mask + 0``: a removed weight is 0 after every update, and nothing of its past
is left in the moments when it is given back. It is the rule itself that is masked, so the update in
place, the plain one and every checkpoint hold the mask without knowing of it.

The zero that is added makes +0.0 of the -0.0 that a negative number times 0 is, so that zeros are
zero to the bit, and checkpoints can leave them out. A rule that gives NaN or infinity for a removed
weight (0 / 0 of a rule without an epsilon) leaves NaN, as it does for a weight that is not removed,
and training stops there.

A frozen parameter has no optimizer and so no mask: it cannot be pruned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from graphc.ir import Builder, Operand, Origin
from graphc.model.program import MASK, OptimizerGroup, OptimizerState, Program

__all__ = ["Masks"]


@dataclass(frozen=True)
class Masks:
    """Give every optimizer a mask. The program's ``spec`` changes, not its graph.

    It runs once the rules are simplified and their states rescaled, which they are as without
    masks: a state is in the same unit in the masked model and in the other.
    """

    name: ClassVar[str] = "masks"

    def apply(self, program: Program) -> Program:
        groups = tuple(_masked(group) for group in program.spec.groups)
        program.spec = replace(program.spec, groups=groups)
        return program


def _masked(group: OptimizerGroup) -> OptimizerGroup:
    body = replace(group.body, graph=group.body.graph.copy())
    graph, flat = body.graph, body.graph[body.operands[0]].tensor
    builder = Builder(graph, Origin(made_by=Masks.name))
    mask = builder.place(Operand(len(body.operands), MASK), (), flat, MASK)
    results = []
    for old in body.results:
        new = builder.value(old) * mask + 0.0
        if graph[old].name and not isinstance(graph[old].op, Operand):
            graph[new.id].name, graph[old].name = graph[old].name, ""
        results.append(new.id)
    body = replace(body, operands=(*body.operands, mask.id), results=(*results, mask.id))
    return replace(group, body=body, states=(*group.states, OptimizerState(MASK, 1.0)))
