"""Which target an output speaks of: the one whose classes or units it has."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.ir import Call, Graph, Type
from graphc.model.program import DataInfo, OutputInfo, RootKey

__all__ = ["linked_outputs"]


def linked_outputs(
    graph: Graph, roots: Mapping[RootKey, int], inputs: Mapping[str, DataInfo]
) -> dict[str, OutputInfo]:
    """The outputs of a model, each with its target."""
    compared = _compared_with_targets(graph, inputs)
    return {
        name: OutputInfo(name, _spoken_of(graph, id, inputs, compared))
        for (role, name), id in roots.items()
        if role == "output"
    }


def _compared_with_targets(graph: Graph, inputs: Mapping[str, DataInfo]) -> dict[int, str]:
    """Values that stand beside a target in a call: ``squared_error(prediction, y)``."""
    targets = {
        node.id: node.name
        for node in graph
        if node.op.name == "input" and inputs[node.name].role == "target"
    }
    compared: dict[int, str] = {}
    for node in graph:
        if isinstance(node.op, Call) or node.op.elementwise:
            named = [targets[i] for i in node.inputs if i in targets]
            for i in node.inputs:
                if named and i not in targets:
                    compared.setdefault(i, named[0])
    return compared


def _spoken_of(
    graph: Graph, id: int, inputs: Mapping[str, DataInfo], compared: Mapping[int, str]
) -> str | None:
    """The target whose classes or units an output speaks of."""
    type = graph[id].tensor
    direct = compared.get(id)
    if direct is not None and _same_units(type, inputs[direct].type):
        return direct
    for name, info in inputs.items():
        if info.role == "target" and info.type.kind == "label" and _classes_of(type, info.type):
            return name
    return None


def _same_units(output: Type, target: Type) -> bool:
    return output == target or _classes_of(output, target)


def _classes_of(output: Type, target: Type) -> bool:
    return (
        target.kind == "label"
        and output.kind == "real"
        and output.shape == (*target.shape, target.classes)
    )
