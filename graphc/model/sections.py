"""The sections `data`, `train`, `regularize` and `prune`, checked in full: keys, kinds, names.

Nothing runs here. What a section asks for comes out as a plan, a splice, a penalty, an optimizer
group; the data section's equations come out as a graph over columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from graphc.diagnostics import Diagnostics, Label, Source, Span
from graphc.ir import Body, Call, Dim, Graph, Type
from graphc.language import format_expr, parse, tree
from graphc.model import calls, expressions
from graphc.model.data_section import DATA_KEYS, DataSection
from graphc.model.frame import Frame, nearest
from graphc.model.meanings import (
    ALL,
    POISON,
    Definition,
    DefinitionUse,
    Poison,
    Scope,
)
from graphc.model.optimizers import expand_optimizer
from graphc.model.program import (
    DataInfo,
    DataPlan,
    OptimizerGroup,
    Penalty,
    Preparation,
    Splice,
    StateInfo,
    TrainPlan,
)
from graphc.model.selectors import calls_of, definitions_in, match_parameters

__all__ = [
    "Checked",
    "Sections",
    "Setting",
    "checked_example",
    "compared_with_targets",
    "kind_text",
    "read_settings",
    "spoken_of",
    "unknown_settings",
]


# --------------------------------------------------------------------------- settings


@dataclass(eq=False)
class Setting:
    """A value that the command line gives: its text, as an expression."""

    name: str
    text: str
    expr: tree.Expr

    @property
    def as_text(self) -> tree.Expr:
        """The value where a text is wanted: quotes may be left out."""
        return (
            self.expr if isinstance(self.expr, tree.Text) else tree.Text(self.expr.span, self.text)
        )


def read_settings(texts: Mapping[str, str], frame: Frame) -> dict[str, Setting]:
    """Parse ``NAME=VALUE`` texts. A value that is no expression counts as a text (a path, say)."""
    result = {}
    for name, text in texts.items():
        source = Source(f"the value of {name}", f"hyper value = {text}\n")
        quiet = Diagnostics()
        read = parse(source, quiet).statements
        if quiet.errors or len(read) != 1 or not isinstance(read[0], tree.Hyper):
            expr: tree.Expr = tree.Text(Span(source, 14, 14 + len(text)), text)
        else:
            expr = read[0].value
        result[name] = Setting(name, text, expr)
    return result


def unknown_settings(
    frame: Frame,
    sets: Mapping[str, Setting],
    examples: Mapping[str, Setting],
    hypers: Sequence[str],
    inputs: Sequence[str],
) -> None:
    """Report what ``--set`` and ``--at`` name but the model does not have."""
    for name in sets:
        section, _, key = name.partition(".")
        if key and section in KEYS:
            if key not in KEYS[section]:
                known = [f"{section}.{k}" for k in KEYS[section]]
                frame.error("E353", f"--set {name}: no such key", None, help=nearest(name, known))
            continue
        known = [*hypers, *(f"{s}.{k}" for s in KEYS for k in KEYS[s])]
        hint = nearest(name, known) or f"hypers are: {', '.join(hypers) or 'none'}"
        frame.error("E353", f"--set {name}: the model has no hyper of that name", None, help=hint)
    for name in examples:
        hint = nearest(name, inputs) or f"inputs are: {', '.join(inputs) or 'none'}"
        frame.error("E353", f"--at {name}: the model has no input of that name", None, help=hint)


def kind_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    names = {int: "an integer", float: "a number", str: "a text", tuple: "a list"}
    return names.get(type(value), "another thing")


def checked_example(frame: Frame, value: Any, type: Type, span: Span) -> Any:
    """An example value that fits the input's type, or None after an error."""
    array = expressions.rectangular(value)
    shape: list[int] = []
    inner = array
    while isinstance(inner, tuple):
        shape.append(len(inner))
        inner = inner[0]
    fits = (
        array is not None
        and len(shape) == type.rank
        and all(
            isinstance(want, Dim) or want == have
            for want, have in zip(type.shape, shape, strict=False)
        )
    )
    if not fits:
        have_text = f"[{', '.join(map(str, shape))}]" if shape else "a single number"
        have_text = have_text if array is not None else "no array of numbers"
        frame.error("E221", f"the example value is {have_text}, but {type} is declared", span)
        return None
    if type.kind in ("int", "label") and not all(_is_whole(v) for v in _flat(array)):
        frame.error("E221", f"the example value of {type} must hold integers", span)
        return None
    if type.kind == "label" and not all(0 <= v < (type.classes or 0) for v in _flat(array)):
        top = (type.classes or 1) - 1
        frame.error("E221", f"the example value of {type} must lie within 0..{top}", span)
        return None
    return array


def _flat(value: Any) -> list[Any]:
    if isinstance(value, tuple):
        return [leaf for item in value for leaf in _flat(item)]
    return [value]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# --------------------------------------------------------------------- links of outputs


def compared_with_targets(graph: Graph, inputs: Mapping[str, DataInfo]) -> dict[int, str]:
    """Values that stand beside a target in a call: ``squared_error(prediction, y)``."""
    targets = {
        node.id: node.name
        for node in graph
        if node.op.name == "input" and inputs[node.name].role == "target"
    }
    compared: dict[int, str] = {}
    for node in graph:
        if isinstance(node.op, Call) or node.op.elementwise:
            named = [targets[i] for i in node.inputs if i in targets]
            for i in node.inputs:
                if named and i not in targets:
                    compared.setdefault(i, named[0])
    return compared


def spoken_of(
    graph: Graph, id: int, inputs: Mapping[str, DataInfo], compared: Mapping[int, str]
) -> str | None:
    """The target whose classes or units an output speaks of."""
    type = graph[id].tensor
    direct = compared.get(id)
    if direct is not None and _same_units(type, inputs[direct].type):
        return direct
    for name, info in inputs.items():
        if info.role == "target" and info.type.kind == "label" and _classes_of(type, info.type):
            return name
    return None


def _same_units(output: Type, target: Type) -> bool:
    return output == target or _classes_of(output, target)


def _classes_of(output: Type, target: Type) -> bool:
    return (
        target.kind == "label"
        and output.kind == "real"
        and output.shape == (*target.shape, target.classes)
    )


# -------------------------------------------------------------------------------- keys

TRAIN_KEYS = (
    "epochs", "batch", "optimizer", "stop", "seed", "precision", "watch", "memory",
)  # fmt: skip
PRUNE_KEYS = (
    "method", "sparsity", "schedule", "steps", "retrain", "stop", "max_rise", "damping", "seed",
)  # fmt: skip
KEYS: dict[str, tuple[str, ...]] = {
    "data": DATA_KEYS,
    "train": TRAIN_KEYS,
    "regularize": (),
    "prune": PRUNE_KEYS,
}
PRUNE_METHODS = ("magnitude", "obd", "obs", "movement", "random", "lottery")
PRUNE_SCHEDULES = ("one_shot", "gradual", "recompute")


@dataclass
class Checked:
    """Everything that the sections come to."""

    train: TrainPlan = field(default_factory=TrainPlan)
    data: DataPlan = field(default_factory=DataPlan)
    prune: dict[str, Any] | None = None
    groups: tuple[OptimizerGroup, ...] = ()
    splices: tuple[Splice, ...] = ()
    penalties: tuple[Penalty, ...] = ()
    frozen: set[str] = field(default_factory=set)
    fitted: list[StateInfo] = field(default_factory=list)
    prepare: Preparation = field(default_factory=Preparation)


class Sections:
    """Checks the sections of one model."""

    def __init__(
        self,
        frame: Frame,
        scope: Scope,
        sections: Mapping[str, tree.Section],
        overrides: Mapping[str, Setting],
        inputs: Mapping[str, DataInfo],
        roots: Mapping[tuple[str, str], int],
        batch: str | None,
        settings: Any,
    ) -> None:
        self.frame = frame
        self.scope = scope
        self.sections = sections
        self.overrides = overrides
        self.inputs = inputs
        self.roots = roots
        self.batch = batch
        self.settings = settings
        self.parameters = {
            name: d.lifted.type for name, d in frame.declared.items() if d.lifted.kind == "param"
        }

    def check(self) -> Checked:
        checked = Checked()
        checked.train = self._train(checked)
        self._regularize(checked)
        DataSection(self, checked).check()
        checked.prune = self._prune()
        return checked

    # -- entries

    def entries(self, kind: str, keys: Sequence[str] | None) -> dict[str, tree.Expr]:
        """The section's ``key = value`` lines, with the command line's values on top."""
        section = self.sections.get(kind)
        found: dict[str, tree.Expr] = {}
        places: dict[str, Span] = {}
        for entry in section.entries if section else ():
            if not isinstance(entry, tree.Entry):
                continue
            name = entry.name.name
            if keys is not None and name not in keys:
                hint = nearest(name, keys) or f"keys are: {', '.join(keys) or 'none'}"
                self.frame.error(
                    "E501", f"unknown key `{name}` in `{kind}`", entry.name.span, help=hint
                )
                continue
            if name in found:
                self.frame.error(
                    "E502",
                    f"key `{name}` stands twice",
                    entry.name.span,
                    labels=(Label(places[name], "first here"),),
                )
                continue
            found[name], places[name] = entry.value, entry.name.span
        for name, setting in self.overrides.items():
            section_name, _, key = name.partition(".")
            if section_name == kind and key in KEYS[kind]:
                text = kind == "data" and key != "split"
                found[key] = setting.as_text if text else setting.expr
        return found

    def rules(self, kind: str) -> list[tree.Expr]:
        section = self.sections.get(kind)
        return [e.value for e in section.entries if isinstance(e, tree.Rule)] if section else []

    def _constant(self, key: str, expr: tree.Expr) -> Any:
        """A constant; a bare unknown word counts as a text (``precision = f64``)."""
        if isinstance(expr, tree.Name) and expr.name in WORDS:
            return expr.name
        return expressions.constant(self.frame, self.scope, expr, f"`{key}`")

    def number(self, key: str, expr: tree.Expr, *, whole: bool = False, least: float = 0.0) -> Any:
        """A number of at least ``least``; None after an error."""
        value = self._constant(key, expr)
        if value is POISON:
            return None
        if whole and isinstance(value, float) and value.is_integer():
            value = int(value)
        wanted = int if whole else (int, float)
        if not isinstance(value, wanted) or isinstance(value, bool) or value < least:
            what = "an integer" if whole else "a number"
            self.frame.error(
                "E503", f"`{key}` is {what} of at least {least:g}, not {_shown(value)}", expr.span
            )
            return None
        return value

    # -- train

    def _train(self, checked: Checked) -> TrainPlan:
        entries = self.entries("train", TRAIN_KEYS)
        plan: dict[str, Any] = {}
        for key, least in (("epochs", 1), ("seed", 0)):
            if (
                key in entries
                and (value := self.number(key, entries[key], whole=True, least=least)) is not None
            ):
                plan[key] = value
        if plan.get("seed", 0) >= 2**63:
            self.frame.error("E503", "`seed` is below 2^63", entries["seed"].span)
        if "batch" in entries:
            plan["batch"] = self._batch_size(entries["batch"])
        plan["precision"] = self._precision(entries)
        plan.update(self._stopping(entries))
        if "memory" in entries:
            self.number("memory", entries["memory"], least=1)
            self.frame.diagnostics.warning(
                "W105",
                "`memory` has no effect yet: this version does not rematerialise",
                entries["memory"].span,
            )
        self._frozen(checked)
        self._optimizers(entries.get("optimizer"), checked)
        return TrainPlan(**{key: value for key, value in plan.items() if value is not ...})

    def _batch_size(self, expr: tree.Expr) -> Any:
        if isinstance(expr, tree.Name) and expr.name == "all":
            return None
        value = self.number("batch", expr, whole=True, least=1)
        return ... if value is None else value

    def _precision(self, entries: Mapping[str, tree.Expr]) -> Any:
        if self.settings.precision is not None:
            return self.settings.precision
        if "precision" not in entries:
            return ...
        return self._word("precision", entries["precision"], ("f32", "f64")) or ...

    def _stopping(self, entries: Mapping[str, tree.Expr]) -> dict[str, Any]:
        plan: dict[str, Any] = {}
        if "stop" in entries:
            plan.update(self._early(entries["stop"]))
        if "watch" in entries:
            plan.update(self._watch(entries["watch"]))
        if "mode" in plan and plan["mode"] not in ("min", "max"):
            self.frame.error("E503", '`mode` is "min" or "max"', entries["stop"].span)
        return plan

    def _early(self, expr: tree.Expr) -> dict[str, Any]:
        options = self.options(expr, {"early": ("patience", "watch", "mode")}, "stop")
        if options is None:
            return {}
        _, given = options
        plan: dict[str, Any] = {"patience": 10}
        if "patience" in given:
            plan["patience"] = self.number("patience", given["patience"], whole=True, least=1)
        if "watch" in given:
            plan.update(self._watch(given["watch"]))
        if "mode" in given:
            plan["mode"] = self._constant("mode", given["mode"])
        return plan

    def _watch(self, expr: tree.Expr) -> dict[str, Any]:
        names = [name for role, name in self.roots if role in ("loss", "metric")]
        text = expr.value if isinstance(expr, tree.Text) else format_expr(expr)
        if text not in names:
            hint = nearest(text, names) or f"losses and metrics are: {', '.join(names) or 'none'}"
            self.frame.error(
                "E504", f"`watch` names no loss or metric: `{text}`", expr.span, help=hint
            )
            return {}
        return {"watch": text, "mode": "max" if ("metric", text) in self.roots else "min"}

    def options(
        self, expr: tree.Expr, kinds: Mapping[str, Sequence[str]], key: str
    ) -> tuple[str, dict[str, tree.Expr]] | None:
        """``early{patience = 5}``: the word and its named options; the first may be positional."""
        name = expr.name if isinstance(expr, tree.Apply | tree.Name) else ""
        if name not in kinds or (isinstance(expr, tree.Apply) and expr.arguments is not None):
            shown = " or ".join(f"{kind}{{…}}" for kind in kinds)
            self.frame.error(
                "E505",
                f"`{key}` is {shown}, not {format_expr(expr)}",
                expr.span,
                help=nearest(name, kinds) if name else "",
            )
            return None
        given: dict[str, tree.Expr] = {}
        allowed = kinds[name]
        attributes = expr.attributes or () if isinstance(expr, tree.Apply) else ()
        for position, argument in enumerate(attributes):
            option = argument.name or (allowed[position] if position < len(allowed) else "?")
            if option not in allowed:
                hint = nearest(option, allowed) or f"options are: {', '.join(allowed)}"
                self.frame.error(
                    "E501", f"unknown option `{option}` of `{name}`", argument.span, help=hint
                )
                return None
            given[option] = argument.value
        return name, given

    # -- optimizers

    def _frozen(self, checked: Checked) -> None:
        for rule in self.rules("train"):
            is_frozen = (
                isinstance(rule, tree.Placed)
                and isinstance(rule.value, tree.Name)
                and rule.value.name == "frozen"
                and rule.preposition == "on"
            )
            if not is_frozen:
                self.frame.error(
                    "E506", "a line of `train` is `key = value` or `frozen on …`", rule.span
                )
                continue
            assert isinstance(rule, tree.Placed)
            checked.frozen.update(self.select(rule.selector))

    def select(self, selector: tree.Selector) -> list[str]:
        """Parameters that a selector names; none is an error."""
        found = match_parameters(selector.pattern, self.parameters)
        if not found:
            known = [*self.parameters, "weights", "biases", "params"]
            have = ", ".join(list(self.parameters)[:6]) or "none"
            self.frame.error(
                "E507",
                f"`{selector.pattern}` selects no parameter",
                selector.span,
                help=nearest(selector.pattern, known) or f"parameters are: {have}",
            )
        return found

    def _optimizers(self, expr: tree.Expr | None, checked: Checked) -> None:
        if not self.parameters:
            return
        rest = [name for name in self.parameters if name not in checked.frozen]
        groups = []
        for item in self._optimizer_items(expr):
            chosen = rest
            if isinstance(item, tree.Placed):
                if item.preposition != "on":
                    self.frame.error("E506", "an optimizer works `on` parameters", item.span)
                    continue
                named = self.select(item.selector)
                chosen = [name for name in rest if name in named]
            group = self._group(item.value if isinstance(item, tree.Placed) else item, chosen)
            rest = [name for name in rest if name not in chosen]
            if group is not None and chosen:
                groups.append(group)
        if rest and expr is not None and not self.frame.diagnostics.errors:
            self.frame.error(
                "E605",
                f"no optimizer updates `{rest[0]}`",
                expr.span,
                help="end the list with one on params, or write: frozen on …",
            )
        checked.groups = tuple(groups)

    def _optimizer_items(self, expr: tree.Expr | None) -> list[tree.Expr]:
        if expr is None:
            source = Source("default", "adam{}", prelude=True)
            span = Span(source, 0, 6)
            return [tree.Apply(span, "adam", span, (), None)]
        return list(expr.items) if isinstance(expr, tree.ListExpr) else [expr]

    def _group(self, expr: tree.Expr, names: list[str]) -> OptimizerGroup | None:
        frame = self.frame
        frame.clocks = True
        meaning = expressions.evaluate(frame, self.scope, expr)
        frame.clocks = False
        if isinstance(meaning, Poison):
            return None
        use = meaning if isinstance(meaning, DefinitionUse) else None
        definition = use.definition if use else None
        if (
            use is None
            or not isinstance(definition, Definition)
            or definition.tree.kind != "optimizer"
        ):
            known = [n for n in frame.home.known() if _is_optimizer(frame, n)]
            frame.error(
                "E606", "`optimizer` is an optimizer definition", expr.span,
                help=f"known ones are: {', '.join(known)}",
            )  # fmt: skip
            return None
        return expand_optimizer(frame, use, definition, tuple(names), expr.span)

    # -- regularize

    def _regularize(self, checked: Checked) -> None:
        self.entries("regularize", ())
        splices, penalties = [], []
        for rule in self.rules("regularize"):
            if not isinstance(rule, tree.Placed):
                self.frame.error(
                    "E506",
                    "a line of `regularize` is `definition after|before|on selector`",
                    rule.span,
                    help="as in: dropout{0.2} after relu, or l2{1e-4} on weights",
                )
                continue
            use = self._rule_use(rule)
            if use is None:
                continue
            if rule.preposition == "on":
                penalty = self._penalty(rule, use)
                if penalty is not None:
                    penalties.append(penalty)
            elif (splice := self._splice(rule, use)) is not None:
                splices.append(splice)
        checked.splices, checked.penalties = tuple(splices), tuple(penalties)

    def _rule_use(self, rule: tree.Placed) -> DefinitionUse | None:
        value = rule.value
        if isinstance(value, tree.Name):
            value = tree.Apply(value.span, value.name, value.span, (), None)
        self.frame.clocks = True
        meaning = expressions.evaluate(self.frame, self.scope, value)
        self.frame.clocks = False
        if isinstance(meaning, DefinitionUse) and isinstance(meaning.definition, Definition):
            return meaning
        if not isinstance(meaning, Poison):
            self.frame.error("E510", "a rule starts with a definition", value.span)
        return None

    def _body(self, use: DefinitionUse, type: Type, span: Span) -> Body | None:
        definition = use.definition
        assert isinstance(definition, Definition)
        if len(definition.tree.parameters) != 1 or definition.tree.kind != "def":
            self.frame.error(
                "E510", f"`{use.name}` must be a `def` of one tensor to stand in a rule", span
            )
            return None
        expansion = calls.expand(self.frame, use, definition, [type], span)
        return expansion.body if expansion else None

    def _penalty(self, rule: tree.Placed, use: DefinitionUse) -> Penalty | None:
        bodies: dict[str, Body] = {}
        for name in self.select(rule.selector):
            body = self._body(use, self.parameters[name], rule.value.span)
            if body is None:
                return None
            if body.type != Type("real"):
                self.frame.error(
                    "E401",
                    f"a penalty must be a scalar, but `{use.name}` gives {body.type}",
                    rule.value.span,
                )
                return None
            bodies[name] = body
        return Penalty(calls.title_of(use), bodies, rule.span) if bodies else None

    def _splice(self, rule: tree.Placed, use: DefinitionUse) -> Splice | None:
        pattern, graph = rule.selector.pattern, self.frame.builder.graph
        nodes = tuple(self.frame.bindings.get(pattern, ()))
        definitions = definitions_in(graph)
        match = "" if nodes or pattern not in definitions else pattern
        if not nodes and not match:
            known = [*self.frame.bindings, *definitions]
            self.frame.error(
                "E507",
                f"`{pattern}` selects no value",
                rule.selector.span,
                help=nearest(pattern, known)
                or "a selector of values names a value of the model or a definition that it uses",
            )
            return None
        return self._splice_at(rule, use, nodes, match)

    def _splice_at(
        self, rule: tree.Placed, use: DefinitionUse, nodes: tuple[int, ...], match: str
    ) -> Splice | None:
        graph = self.frame.builder.graph
        before = rule.preposition == "before"
        types = set(definitions_in(graph)[match]) if match else set()
        if match and before:
            types = _operand_types(graph, match)
        for id in nodes or calls_of(graph, match):
            node = graph[id]
            if before and not node.inputs:
                self.frame.error("E507", "nothing stands before an input", rule.selector.span)
                return None
            types.add(graph[node.inputs[0]].tensor if before else node.tensor)
        bodies: dict[Type, Body] = {}
        for type in sorted(types, key=str):
            body = self._body(use, type, rule.value.span)
            if body is None:
                return None
            if body.type != type:
                self.frame.error(
                    "E510",
                    f"`{use.name}` turns {type} into {body.type}: it cannot be inserted here",
                    rule.value.span,
                )
                return None
            bodies[type] = body
        position: Literal["before", "after"] = "before" if before else "after"
        return Splice(calls.title_of(use), position, nodes, match, bodies, rule.span)

    # -- prune

    def _prune(self) -> dict[str, Any] | None:
        if "prune" not in self.sections:
            return None
        entries = self.entries("prune", PRUNE_KEYS)
        plan: dict[str, Any] = {}
        for key, expr in entries.items():
            if key in ("method", "schedule"):
                plan[key] = self._word(
                    key, expr, PRUNE_METHODS if key == "method" else PRUNE_SCHEDULES
                )
            elif key in ("steps", "retrain", "seed"):
                plan[key] = self.number(key, expr, whole=True)
            elif key == "stop":
                plan[key] = self._word(key, expr, ("accuracy",))
            else:
                plan[key] = self.number(key, expr)
        if plan.get("sparsity") is not None and plan["sparsity"] >= 1:
            self.frame.error(
                "E503", "`sparsity` is a fraction below 1, as in 80%", entries["sparsity"].span
            )
        for rule in self.rules("prune"):
            if isinstance(rule, tree.Placed) and rule.preposition == "on":
                self.select(rule.selector)
            else:
                self.frame.error("E506", "a line of `prune` is `key = value`", rule.span)
        return plan

    def _word(self, key: str, expr: tree.Expr, allowed: Sequence[str]) -> str | None:
        word = expr.name if isinstance(expr, tree.Name | tree.Apply) else ""
        word = expr.value if isinstance(expr, tree.Text) else word
        if word in allowed:
            return word
        hint = nearest(word, allowed)
        self.frame.error("E503", f"`{key}` is one of: {', '.join(allowed)}", expr.span, help=hint)
        return None


WORDS = frozenset({"f32", "f64", "min", "max"})


def _shown(value: Any) -> str:
    return "all" if value is ALL else repr(value)


def _is_optimizer(frame: Frame, name: str) -> bool:
    definition = frame.home.find(name)
    return definition is not None and definition.tree.kind == "optimizer"


def _operand_types(graph: Graph, definition: str) -> set[Type]:
    """Types of the first operand of every call of a definition, bodies included."""
    types: set[Type] = set()
    seen: set[int] = set()
    stack = [graph]
    while stack:
        current = stack.pop()
        for node in current:
            if not isinstance(node.op, Call):
                continue
            body = node.op.body
            if body.definition == definition and node.inputs:
                types.add(current[node.inputs[0]].tensor)
            if id(body) not in seen:
                seen.add(id(body))
                stack.append(body.graph)
    return types
