"""What the command line adds to a text: values of hypers and of section keys, example values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from graphc.diagnostics import Diagnostics, Source, Span
from graphc.language import parse, tree
from graphc.model import values
from graphc.model.frame import Frame, nearest
from graphc.model.meanings import POISON, Scope

__all__ = [
    "FILE_KEYS",
    "KEYS",
    "Setting",
    "Settings",
    "is_idx",
    "overridden",
    "read_settings",
    "unknown_settings",
]

TRAIN_KEYS = (
    "epochs", "batch", "optimizer", "stop", "seed", "precision", "watch", "memory",
)  # fmt: skip
PRUNE_KEYS = (
    "method", "curvature", "remove", "scope", "sparsity", "schedule", "steps", "retrain", "rewind",
    "stop", "max_rise", "damping", "max_move", "seed",
)  # fmt: skip
FILE_KEYS = ("file", "train", "validation", "test")
"""Keys of the data section whose values are files."""
KEYS: dict[str, tuple[str, ...]] = {
    "data": (*FILE_KEYS, "split"),
    "train": TRAIN_KEYS,
    "regularize": (),
    "prune": PRUNE_KEYS,
}
"""The keys of each section; `--set section.key=…` gives one."""


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


@dataclass(eq=False)
class Setting:
    """A value that the command line gives: its text, as an expression."""

    text: str
    expr: tree.Expr

    @property
    def as_text(self) -> tree.Expr:
        """The value where a text is wanted: quotes may be left out."""
        return (
            self.expr if isinstance(self.expr, tree.Text) else tree.Text(self.expr.span, self.text)
        )

    @property
    def as_file(self) -> tree.Expr:
        """The value where a file is wanted: ``idx{…}``, or else a path without its quotes."""
        return self.expr if is_idx(self.expr) else self.as_text


def is_idx(expr: tree.Expr) -> TypeGuard[tree.Apply]:
    """Whether an expression is ``idx{column = "path", …}``, the files of several columns."""
    called = isinstance(expr, tree.Apply) and expr.arguments is None
    return called and isinstance(expr, tree.Apply) and expr.name == "idx"


def read_settings(texts: Mapping[str, str]) -> dict[str, Setting]:
    """Parse ``NAME=VALUE`` texts. A value that is no expression counts as a text (a path, say)."""
    result = {}
    for name, text in texts.items():
        last = name.rpartition(".")[2]
        head = f"hyper {last if last.isidentifier() else 'value'} = "
        source = Source(f"the value of {name}", f"{head}{text}\n")
        quiet = Diagnostics()
        read = parse(source, quiet).statements
        if quiet.errors or len(read) != 1 or not isinstance(read[0], tree.Hyper):
            expr: tree.Expr = tree.Text(Span(source, len(head), len(head) + len(text)), text)
        else:
            expr = read[0].value
        result[name] = Setting(text, expr)
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


def overridden(frame: Frame, scope: Scope, name: str, written: Any, setting: Setting) -> Any:
    """The value that ``--set`` gives a hyper, of the written one's kind, or POISON."""
    expr = setting.as_text if isinstance(written, str) else setting.expr
    value = values.constant(frame, scope, expr, f"--set {name}")
    if value is POISON or written is POISON:
        return POISON
    if isinstance(written, float) and type(value) is int:
        value = float(value)
    same = isinstance(value, type(written)) or (
        isinstance(written, int) and isinstance(value, float) and not isinstance(written, bool)
    )
    if not same or (isinstance(value, bool) != isinstance(written, bool)):
        frame.error(
            "E353",
            f"--set {name}={setting.text}: {name} is {_kind_text(written)}, "
            f"not {_kind_text(value)}",
            None,
        )
        return POISON
    return value


def _kind_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    names = {int: "an integer", float: "a number", str: "a text", tuple: "a list"}
    return names.get(type(value), "another thing")
