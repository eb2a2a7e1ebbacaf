"""What a model's statements come to: its parameters, states and batch dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc.diagnostics import Label
from graphc.ir import Body, Dim, flatten, placed
from graphc.model.frame import Frame
from graphc.model.program import DataInfo, ParameterInfo, StateInfo

__all__ = ["batch_dimension", "parameter_infos", "state_infos"]


def batch_dimension(frame: Frame, inputs: Mapping[str, DataInfo]) -> str | None:
    """The leading symbolic dimension that inputs and targets share."""
    leading: dict[str, str] = {}
    for name, info in inputs.items():
        first = info.type.shape[0] if info.type.shape else None
        if isinstance(first, Dim):
            leading[name] = str(first)
    symbols = set(leading.values())
    if not symbols:
        return None
    if len(symbols) > 1 or len(leading) < len(inputs):
        lead = next(iter(leading))
        batch = leading[lead]
        odd = next(name for name in inputs if leading.get(name) != batch)
        frame.error(
            "E405",
            f"`{odd}` does not share the batch dimension of the other inputs and targets",
            inputs[odd].span,
            labels=(Label(inputs[lead].span, f"its leading dimension is {batch}"),),
            help=f"give all of them the leading dimension {batch}, or none",
        )
        return None
    return symbols.pop()


def parameter_infos(frame: Frame, frozen: set[str]) -> dict[str, ParameterInfo]:
    """The parameters of a model's frame, their draws keyed by their names."""
    result = {}
    flat: dict[Body, Body] = {}
    for name, declared in frame.declared.items():
        item = declared.lifted
        if item.kind == "param":
            if item.init not in flat:  # layers of one kind share their initial values
                flat[item.init] = flatten(item.init)
            init = placed(flat[item.init], f"{name} init")
            result[name] = ParameterInfo(
                name, item.type, init, item.random, item.span, name in frozen
            )
    return result


def state_infos(frame: Frame, fitted: Sequence[StateInfo]) -> dict[str, StateInfo]:
    """The states of a model's frame, then the constants of its data."""
    own = {
        name: StateInfo(name, d.lifted.type, placed(d.lifted.init, f"{name} init"), d.lifted.span)
        for name, d in frame.declared.items()
        if d.lifted.kind == "state"
    }
    return {**own, **{state.name: state for state in fitted}}
