"""The parts of a generated module by name, for tools and tests that compare modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator

__all__ = ["parts"]


def parts(source: str) -> dict[str, str]:
    """Text of each statement of a module and of each method, in order.

    A part begins where the one before ends, so that all of them joined are the source. A class is
    in a part of its own up to its first method. SyntaxError where the source is not Python.
    """
    found: dict[str, str] = {}
    lines = source.splitlines(keepends=True)
    done = 0
    for name, end in _ends(ast.parse(source).body, ""):
        found[name] = found.get(name, "") + "".join(lines[done:end])
        done = end
    if done < len(lines):
        name = next(reversed(found), "comments")
        found[name] = found.get(name, "") + "".join(lines[done:])
    return found


def _ends(statements: list[ast.stmt], prefix: str) -> Iterator[tuple[str, int]]:
    """Name and last line of each part; neighbours of one name are one part."""
    seen: dict[str, int] = {}
    last = ""
    for statement in statements:
        name = prefix + _name(statement)
        if name != last:
            seen[name] = seen.get(name, 0) + 1
        last = name
        if seen[name] > 1:
            name = f"{name} ({seen[name]})"
        if isinstance(statement, ast.ClassDef):
            yield from _class_ends(statement, name)
        else:
            yield name, statement.end_lineno or statement.lineno


def _class_ends(statement: ast.ClassDef, name: str) -> Iterator[tuple[str, int]]:
    methods = [s for s in statement.body if isinstance(s, ast.FunctionDef)]
    first = statement.body.index(methods[0]) if methods else len(statement.body)
    head = statement.body[:first]
    if methods:
        yield name, head[-1].end_lineno or 0 if head else statement.lineno
        yield from _ends(statement.body[first:], f"{name}.")
    else:
        yield name, statement.end_lineno or statement.lineno


def _name(statement: ast.stmt) -> str:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name), *_]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case ast.Expr(value=ast.Constant(value=str())):
            return "docstring"
        case ast.Import() | ast.ImportFrom():
            return "imports"
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return "main"
    return type(statement).__name__.lower()
