"""Runs the statement of an operator as a trainer does: over arrays that are there before."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np

from graphc.ir import Sample, Workspace, WriteContext
from graphc.ops.evaluate import _NAMES

DTYPES = {"int": np.int64, "label": np.int64, "bool": np.bool_}


@dataclass
class OnceContext(WriteContext):
    """Keeps what never changes: ``kept`` maps a variable to the text of its value."""

    kept: dict[str, str] = field(default_factory=dict)

    def once(self, text: str) -> str:
        name = next((name for name, other in self.kept.items() if other == text), None)
        if name is None:
            name = f"kept{len(self.kept)}"
            self.kept[name] = text
        return name

    def fixed(self, text: str) -> str:
        return self.once(text)


@dataclass
class InPlaceRun:
    """An operator's ``numpy_into``, compiled, and the variables that it runs over."""

    code: CodeType
    scope: dict[str, Any]
    out: np.ndarray

    def __call__(self) -> np.ndarray:
        with np.errstate(all="ignore"):
            exec(self.code, self.scope)
        return self.out


def workspace_array(space: Workspace, real: Any) -> np.ndarray:
    dtype = DTYPES.get(space.type.kind, real)
    if space.start is None:
        return np.full(space.type.shape, 77, dtype)
    count = int(np.prod(space.type.shape))
    return (space.start + space.step * np.arange(count)).astype(dtype).reshape(space.type.shape)


def in_place(
    sample: Sample, values: list[Any], out: np.ndarray, real: Any = np.float64
) -> InPlaceRun:
    """``sample.operator`` over ``values``, whose result goes to ``out``."""
    op = sample.operator
    result = op.infer(*sample.types)
    spaces = op.workspace(sample.types, result)
    names = [f"a{i}" for i in range(len(values))]
    work = {f"work{i}": workspace_array(space, real) for i, space in enumerate(spaces)}
    w = OnceContext(sample.types, result, real="REAL", seed="3", step="4", workspace=tuple(work))
    text = op.numpy_into(w, "out", *names)
    scope = {**_NAMES, "REAL": real, "out": out, **work, **dict(zip(names, values, strict=True))}
    for name, source in w.kept.items():
        scope[name] = eval(source, scope)
    return InPlaceRun(compile(text, "<in place>", "exec"), scope, out)


def plain(sample: Sample, values: list[Any], real: Any = np.float64) -> np.ndarray:
    """The same by the operator's expression."""
    op = sample.operator
    names = [f"a{i}" for i in range(len(values))]
    w = WriteContext(sample.types, op.infer(*sample.types), real="REAL", seed="3", step="4")
    scope = {**_NAMES, "REAL": real, **dict(zip(names, values, strict=True))}
    with np.errstate(all="ignore"):
        return np.asarray(eval(op.numpy(w, *names), scope))
