"""Compile a text and evaluate what comes out, for the tests of this room."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from graphc.diagnostics import CompileError, Diagnostics, Source
from graphc.model import Program, Programs, Settings, elaborate
from graphc.ops import evaluate
from graphc.passes import lower


def compiled(text: str, settings: Settings | None = None) -> Program:
    return elaborate(Source("m.gc", "model m\n" + text), Diagnostics(), settings)


def codes(text: str, settings: Settings | None = None) -> list[str]:
    """Codes of all diagnostics, warnings included, in order."""
    diagnostics = Diagnostics()
    with suppress(CompileError):
        elaborate(Source("m.gc", "model m\n" + text), diagnostics, settings)
    return [item.code for item in diagnostics]


def errors(text: str, settings: Settings | None = None) -> list[str]:
    return [code for code in codes(text, settings) if code.startswith("E")]


def lowered(text: str, settings: Settings | None = None) -> Programs:
    return lower(compiled(text, settings), fuse=False)


def start(programs: Programs) -> dict[str, Any]:
    """Initial parameters and states."""
    infos = {**programs.spec.parameters, **programs.spec.states}
    return {n: evaluate(i.init.graph, i.init.results)[0] for n, i in infos.items()}


def values(
    text: str,
    leaves: Mapping[str, Any] | None = None,
    *,
    part: str = "prediction",
    settings: Settings | None = None,
    **dims: int,
) -> dict[str, np.ndarray]:
    """Every root of one program of a model, named ``name``, or ``role name`` outside prediction."""
    programs = lowered(text, settings)
    program = getattr(programs, part)
    given = {**start(programs), **(leaves or {})}
    roots = {key: id for key, id in program.roots.items() if key[0] != "update"}
    results = evaluate(program.graph, list(roots.values()), given, dims=dims)
    keys = [name if part == "prediction" else f"{role} {name}".strip() for role, name in roots]
    return {key: np.asarray(value) for key, value in zip(keys, results, strict=True)}


def value(expression: str, leaves: Mapping[str, Any] | None = None, *, setup: str = "") -> Any:
    """The value of one expression; ``setup`` stands above it."""
    return values(f"{setup}\noutput result = 0.0 + {expression}\n", leaves)["result"]
