"""The data section: files, split, arrays, and an equation for each input and target.

A name in an equation that is nothing else is a column of the data. The equations become a graph
over columns; ``fitted`` nodes in it are constants that training computes once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphc.diagnostics import Label, Span
from graphc.ir import Body, Builder, Graph, Origin, Type, Value, inline_calls, symbol
from graphc.language import tree
from graphc.model import calls, expressions, values
from graphc.model.constants import rectangular, shape_of
from graphc.model.data_files import check_columns, check_files, check_split, columns_named
from graphc.model.frame import Frame, nearest
from graphc.model.meanings import POISON, Meaning, Poison, Scope, Tensor
from graphc.model.program import DataInfo, DataPlan, Preparation, StateInfo
from graphc.model.section import SectionReader
from graphc.model.settings import KEYS
from graphc.model.syntax import names_in, parts
from graphc.ops.leaves import Column, Fitted

__all__ = ["CheckedData", "DataSection"]


@dataclass(frozen=True)
class CheckedData:
    """The plan, the equations as a graph, and the constants that training computes."""

    plan: DataPlan = field(default_factory=DataPlan)
    prepare: Preparation = field(default_factory=Preparation)
    fitted: tuple[StateInfo, ...] = ()


class DataSection:
    """Checks the data section of one model."""

    def __init__(self, reader: SectionReader) -> None:
        self.reader = reader
        outer = reader.frame
        self.frame = Frame(outer.context, outer.home, Builder(Graph()), "data")
        self.frame.column = self._name
        self.frame.in_data = True
        self.section = reader.sections.get("data")
        self.known: Mapping[str, Any] | None = reader.settings.columns
        self.named: Collection[str] | None = None
        """Columns by name alone, where the section names a file for each."""
        self.equations: dict[str, tree.Expr] = {}
        self.columns: dict[str, Value] = {}
        self.users: dict[str, list[str]] = {}
        self.arrays: dict[str, Any] = {}
        self.roots: dict[tuple[str, str], int] = {}
        self.open: list[str] = []
        """Helper names being evaluated, to find a cycle."""

    def check(self) -> CheckedData:
        """What the section comes to; nothing after an error."""
        entries = self.reader.entries("data", None)
        files = check_files(self.reader, entries)
        split = check_split(self.reader, entries)
        for rule in self.reader.rules("data"):
            self.frame.error("E506", "a line of `data` is `name = value`", rule.span)
        self.named = columns_named(files)
        self.equations = {k: v for k, v in entries.items() if k not in KEYS["data"]}
        self._unknown_keys()
        for name, info in self.reader.inputs.items():
            self._input(name, info, bool(files))
        if self.known is None:
            check_columns(self.reader, entries, files, self.users)
        if self.frame.diagnostics.errors:
            return CheckedData()
        fitted = self._collect_fitted()
        plan = DataPlan(
            files=files,
            arrays=self.arrays,
            split=split,
            columns={name: tuple(users) for name, users in self.users.items()},
        )
        return CheckedData(plan, Preparation(self.frame.builder.graph, self.roots), fitted)

    # -- keys

    def _unknown_keys(self) -> None:
        inputs = list(self.reader.inputs)
        for name in self.equations:
            read = any(name in names_in(e) for other, e in self.equations.items() if other != name)
            if name in inputs or read:
                continue
            self.frame.error(
                "E501",
                f"unknown key `{name}` in `data`",
                self._place(name),
                help=nearest(name, [*inputs, *KEYS["data"]])
                or f"inputs and targets are: {', '.join(inputs)}",
            )

    def _place(self, name: str) -> Span | None:
        for entry in self.section.entries if self.section else ():
            if isinstance(entry, tree.Entry) and entry.name.name == name:
                return entry.name.span
        return None

    # -- equations

    def _input(self, name: str, info: DataInfo, has_file: bool) -> None:
        self.current = info
        expr = self.equations.get(name)
        if expr is None and self.equations and not has_file and self.section is not None:
            self.frame.error(
                "E513", f"the data section says nothing of `{name}`", self.section.kind_span
            )
            return
        if isinstance(expr, tree.ListExpr) and not _columns_in(expr):
            self._array(name, info, expr)
            return
        if expr is None:
            where = self.section.kind_span if self.section else info.span
            expr = tree.Name(where, name)
        self._equation(name, info, expr)

    def _equation(self, name: str, info: DataInfo, expr: tree.Expr) -> None:
        self.listed = self._names_in_lists(expr)
        self.alone = isinstance(expr, tree.Name | tree.Text)
        self.frame.prefix = (name,)
        meaning = expressions.evaluate(self.frame, Scope(), expr)
        if isinstance(meaning, Poison):
            return
        value = values.as_tensor(self.frame, meaning, expr.span)
        if value is None:
            return
        converted = self._converted(value, info, expr)
        if converted is not None:
            self.roots["batch", name] = converted.id

    def _names_in_lists(self, expr: tree.Expr) -> set[str]:
        """Names inside a list: columns of single numbers that stand side by side."""
        names: set[str] = set()
        for part in (expr, *self.equations.values()):
            for item in parts(part):
                if isinstance(item, tree.ListExpr):
                    names |= _columns_in(item)
        return names

    def _converted(self, value: Value, info: DataInfo, expr: tree.Expr) -> Value | None:
        """The value as the declared type: integers may become labels, truth values numbers."""
        with self.frame.at(expr.span):
            if info.type.kind == "real" and value.type.kind in ("int", "bool"):
                value = value.apply("cast", kind="real")
        kinds = {value.type.kind, info.type.kind}
        if value.shape == info.type.shape and (len(kinds) == 1 or kinds == {"int", "label"}):
            return value
        self.frame.error(
            "E514",
            f"`{info.name}` is {info.type} in the model, but the data give {value.type}",
            expr.span,
            labels=(Label(info.span, f"declared as {info.type}"),),
            help=self._assumption(value, info),
        )
        return None

    def _assumption(self, value: Value, info: DataInfo) -> str:
        """Why shapes may differ although nothing is wrong with the data: they are not there."""
        if self.known is not None or value.shape == info.type.shape:
            return ""
        return (
            f"the data are not there, so columns are taken to have the shape of `{info.name}`; "
            "name the folder they lie in with --data, or write the equation with reshape"
        )

    def _array(self, name: str, info: DataInfo, expr: tree.ListExpr) -> None:
        """An array written in the file becomes a column of that name."""
        value = values.constant(self.reader.frame, self.reader.scope, expr, "an array")
        if value is POISON:
            return
        array = rectangular(value)
        shape = shape_of(array) or ()
        wanted = info.type.shape if self.reader.batch else (symbol("n"), *info.type.shape)
        fits = array is not None and len(shape) == len(wanted)
        if not fits or any(
            isinstance(want, int) and want != have
            for want, have in zip(wanted, shape, strict=False)
        ):
            text = f"[{', '.join(map(str, shape))}]" if array is not None else "ragged"
            self.frame.error(
                "E514", f"`{name}` is {info.type} in the model, but this array is {text}", expr.span
            )
            return
        self.arrays[name] = array
        value_node = self._leaf(name, info.type, expr.span)
        self.roots["batch", name] = value_node.id

    # -- names

    def _name(self, name: str, span: Span) -> Meaning | None:
        """A name that is nothing else: a helper of the section, or a column."""
        if name in self.equations and name not in self.reader.inputs:
            return self._helper(name, span)
        if calls.find_definition(self.frame, Scope(), name) is not None and not self._has(name):
            return None
        have = self.named if self.known is None else self.known
        if have is not None and name not in have:
            return self._no_column(name, span, list(have))
        type = self._column_type(name, span)
        return POISON if type is None else Tensor(self._leaf(name, type, span))

    def _has(self, name: str) -> bool:
        return self.known is not None and name in self.known

    def _helper(self, name: str, span: Span) -> Meaning:
        if name in self.open:
            self.frame.error("E517", f"`{name}` is defined by itself", span)
            return POISON
        self.open.append(name)
        meaning = expressions.evaluate(self.frame, Scope(), self.equations[name])
        self.open.pop()
        return meaning

    def _no_column(self, name: str, span: Span, have: list[str]) -> Meaning:
        shown = ", ".join(have[:8]) + (", …" if len(have) > 8 else "")
        self.frame.error(
            "E515",
            f"the data have no column `{name}`",
            span,
            help=nearest(name, have) or f"columns are: {shown}",
        )
        return POISON

    def _column_type(self, name: str, span: Span) -> Type | None:
        """From the data where they are known; otherwise shaped like what they become."""
        info = self.current
        is_label = info.type.kind == "label" and self.alone
        kind = "label" if is_label else "int" if info.type.kind == "label" else info.type.kind
        classes = info.type.classes if is_label else None
        lead = info.type.shape[:1] if self.reader.batch else ()
        if self.known is None:
            return Type(kind, lead if name in self.listed else info.type.shape, classes)
        column = self.known[name]
        if column.kind == "text" and not is_label:
            self.frame.error(
                "E516",
                f"column `{name}` holds text, but `{info.name}` is {info.type}",
                span,
                help="text can only be the classes of a label target, alone: y = species",
            )
            return None
        return Type(kind, (*lead, *column.shape), classes)

    def _leaf(self, name: str, type: Type, span: Span) -> Value:
        users = self.users.setdefault(name, [])
        if self.current.name not in users:
            users.append(self.current.name)
        if name not in self.columns or self.columns[name].type != type:
            with self.frame.at(span):
                self.columns[name] = self.frame.builder.place(Column(name), (), type, name)
        return self.columns[name]

    # -- constants of the data

    def _collect_fitted(self) -> tuple[StateInfo, ...]:
        """Make a state and a root of every constant that training computes."""
        graph = self.frame.builder.graph
        self.roots = inline_calls(graph, self.roots)
        needed = graph.ancestors(self.roots.values())
        graph.keep_only(needed)
        fitted: list[StateInfo] = []
        for node in graph.topological():
            if not isinstance(node.op, Fitted):
                continue
            name = f"data.{node.op.place}"
            if ("fitted", name) in self.roots:
                self.frame.error(
                    "E329", f"two constants of the data share a name: {name}", node.origin.span
                )
                continue
            self.roots["fitted", name] = node.inputs[0]
            span = node.origin.span or self.current.span
            init = _constant_body(node.op.default, node.tensor)
            fitted.append(StateInfo(name, node.tensor, init, span))
        return tuple(fitted)


def _constant_body(value: float, type: Type) -> Body:
    builder = Builder(Graph(), Origin())
    result = builder.constant(value)
    if type.shape:
        result = result.apply("broadcast", shape=type.shape)
    return Body("initial value", "init", builder.graph, (), (result.id,))


def _columns_in(expr: tree.Expr) -> set[str]:
    """Names and quoted names, either of which may be a column."""
    texts = {item.value for item in parts(expr) if isinstance(item, tree.Text)}
    return names_in(expr) | texts
