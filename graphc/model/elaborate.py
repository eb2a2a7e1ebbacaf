"""A syntax tree to a program: the model's own statements, in order, then its sections.

Statements that definitions have too are left to ``statements``, sections to ``sections``, used
files to ``files``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from graphc.diagnostics import CompileError, Diagnostic, Diagnostics, Label, Source, Span
from graphc.ir import Builder, Dim, Graph, Type, Value, symbol
from graphc.language import parse, tree
from graphc.model import declarations, names, statements, values
from graphc.model.drivers import expect_constant_objective
from graphc.model.examples import Examples
from graphc.model.files import Files, words_of_errors
from graphc.model.frame import Context, Frame, Home, Lifted
from graphc.model.links import linked_outputs
from graphc.model.meanings import POISON, Const, Scope, Tensor
from graphc.model.prelude import load_prelude
from graphc.model.program import COUNTERS, DataInfo, ModelSpec, Program
from graphc.model.section import SectionReader
from graphc.model.sections import check_sections
from graphc.model.selectors import short_names
from graphc.model.settings import Settings, overridden, read_settings, unknown_settings
from graphc.model.spec import batch_dimension, parameter_infos, state_infos
from graphc.model.unused import warn_of_unreached, warn_of_unused
from graphc.ops.leaves import Input, Parameter, StateRead

__all__ = ["elaborate"]


def elaborate(
    source: Source,
    diagnostics: Diagnostics,
    settings: Settings | None = None,
    file: tree.File | None = None,
) -> Program:
    """Check a model text and build its program. Raises CompileError with all errors found.

    ``file`` is the tree of the text where it was parsed before, into the same diagnostics.
    """
    if file is None:
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
        context = Context(diagnostics, words_of_errors(diagnostics))
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
        self.files = Files(source, self.frame, settings.files)
        self.overrides = read_settings(settings.sets)
        self.given_examples = read_settings(settings.examples)
        self.examples = Examples(self.frame)

    def run(self) -> Program:
        self.files.collect(self.file, self.home, used=False)
        self._check_first_statement()
        statements.run(self.frame, self.scope, self.file.statements, self._top)
        self._check_names()
        unknown_settings(
            self.frame, self.overrides, self.given_examples, list(self.hypers), list(self.inputs)
        )
        if not self.diagnostics.errors:
            self._objective()
        spec = self._spec()
        if not self.diagnostics.errors:
            warn_of_unused(self.diagnostics, self.scope, self.home)
        self._in_order_of_text()
        self.diagnostics.raise_errors()
        assert spec is not None
        return Program(spec, self.frame.builder.graph, self.roots)

    def _in_order_of_text(self) -> None:
        """Sort what was found while names, statements and sections were walked one by one."""
        files = self.files.sources

        def place(item: Diagnostic) -> tuple[int, int]:
            known = item.span is not None and item.span.source in files
            if item.span is None or not known:
                return len(files), 0
            return files.index(item.span.source), item.span.start

        self.diagnostics.items.sort(key=place)

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
        if declarations.is_taken(self.frame, self.scope, statement.name):
            return
        written = values.constant(self.frame, self.scope, statement.value, "a hyper")
        value = written
        override = self.overrides.pop(name, None)
        if override is not None:
            value = overridden(self.frame, self.scope, name, written, override)
        self.hypers[name] = None if value is POISON else value
        meaning = POISON if value is POISON else Const(value)
        self.home.scope.bind(name, meaning, statement.name.span, "hyper")

    def _data(self, statement: tree.Data) -> None:
        name = statement.name.name
        if declarations.is_taken(self.frame, self.scope, statement.name):
            return
        type = declarations.read_type(self.frame, self.scope, statement.type, self._symbol)
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
        override = self.given_examples.pop(statement.name.name, None)
        expr = override.expr if override else statement.example
        if expr is None:
            return None
        value = values.constant(self.frame, self.scope, expr, "an example value")
        if value is POISON:
            return None
        return self.examples.checked(value, type, expr.span)

    def _report(self, scope: Scope, statement: tree.Report) -> None:
        name, role = statement.name.name, statement.role
        before = self.frame.prefix
        self.frame.prefix = (*before, name)
        value = values.tensor(self.frame, scope, statement.value)
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
            declarations.already_bound(self.frame, statement.name, before)

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
        value = values.tensor(self.frame, scope, statement.value)
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
        for home in self.files.all_homes:
            for definition in home.definitions.values():
                if definition.home is home:
                    names.check_definition(self.diagnostics, definition, broken)
        known = {*self.scope.known(), *broken}
        names.check_statements(self.diagnostics, self.home, self.file.statements, known)

    def _objective(self) -> None:
        losses = [name for role, name in self.roots if role == "loss"]
        if ("objective", "") in self.roots or not losses:
            return
        if len(losses) > 1:
            total = " + ".join(losses)
            self.frame.error(
                "E404",
                f"{len(losses)} losses and no `minimize`",
                self.reports[losses[1]],
                labels=(Label(self.reports[losses[0]], "the first loss"),),
                help=f"say what is minimised, as in: minimize {total}",
            )
            return
        self.roots["objective", ""] = self.roots["loss", losses[0]]

    def _sections(self) -> SectionReader:
        declared = self.frame.declared.items()
        return SectionReader(
            frame=self.frame,
            scope=self.scope,
            sections=self.sections,
            overrides=self.overrides,
            settings=self.settings,
            inputs=self.inputs,
            roots=self.roots,
            parameters={n: d.lifted.type for n, d in declared if d.lifted.kind == "param"},
            batch=batch_dimension(self.frame, self.inputs),
            sound=not self.diagnostics.errors,
        )

    def _spec(self) -> ModelSpec | None:
        reader = self._sections()
        checked = check_sections(reader)
        if self.diagnostics.errors:
            return None
        for name, (value, _) in self.frame.updates.items():
            self.roots["next", name] = value.id
        warn_of_unreached(self.frame, self.roots.get(("objective", "")))
        groups, splices = checked.train.groups, checked.splices
        expect_constant_objective(self.frame, groups, self.roots, splices, checked.penalties)
        if self.diagnostics.errors:
            return None
        return ModelSpec(
            name=self.name,
            path=self.source.name,
            inputs=self.inputs,
            parameters=parameter_infos(self.frame, checked.train.frozen),
            states=state_infos(self.frame, checked.data.fitted),
            aliases=short_names(list(reader.parameters)),
            groups=groups,
            outputs=linked_outputs(self.frame.builder.graph, self.roots, self.inputs),
            batch=reader.batch,
            train=checked.train.plan,
            data=checked.data.plan,
            prune=checked.prune,
            hypers=self.hypers,
            splices=splices,
            penalties=checked.penalties,
            fitted={state.name: state.type for state in checked.data.fitted},
            prepare=checked.data.prepare,
            files=self.files.texts,
        )
