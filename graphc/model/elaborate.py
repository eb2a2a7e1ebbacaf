"""A syntax tree to a program: the model's own statements, in order, then its sections.

Definitions are collected before anything else, so they may stand anywhere in a file.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from graphc.diagnostics import CompileError, Diagnostic, Diagnostics, Label, Source, Span
from graphc.ir import Builder, Dim, Graph, Type, Value, placed, symbol
from graphc.language import parse, tree
from graphc.model import builtins, expressions, names, sections, statements
from graphc.model.frame import Context, Frame, Home, Lifted
from graphc.model.meanings import POISON, BoundLayer, Const, Definition, Poison, Scope, Tensor
from graphc.model.prelude import load_prelude
from graphc.model.program import (
    DataInfo,
    ModelSpec,
    OutputInfo,
    ParameterInfo,
    Program,
    StateInfo,
)
from graphc.ops.leaves import Input, Parameter, StateRead

__all__ = ["Settings", "elaborate"]


@dataclass(frozen=True)
class Settings:
    """What the command line or a run adds to the text.

    ``sets`` maps a hyper, or ``section.key``, to a value as text; ``examples`` an input to its
    example; ``files`` holds texts of used files by name, read from disk where absent;
    ``columns`` what is known of the data's columns (kind, shape of one example, classes).
    """

    sets: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    precision: str | None = None
    files: Mapping[str, str] | None = None
    columns: Mapping[str, Any] | None = None


def elaborate(
    source: Source, diagnostics: Diagnostics, settings: Settings | None = None
) -> Program:
    """Check a model text and build its program. Raises CompileError with all errors found."""
    file = parse(source, diagnostics)
    model = _Model(source, file, diagnostics, settings or Settings())
    try:
        with _deep_recursion():
            return model.run()
    except RecursionError:
        whole = Span(source, 0, 0)
        diagnostics.error("E318", "the model is nested too deeply", whole, help=DEEP_HELP)
        raise CompileError(diagnostics) from None


DEEP_HELP = "give parts of long expressions a name of their own"
COUNTERS = ("step", "seed", "epochs", "steps_per_epoch")
"""Names that the state of a generated module keeps for itself."""
MAX_RECURSION = 30_000
"""Calls inside each other: long expressions inside definitions inside definitions take many."""


@contextmanager
def _deep_recursion() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, MAX_RECURSION))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


class _Model:
    """One compilation of a model file."""

    def __init__(
        self, source: Source, file: tree.File, diagnostics: Diagnostics, settings: Settings
    ) -> None:
        self.source = source
        self.file = file
        self.diagnostics = diagnostics
        self.settings = settings
        self.home = Home(outer=load_prelude())
        context = Context(diagnostics, _words_of_errors(diagnostics))
        context.below = names.bound_names(file.statements)
        self.frame = Frame(context, self.home, Builder(Graph()), "model")
        self.frame.make_leaf = self._leaf
        self.scope = context.model
        self.name = PurePosixPath(source.name.replace("\\", "/")).stem
        self.named = False
        self.inputs: dict[str, DataInfo] = {}
        self.roots: dict[tuple[str, str], int] = {}
        self.reports: dict[str, Span] = {}
        self.minimize: Span | None = None
        self.sections: dict[str, tree.Section] = {}
        self.hypers: dict[str, Any] = {}
        self.files: dict[str, str] = {}
        self.opened: dict[str, Source] = {}
        self.homes: dict[str, Home] = {}
        self.uses: set[tuple[Source, str]] = set()
        self.opening = [posixpath.basename(source.name.replace("\\", "/"))]
        """The model's file and the used files inside each other that are being read."""
        self.overrides = sections.read_settings(settings.sets, self.frame)
        self.examples = sections.read_settings(settings.examples, self.frame)
        self.lengths: dict[str, int] = {}
        """What the examples say of symbolic dimensions."""

    def run(self) -> Program:
        self._collect_definitions(self.file, self.home, used=False)
        self._check_first_statement()
        statements.run(self.frame, self.scope, self.file.statements, self._top)
        self._check_names()
        self._unknown_settings()
        if not self.diagnostics.errors:
            self._objective()
        spec = self._spec()
        self._unused()
        self._in_order_of_text()
        self.diagnostics.raise_errors()
        assert spec is not None
        return Program(spec, self.frame.builder.graph, self.roots)

    def _in_order_of_text(self) -> None:
        """Sort what was found while names, statements and sections were walked one by one."""
        files = [self.source, *self.opened.values()]

        def place(item: Diagnostic) -> tuple[int, int]:
            known = item.span is not None and item.span.source in files
            if item.span is None or not known:
                return len(files), 0
            return files.index(item.span.source), item.span.start

        self.diagnostics.items.sort(key=place)

    # -- definitions and files

    def _collect_definitions(self, file: tree.File, home: Home, used: bool) -> None:
        for statement in file.statements:
            if isinstance(statement, tree.Definition):
                self._define(home, statement, used)
            elif isinstance(statement, tree.Use):
                self._use(statement, file.source, home)
            elif used:
                self.frame.error("E347", "a used file holds definitions only", statement.span)

    def _define(self, home: Home, statement: tree.Definition, used: bool) -> None:
        name = statement.name.name
        if self._collides(home, name, statement.name.span):
            return
        shadowed = home.outer is not None and home.outer.find(name) is not None
        if shadowed or name in builtins.BUILTINS:
            what = "definition of the prelude" if shadowed else "primitive"
            self.diagnostics.warning(
                "W101", f"`{name}` shadows the {what} of that name", statement.name.span
            )
        home.definitions[name] = Definition(statement, home)
        if used:
            home.used.add(name)

    def _collides(self, home: Home, name: str, span: Span) -> bool:
        before = home.definitions.get(name)
        if before is None:
            return False
        self.frame.error(
            "E348",
            f"`{name}` is defined twice",
            span,
            labels=(Label(before.tree.name.span, "first defined here"),),
        )
        return True

    def _use(self, statement: tree.Use, within: Source, home: Home) -> None:
        """Make the definitions of another file known in ``home``; what that file itself uses stays
        its own."""
        key = self._key(within, statement.path.value)
        if (within, key) in self.uses:
            self.frame.error("E349", f"`{statement.path.value}` is used twice", statement.span)
            return
        self.uses.add((within, key))
        if key in self.opening:
            circle = " uses ".join(f"`{name}`" for name in [*self.opening, key])
            self.frame.error("E350", f"files use each other in a circle: {circle}", statement.span)
            return
        if key not in self.homes:
            self._open(statement, key)
        for name, definition in self.homes[key].definitions.items():
            if definition.home is self.homes[key] and not self._collides(
                home, name, statement.path.span
            ):
                home.definitions[name] = definition
                home.used.add(name)

    def _key(self, within: Source, text: str) -> str:
        """The path of a used file from the folder of the model's."""
        if within is self.source:
            return posixpath.normpath(text)
        here = next(key for key, source in self.opened.items() if source is within)
        return posixpath.normpath(posixpath.join(posixpath.dirname(here), text))

    def _open(self, statement: tree.Use, key: str) -> None:
        home = self.homes[key] = Home(outer=self.home.outer)
        source = self._read(statement, key)
        if source is None:
            return
        self.files[key] = source.text
        self.opened[key] = source
        self.opening.append(key)
        file = parse(source, self.diagnostics)
        self.frame.context.broken = _words_of_errors(self.diagnostics)
        self._collect_definitions(file, home, used=True)
        self.opening.pop()

    def _read(self, statement: tree.Use, key: str) -> Source | None:
        if self.settings.files is not None and key in self.settings.files:
            return Source(key, self.settings.files[key])
        path = Path(self.source.name).parent / key
        try:
            return Source(str(path), path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = "it is not UTF-8 text" if isinstance(error, ValueError) else _reason(error)
            self.frame.error("E351", f"cannot read `{path}`: {reason}", statement.path.span)
            return None

    def _check_first_statement(self) -> None:
        first = self.file.statements[0] if self.file.statements else None
        if not isinstance(first, tree.ModelStatement) and not self.diagnostics.errors:
            at = first.span if first else Span(self.source, 0, 0)
            self.frame.error(
                "E352",
                "a model file starts with `model NAME`",
                at,
                help=f"write `model {self.name}` as the first statement",
            )

    # -- statements of a model

    def _top(self, scope: Scope, statement: tree.Statement) -> bool:
        """Elaborate a statement that only a model has; False where it is not at the top."""
        inside = scope is not self.scope
        match statement:
            case tree.Report():
                self._report(scope, statement)
                return True
            case tree.Minimize():
                self._minimize(scope, statement)
                return True
            case _ if inside:
                return False
            case tree.ModelStatement():
                self._model(statement)
            case tree.Hyper():
                self._hyper(statement)
            case tree.Data():
                self._data(statement)
            case tree.Section():
                self._section(statement)
            case tree.Definition() | tree.Use():
                pass
            case _:
                return False
        return True

    def _model(self, statement: tree.ModelStatement) -> None:
        if self.named:
            self.frame.error("E352", "`model` stands once, at the start of a file", statement.span)
        self.named = True
        self.name = statement.name.name

    def _hyper(self, statement: tree.Hyper) -> None:
        name = statement.name.name
        if self._taken(statement.name):
            return
        written = expressions.constant(self.frame, self.scope, statement.value, "a hyper")
        value = written
        override = self.overrides.pop(name, None)
        if override is not None:
            value = self._overridden(name, written, override)
        self.hypers[name] = None if value is POISON else value
        meaning = POISON if value is POISON else Const(value)
        self.home.scope.bind(name, meaning, statement.name.span, "hyper")

    def _overridden(self, name: str, written: Any, override: sections.Setting) -> Any:
        expr = override.as_text if isinstance(written, str) else override.expr
        value = expressions.constant(self.frame, self.scope, expr, f"--set {name}")
        if value is POISON or written is POISON:
            return POISON
        if isinstance(written, float) and type(value) is int:
            value = float(value)
        same = isinstance(value, type(written)) or (
            isinstance(written, int) and isinstance(value, float) and not isinstance(written, bool)
        )
        if not same or (isinstance(value, bool) != isinstance(written, bool)):
            self.frame.error(
                "E353",
                f"--set {name}={override.text}: {name} is {sections.kind_text(written)}, "
                f"not {sections.kind_text(value)}",
                None,
            )
            return POISON
        return value

    def _taken(self, name: tree.Ident) -> bool:
        before = self.scope.find(name.name) or self.home.scope.find(name.name)
        if before is None:
            return False
        statements.already_bound(self.frame, name, before)
        return True

    def _data(self, statement: tree.Data) -> None:
        name = statement.name.name
        if self._taken(statement.name):
            return
        type = statements.read_type(self.frame, self.scope, statement.type, self._symbol)
        if type is None:
            self.scope.bind(name, POISON, statement.name.span, statement.role)
            return
        with self.frame.at(statement.span):
            value = self.frame.builder.place(Input(name), (), type, name)
        self.scope.bind(name, Tensor(value), statement.name.span, statement.role)
        example = self._example(statement, type)
        self.inputs[name] = DataInfo(name, statement.role, type, example, statement.name.span)
        self.frame.bindings.setdefault(name, []).append(value.id)

    def _symbol(self, name: str) -> Dim:
        dimension = symbol(name)
        if name not in self.frame.context.symbols:
            self.frame.context.symbols.add(name)
            self.scope.bind(name, Const(dimension), None, "dimension")
        return dimension

    def _example(self, statement: tree.Data, type: Type) -> Any:
        override = self.examples.pop(statement.name.name, None)
        expr = override.expr if override else statement.example
        if expr is None:
            return None
        value = expressions.constant(self.frame, self.scope, expr, "an example value")
        if value is POISON:
            return None
        example = sections.checked_example(self.frame, value, type, expr.span)
        return self._of_one_size(example, type, expr.span)

    def _of_one_size(self, example: Any, type: Type, span: Span) -> Any:
        """The example, if its symbolic dimensions are as long as in the examples before it."""
        inner = example
        for want in type.shape if example is not None else ():
            length = len(inner)
            inner = inner[0]
            if not isinstance(want, Dim):
                continue
            before = self.lengths.setdefault(str(want), length)
            if before != length:
                self.frame.error(
                    "E221", f"{want} is {length} in this example, but {before} in one above", span
                )
                return None
        return example

    def _report(self, scope: Scope, statement: tree.Report) -> None:
        name, role = statement.name.name, statement.role
        before = self.frame.prefix
        self.frame.prefix = (*before, name)
        value = expressions.tensor(self.frame, scope, statement.value)
        self.frame.prefix = before
        full = self.frame.path(name)
        if full in self.reports:
            self.frame.error(
                "E335",
                f"`{full}` is reported already",
                statement.name.span,
                labels=(Label(self.reports[full], "first reported here"),),
            )
            return
        self.reports[full] = statement.name.span
        if role == "output":
            self._bind_report(scope, statement, value)
        elif role == "loss":
            value = self._scalar(value, statement.value.span, f"loss `{name}`")
            self._bind_report(scope, statement, value)
        if value is not None:
            self.roots[role, full] = value.id

    def _bind_report(self, scope: Scope, statement: tree.Report, value: Value | None) -> None:
        name = statement.name.name
        before = scope.find(name) or self.home.scope.find(name)
        if before is None:
            meaning = POISON if value is None else Tensor(value)
            statements.bind(self.frame, scope, statement.name, meaning)
            scope.names[name].used = True
        elif statement.role == "loss":
            statements.already_bound(self.frame, statement.name, before)

    def _scalar(self, value: Value | None, span: Span, what: str) -> Value | None:
        if value is None:
            return None
        if value.shape != ():
            self.frame.error(
                "E401",
                f"{what} must be a scalar, but it is {value.type}",
                span,
                help="nothing is averaged silently: write mean(…) or sum(…)",
            )
            return None
        if value.type.kind == "real":
            return value
        if value.type.kind == "label":
            self.frame.error("E401", f"{what} is a label, not a number", span)
            return None
        with self.frame.at(span):
            return value.apply("cast", kind="real")

    def _minimize(self, scope: Scope, statement: tree.Minimize) -> None:
        self.frame.clocks = True
        value = expressions.tensor(self.frame, scope, statement.value)
        self.frame.clocks = False
        value = self._scalar(value, statement.value.span, "the objective")
        if self.minimize is not None:
            self.frame.error(
                "E402",
                "`minimize` stands at most once",
                statement.span,
                labels=(Label(self.minimize, "first here"),),
            )
            return
        self.minimize = statement.span
        if value is not None:
            self.roots["objective", ""] = value.id

    def _section(self, statement: tree.Section) -> None:
        before = self.sections.get(statement.kind)
        if before is not None:
            self.frame.error(
                "E500",
                f"section `{statement.kind}` stands twice",
                statement.kind_span,
                labels=(Label(before.kind_span, "first here"),),
            )
            return
        self.sections[statement.kind] = statement

    # -- declarations of the top graph

    def _leaf(self, lifted: Lifted) -> Value:
        if lifted.name in COUNTERS:
            what = "parameter" if lifted.kind == "param" else "state"
            self.frame.error(
                "E354",
                f"`{lifted.name}` is a counter of the run, so no {what} can have that name",
                lifted.span,
            )
        op = Parameter(lifted.name) if lifted.kind == "param" else StateRead(lifted.name)
        with self.frame.at(lifted.span):
            return self.frame.builder.place(op, (), lifted.type, lifted.name)

    # -- the end of a file

    def _check_names(self) -> None:
        """Look up names in code that nothing elaborated."""
        broken = self.frame.context.broken
        homes = [self.home, *self.homes.values()]
        for home in homes:
            for definition in home.definitions.values():
                if definition.home is home:
                    names.check_definition(self.diagnostics, definition, broken)
        known = {*self.scope.known(), *broken}
        names.check_statements(self.diagnostics, self.home, self.file.statements, known)

    def _unknown_settings(self) -> None:
        sections.unknown_settings(
            self.frame, self.overrides, self.examples, list(self.hypers), list(self.inputs)
        )

    def _objective(self) -> None:
        losses = [name for role, name in self.roots if role == "loss"]
        if ("objective", "") in self.roots or not losses:
            return
        if len(losses) > 1:
            names = " + ".join(losses)
            self.frame.error(
                "E404",
                f"{len(losses)} losses and no `minimize`",
                self.reports[losses[1]],
                labels=(Label(self.reports[losses[0]], "the first loss"),),
                help=f"say what is minimised, as in: minimize {names}",
            )
            return
        self.roots["objective", ""] = self.roots["loss", losses[0]]

    def _spec(self) -> ModelSpec | None:
        batch = self._batch()
        checked = sections.Sections(
            self.frame,
            self.scope,
            self.sections,
            self.overrides,
            self.inputs,
            self.roots,
            batch,
            self.settings,
        ).check()
        if self.diagnostics.errors:
            return None
        for name, (value, _) in self.frame.updates.items():
            self.roots["next", name] = value.id
        self._unreached_parameters()
        return ModelSpec(
            name=self.name,
            path=self.source.name,
            inputs=self.inputs,
            parameters=self._parameters(checked.frozen),
            states=self._states(checked.fitted),
            aliases=self._aliases(),
            groups=checked.groups,
            outputs=self._outputs(),
            batch=batch,
            train=checked.train,
            data=checked.data,
            prune=checked.prune,
            hypers=self.hypers,
            splices=checked.splices,
            penalties=checked.penalties,
            fitted={state.name: state.type for state in checked.fitted},
            prepare=checked.prepare,
            files=self.files,
        )

    def _batch(self) -> str | None:
        """The leading symbolic dimension that inputs and targets share."""
        leading: dict[str, str] = {}
        for name, info in self.inputs.items():
            first = info.type.shape[0] if info.type.shape else None
            if isinstance(first, Dim):
                leading[name] = str(first)
        symbols = set(leading.values())
        if not symbols:
            return None
        if len(symbols) > 1 or len(leading) < len(self.inputs):
            lead = next(iter(leading))
            batch = leading[lead]
            odd = next(name for name in self.inputs if leading.get(name) != batch)
            self.frame.error(
                "E405",
                f"`{odd}` does not share the batch dimension of the other inputs and targets",
                self.inputs[odd].span,
                labels=(Label(self.inputs[lead].span, f"its leading dimension is {batch}"),),
                help=f"give all of them the leading dimension {batch}, or none",
            )
            return None
        return symbols.pop()

    def _parameters(self, frozen: set[str]) -> dict[str, ParameterInfo]:
        result = {}
        for name, declared in self.frame.declared.items():
            item = declared.lifted
            if item.kind == "param":
                init = placed(item.init, f"{name} init")
                result[name] = ParameterInfo(
                    name, item.type, init, item.random, item.span, name in frozen
                )
        return result

    def _states(self, fitted: list[StateInfo]) -> dict[str, StateInfo]:
        own = {
            name: StateInfo(
                name, d.lifted.type, placed(d.lifted.init, f"{name} init"), d.lifted.span
            )
            for name, d in self.frame.declared.items()
            if d.lifted.kind == "state"
        }
        return {**own, **{state.name: state for state in fitted}}

    def _aliases(self) -> dict[str, str]:
        """``h.W`` for ``h.dense1.W`` while it is the only W below h."""
        names = [n for n, d in self.frame.declared.items() if d.lifted.kind == "param"]
        short: dict[str, list[str]] = {}
        for name in names:
            parts = name.split(".")
            for depth in range(1, len(parts) - 1):
                short.setdefault(".".join((*parts[:depth], parts[-1])), []).append(name)
        return {
            alias: full[0] for alias, full in short.items() if len(full) == 1 and alias not in names
        }

    def _outputs(self) -> dict[str, OutputInfo]:
        compared = sections.compared_with_targets(self.frame.builder.graph, self.inputs)
        graph = self.frame.builder.graph
        return {
            name: OutputInfo(name, sections.spoken_of(graph, id, self.inputs, compared))
            for (role, name), id in self.roots.items()
            if role == "output"
        }

    # -- warnings

    def _unreached_parameters(self) -> None:
        objective = self.roots.get(("objective", ""))
        if objective is None:
            return
        reached = self.frame.builder.graph.ancestors([objective])
        for name, declared in self.frame.declared.items():
            if declared.lifted.kind == "param" and declared.value.id not in reached:
                self.diagnostics.warning(
                    "W104",
                    f"the objective does not depend on parameter `{name}`",
                    declared.lifted.span,
                )

    def _unused(self) -> None:
        if self.diagnostics.errors:
            return
        for name, binding in [*self.scope.names.items(), *self.home.scope.names.items()]:
            skip = binding.role in ("dimension", "repeat", "param", "state", "next", "target")
            if binding.used or skip or binding.span is None or isinstance(binding.meaning, Poison):
                continue
            what = "layer" if isinstance(binding.meaning, BoundLayer) else binding.role
            self.diagnostics.warning("W102", f"{what} `{name}` is never used", binding.span)
        for name, definition in self.home.definitions.items():
            if name not in self.home.used:
                kind, span = definition.tree.kind, definition.tree.name.span
                self.diagnostics.warning("W103", f"{kind} `{name}` is never used", span)
            if definition.home is self.home:
                names.unused_in_definition(self.diagnostics, definition)


def _words_of_errors(diagnostics: Diagnostics) -> frozenset[str]:
    """Words on lines that could not be read: names that a broken statement may have bound."""
    spans = [item.span for item in diagnostics.errors if item.span is not None]
    lines = {span.source.line_text(span.line) for span in spans}
    return frozenset(word for line in lines for word in re.findall(r"\w+", line))


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]
