"""What CuPy has, as `tools/cupy_surface.py` recorded it."""

from __future__ import annotations

import ast
import inspect
import json
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["SURFACE", "bound", "missing", "signature"]

SURFACE: dict[str, Any] = json.loads(
    Path(__file__).with_name("surface.json").read_text(encoding="utf-8")
)

_KINDS = inspect.Parameter


@cache
def signature(text: str) -> inspect.Signature:
    """Of recorded parameters, `(a, axis=None)`; a default that is no literal is `...`."""
    definition = ast.parse(f"def f{text}: pass").body[0]
    assert isinstance(definition, ast.FunctionDef)
    given = definition.args
    defaults = [None] * (len(given.posonlyargs) + len(given.args) - len(given.defaults))
    parts = [
        _parameter(each, default, kind)
        for each, default, kind in zip(
            [*given.posonlyargs, *given.args],
            [*defaults, *given.defaults],
            [_KINDS.POSITIONAL_ONLY] * len(given.posonlyargs)
            + [_KINDS.POSITIONAL_OR_KEYWORD] * len(given.args),
            strict=True,
        )
    ]
    if given.vararg:
        parts.append(_KINDS(given.vararg.arg, _KINDS.VAR_POSITIONAL))
    for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        parts.append(_parameter(each, default, _KINDS.KEYWORD_ONLY))
    if given.kwarg:
        parts.append(_KINDS(given.kwarg.arg, _KINDS.VAR_KEYWORD))
    return inspect.Signature(parts)


def _parameter(each: ast.arg, default: ast.expr | None, kind: Any) -> inspect.Parameter:
    if default is None:
        return _KINDS(each.arg, kind)
    try:
        value = ast.literal_eval(default)
    except ValueError:
        value = ...
    return _KINDS(each.arg, kind, default=value)


def bound(name: str, text: str, args: Any, kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
    """Arguments as CuPy would take them, what has a default by keyword, and left out where it is
    the default; TypeError where CuPy has no such parameter."""
    try:
        given = signature(text).bind(*args, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"{name}{text} {error}") from None
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for each in signature(text).parameters.values():
        if each.name not in given:
            continue
        value = given[each.name]
        if each.kind is each.VAR_POSITIONAL:
            positional.extend(value)
        elif each.kind is each.VAR_KEYWORD:
            named.update(value)
        elif each.default is each.empty:
            positional.append(value)
        elif not _same(value, each.default):
            named[each.name] = value
    return positional, named


def _same(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and value == default)


def missing(module: str, name: str) -> Exception:
    """What to raise for a name that is not implemented: CuPy may have it."""
    if name in SURFACE.get(module, {}) or name in SURFACE["classes"].get(module, {}):
        return NotImplementedError(f"{module}.{name}: CuPy has it, its stand-in does not")
    return AttributeError(f"{module} has no attribute {name!r}")
