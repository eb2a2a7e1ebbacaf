"""Literals of a module: what a model is called, takes, gives and holds, as plain data."""

from __future__ import annotations

from typing import Any

from graphc.backends.printing.writer import Writer, quoted
from graphc.ir import Type
from graphc.model.program import MASK, ModelSpec, Programs
from graphc.ops.leaves import number_text

__all__ = ["example_of", "print_literal", "signature_of"]


def print_literal(w: Writer, name: str, value: Any) -> None:
    """``name = value``, as a formatter would break it into lines."""
    w.source(_assignment(f"{name} = ", value, ""))


def _assignment(head: str, value: Any, tail: str) -> str:
    line = f"{head}{_literal(value)}{tail}"
    if len(line) <= 92 or not isinstance(value, dict | list | tuple) or not value:
        return line
    opening, closing = {dict: ("{", "}"), list: ("[", "]"), tuple: ("(", ")")}[type(value)]
    pairs = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    lines = [head + opening]
    for key, item in pairs:
        prefix = "" if key is None else f"{_literal(key)}: "
        text = _assignment(prefix, item, ",")
        lines.extend("    " + row for row in text.splitlines())
    return "\n".join([*lines, closing + tail])


def _literal(value: Any) -> str:
    """Source of strings, numbers and containers of them, strings in double quotes."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    return number_text(value) if isinstance(value, float) else repr(value)


def signature_of(programs: Programs) -> dict[str, Any]:
    spec = programs.spec
    data = {
        role: {n: _entry(i.type) for n, i in spec.inputs.items() if i.role == role}
        for role in ("input", "target")
    }
    return {
        "model": spec.name,
        "batch": spec.batch,
        "objective": programs.training is not None,
        "inputs": data["input"],
        "targets": data["target"],
        "outputs": {
            name: {
                **_entry(programs.prediction.graph[id].tensor),
                "target": spec.outputs[name].target if name in spec.outputs else None,
            }
            for name, id in programs.prediction.named("output").items()
        },
        "losses": list(programs.losses.named("loss")),
        "metrics": list(programs.metrics.named("metric")),
        "parameters": {n: {"shape": _shape(i.type)} for n, i in spec.parameters.items()},
        "state": _state_entries(spec),
        "columns": {column: list(names) for column, names in spec.data.columns.items()},
    }


def _state_entries(spec: ModelSpec) -> dict[str, Any]:
    entries: dict[str, Any] = {
        name: {"shape": _shape(info.type), "kind": info.type.kind}
        for name, info in spec.states.items()
    }
    for group in spec.groups:
        for state in group.states:
            for name in group.parameters:
                shape = _shape(spec.parameters[name].type)
                entry: dict[str, Any] = {"shape": shape, "kind": "real"}
                if spec.masked and state.name == MASK:
                    entry["mask"] = True
                if state.unit != 1:
                    entry["unit"] = state.unit
                entries[f"{name}:{state.name}"] = entry
    return entries


def _entry(type: Type) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": type.kind, "shape": _shape(type)}
    if type.kind == "label":
        entry["classes"] = type.classes
    return entry


def _shape(type: Type) -> list[int | str]:
    return [size if isinstance(size, int) else str(size) for size in type.shape]


def example_of(spec: ModelSpec) -> dict[str, Any] | None:
    values = {name: info.example for name, info in spec.inputs.items()}
    return None if not values or None in values.values() else values
