"""Prints an optimizer's rule as one kernel over the flat arrays of its parameters and states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc.backends.kernels.kernel import Kernel
from graphc.backends.kernels.printing import print_group
from graphc.backends.printing.names import NameAllocator, name_values
from graphc.ir import Body
from graphc.schedule import classify, ordered

__all__ = ["print_update"]


def print_update(
    body: Body,
    labels: Sequence[str],
    *,
    names: Mapping[str, str],
    clocks: Mapping[int, str] | None = None,
    name: str,
    title: str = "",
) -> Kernel:
    """The kernel that replaces parameter and states, element by element, by what the rule gives.

    ``labels`` name the operands of the body: parameter, gradient, states, and what else is only
    read. The kernel's arrays are the body's operands, by their ids: the parameter and the states
    are ``outputs``, read and written, the others ``inputs``. ``names`` gives the variable of each
    label, ``clocks`` that of each number of the run. The rule is element-wise over one flat array:
    NoKernel where it is not. Nothing is done where ``trouble[0]`` is not negative.
    """
    graph = body.graph
    count = len(body.results) + 1
    replaced = (body.operands[0], *body.operands[2:count])
    stored = {array: id for array, id in zip(replaced, body.results, strict=True) if array != id}
    order = ordered(graph, stored.values())
    how = classify(order, static_arrays=False)
    nodes = [node for node in order if how[node.id] in ("compute", "view")]
    domain = graph[body.operands[0]].tensor.shape
    wanted = {id: names[label] for id, label in zip(body.operands, labels, strict=True)}
    hints = {id: f"{wanted[array]}_next" for array, id in stored.items() if id not in wanted}
    named = name_values(order, how, hints, NameAllocator(wanted.values()))
    return print_group(
        graph,
        nodes,
        stored,
        how=how,
        names={**named, **wanted, **(clocks or {})},
        name=name,
        title=title or body.title,
        domain=domain,
        trouble=True,
    )
