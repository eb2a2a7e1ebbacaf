"""The text form of a graph, for people, tests and dumps; it parses back to an equal graph.

    body @relu1 "relu" (real[n, 64]) {
      %0 = operand{0, 'x'}() : real[n, 64]
      ...
      return %2
    }
    %0 = input{'x'}() : real[n, 64]  # x
    %3 = call{@relu1, 'h.relu1'}(%0) : real[n, 64]
    root loss ce = %9

A group of nodes that run as one is written like a call. Attributes are Python literals, read with
``ast.literal_eval``; a symbolic dimension is written ``'$n'``, a body ``@name``. Origins are not
part of the text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from graphc.ir.dims import Dim, Size, dim_from_text
from graphc.ir.graph import Body, Call, Graph, Node, Origin
from graphc.ir.group import Group
from graphc.ir.operator import OPERATORS, Operator
from graphc.ir.types import AnyType, TupleType, Type

__all__ = ["parse_graph", "print_graph"]

Roots = Mapping[tuple[str, str], int]


def print_graph(graph: Graph, roots: Roots | None = None) -> str:
    """The text form, nodes renumbered in topological order so that equal graphs print equally."""
    printer = _Printer()
    lines = printer.nodes(graph, "")
    for (role, name), id in (roots or {}).items():
        lines.append(f"root {role} {name or '-'} = %{printer.number[id]}")
    return "\n".join([*printer.bodies, *lines]) + "\n"


class _Printer:
    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.names: dict[int, str] = {}
        self.number: dict[int, int] = {}

    def nodes(self, graph: Graph, indent: str) -> list[str]:
        number: dict[int, int] = {}
        lines = []
        for node in graph.topological():
            number[node.id] = len(number)
            lines.append(indent + self.line(node, number))
        self.number = number
        return lines

    def line(self, node: Node, number: dict[int, int]) -> str:
        args = ", ".join(f"%{number[i]}" for i in node.inputs)
        text = f"%{number[node.id]} = {self.operator(node.op)}({args}) : {node.type}"
        return f"{text}  # {node.name}" if node.name else text

    def operator(self, op: Operator) -> str:
        if isinstance(op, Call):
            place = f", {op.place!r}" if op.place else ""
            return f"call{{@{self.body(op.body)}{place}}}"
        if isinstance(op, Group):
            return f"group{{@{self.body(op.body)}}}"
        attributes = ", ".join(_literal(getattr(op, f.name)) for f in fields(op))  # type: ignore[arg-type]
        return f"{op.name}{{{attributes}}}" if attributes else op.name

    def body(self, body: Body) -> str:
        if id(body) in self.names:
            return self.names[id(body)]
        derivative = f" derivative @{self.body(body.derivative)}" if body.derivative else ""
        lines = self.nodes(body.graph, "  ")
        number = self.number
        stem = re.sub(r"\W", "_", body.definition) or "body"
        name = f"{stem}{len(self.names) + 1}"
        self.names[id(body)] = name
        operands = ", ".join(f"%{number[i]}" for i in body.operands)
        results = ", ".join(f"%{number[i]}" for i in body.results)
        self.bodies.append(
            "\n".join(
                [
                    f"body @{name} {body.definition!r} {body.title!r} ({operands}){derivative} {{",
                    *lines,
                    f"  return {results}",
                    "}",
                ]
            )
        )
        return name


def _literal(value: Any) -> str:
    if isinstance(value, Dim):
        return repr(f"${value}")
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def parse_graph(text: str) -> tuple[Graph, dict[tuple[str, str], int]]:
    """Read the text form back. Raises ValueError naming the line that does not fit."""
    return _Reader(text).read()


_NODE = re.compile(r"%(\d+) = (\w+)(?:\{(.*)\})?\((.*?)\) : ([^#]+?)(?:  # (.*))?$")
_BODY = re.compile(
    r"body @(\w+) ('.*?'|\".*?\") ('.*'|\".*\") \((.*?)\)(?: derivative @(\w+))? \{$"
)
_ROOT = re.compile(r"root (\S+) (\S+) = %(\d+)$")
_CALL = re.compile(r"@(\w+)(?:, (.*))?$")


class _Reader:
    def __init__(self, text: str) -> None:
        self.lines = [line.strip() for line in text.splitlines() if line.strip()]
        self.at = 0
        self.bodies: dict[str, Body] = {}

    def read(self) -> tuple[Graph, dict[tuple[str, str], int]]:
        graph, roots = Graph(), {}
        where: dict[str, int] = {}
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.startswith("body "):
                self.read_body()
                continue
            self.at += 1
            root = _ROOT.match(line)
            if root:
                name = "" if root[2] == "-" else root[2]
                roots[root[1], name] = where[root[3]]
            else:
                self.read_node(line, graph, where)
        return graph, roots

    def read_body(self) -> None:
        head = _BODY.match(self.lines[self.at])
        if head is None:
            raise ValueError(f"not a body: {self.lines[self.at]}")
        self.at += 1
        graph, where = Graph(), dict[str, int]()
        while not self.lines[self.at].startswith("return "):
            self.read_node(self.lines[self.at], graph, where)
            self.at += 1
        results = _ids(self.lines[self.at].removeprefix("return "), where)
        self.at += 2
        self.bodies[head[1]] = Body(
            title=ast.literal_eval(head[3]),
            definition=ast.literal_eval(head[2]),
            graph=graph,
            operands=_ids(head[4], where),
            results=results,
            derivative=self.bodies[head[5]] if head[5] else None,
        )

    def read_node(self, line: str, graph: Graph, where: dict[str, int]) -> None:
        match = _NODE.match(line)
        if match is None:
            raise ValueError(f"not a node: {line}")
        number, name, attributes, args, type, label = match.groups()
        op = self.read_operator(name, attributes or "")
        where[number] = graph.add(op, _ids(args, where), _type(type), Origin(), label or "")

    def read_operator(self, name: str, attributes: str) -> Operator:
        if name in ("call", "group"):
            match = _CALL.match(attributes)
            if match is None:
                raise ValueError(f"not a {name}: {attributes}")
            if name == "group":
                return Group(self.bodies[match[1]])
            place = ast.literal_eval(match[2]) if match[2] else ""
            return Call(self.bodies[match[1]], place)
        values = ast.literal_eval(f"({attributes},)") if attributes else ()
        return OPERATORS[name](*map(_restore, values))


def _ids(text: str, where: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(where[part.strip().lstrip("%")] for part in text.split(",") if part.strip())


def _restore(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("$"):
        return dim_from_text(value[1:])
    return tuple(map(_restore, value)) if isinstance(value, tuple) else value


_TYPE = re.compile(r"(real|int|bool|label)(?:\{(\d+)\})?(?:\[(.*?)\])?")


def _type(text: str) -> AnyType:
    items = tuple(_tensor_type(match) for match in _TYPE.finditer(text))
    return TupleType(items) if text.startswith("(") else items[0]


def _tensor_type(match: re.Match[str]) -> Type:
    shape: tuple[Size, ...] = ()
    if match[3]:
        shape = tuple(dim_from_text(part) for part in match[3].split(","))
    return Type(match[1], shape, int(match[2]) if match[2] else None)  # type: ignore[arg-type]
