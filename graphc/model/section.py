"""What the sections of a model share: their lines, and reading values out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphc.diagnostics import Label, Span
from graphc.ir import Type
from graphc.language import format_expr, tree
from graphc.model import expressions, values
from graphc.model.frame import Frame, nearest
from graphc.model.meanings import ALL, POISON, Meaning, Scope
from graphc.model.program import DataInfo, RootKey
from graphc.model.selectors import match_parameters
from graphc.model.settings import FILE_KEYS, KEYS, Setting, Settings

__all__ = ["SectionReader"]

WORDS = frozenset({"f32", "f64", "min", "max"})
"""Bare words that stand for texts."""
RANKS = {
    "weights": "weights are parameters of rank 2 or more, as real[64, 10]",
    "biases": "biases are parameters of rank 1 or less",
}


@dataclass(frozen=True, eq=False)
class SectionReader:
    """The sections of one model, with what their values may refer to."""

    frame: Frame
    scope: Scope
    sections: Mapping[str, tree.Section]
    overrides: Mapping[str, Setting]
    settings: Settings
    inputs: Mapping[str, DataInfo]
    roots: Mapping[RootKey, int]
    parameters: Mapping[str, Type]
    batch: str | None
    sound: bool
    """Whether the statements had no error. Otherwise what a name misses may be due to one."""

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
                file = kind == "data" and key in FILE_KEYS
                found[key] = setting.as_file if file else setting.expr
        return found

    def rules(self, kind: str) -> list[tree.Expr]:
        """The section's other lines, as in ``l2{1e-4} on weights``."""
        section = self.sections.get(kind)
        return [e.value for e in section.entries if isinstance(e, tree.Rule)] if section else []

    # -- values

    def constant(self, key: str, expr: tree.Expr) -> Any:
        """A constant; a bare unknown word counts as a text (``precision = f64``)."""
        if isinstance(expr, tree.Name) and expr.name in WORDS:
            return expr.name
        return values.constant(self.frame, self.scope, expr, f"`{key}`")

    def number(self, key: str, expr: tree.Expr, *, whole: bool = False, least: float = 0.0) -> Any:
        """A number of at least ``least``; None after an error."""
        value = self.constant(key, expr)
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

    def word(self, key: str, expr: tree.Expr, allowed: Sequence[str]) -> str | None:
        """One of the allowed words, quoted or not; None after an error."""
        word = expr.name if isinstance(expr, tree.Name | tree.Apply) else ""
        word = expr.value if isinstance(expr, tree.Text) else word
        if word in allowed:
            return word
        hint = nearest(word, allowed)
        self.frame.error("E503", f"`{key}` is one of: {', '.join(allowed)}", expr.span, help=hint)
        return None

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

    def definition(self, expr: tree.Expr) -> Meaning:
        """What an expression means where a definition is wanted; it may read run-time scalars."""
        self.frame.clocks = True
        meaning = expressions.evaluate(self.frame, self.scope, expr)
        self.frame.clocks = False
        return meaning

    def select(self, selector: tree.Selector) -> list[str]:
        """Parameters that a selector names; none is an error."""
        found = match_parameters(selector.pattern, self.parameters)
        near = nearest(selector.pattern, self.parameters)
        if not found and (self.sound or near):
            have = ", ".join(list(self.parameters)[:6]) or "none"
            self.frame.error(
                "E507",
                f"`{selector.pattern}` selects no parameter",
                selector.span,
                help=RANKS.get(selector.pattern) or near or f"parameters are: {have}",
            )
        return found


def _shown(value: Any) -> str:
    return "all" if value is ALL else repr(value)
