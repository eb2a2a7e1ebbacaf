"""Models, scores and gradients as text."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graphc.cli.terminal import Terminal

if TYPE_CHECKING:
    from graphc.session import Model
    from graphc.session.targets import Choice

__all__ = [
    "number",
    "show_choice",
    "show_gradients",
    "show_scores",
    "show_warnings",
    "summary_line",
]

_SMALL = 6
"""Gradients with no more elements than this are shown in full."""


def summary_line(model: Model) -> str:
    """What a model is, in a line."""
    spec = model.spec
    data = ", ".join(f"{name}: {info.type}" for name, info in spec.inputs.items())
    words = [f"{model.parameter_count:,} parameters", *([data] if data else [])]
    for role, plural in (("loss", "losses"), ("metric", "metrics"), ("output", "outputs")):
        names = model.named(role)
        if names:
            words.append(f"{role if len(names) == 1 else plural} {', '.join(names)}")
    return f"{model.name}: {'; '.join(words)}"


def show_warnings(model: Model, terminal: Terminal) -> None:
    """Warnings of the text, on standard error."""
    from graphc.diagnostics.render import render_text

    if model.warnings.items and not terminal.quiet:
        text = render_text(model.warnings, color=terminal.color(sys.stderr))
        terminal.say_error(text + "\n")


def show_choice(choice: Choice | None, terminal: Terminal) -> None:
    """What `--target auto` stands for, in a line on standard error."""
    if choice is not None and not terminal.quiet and not terminal.json:
        terminal.say_error(choice.line)


def show_scores(scores: Mapping[str, Mapping[str, Any]], terminal: Terminal) -> None:
    """A line a part with objective, losses and metrics in columns; arrays below."""
    rows = {part: _cells(score) for part, score in scores.items()}
    names = list(dict.fromkeys(name for cells in rows.values() for name in cells))
    first = max((len(part) for part in rows), default=0)
    widths = {
        name: max(len(name), *(len(cells.get(name, "")) for cells in rows.values()))
        for name in names
    }
    terminal.say(" ".rjust(first) + "".join(f"  {name.rjust(widths[name])}" for name in names))
    for part, cells in rows.items():
        line = "".join(f"  {cells.get(name, '').rjust(widths[name])}" for name in names)
        terminal.say(part.rjust(first) + line)
    for part, score in scores.items():
        for name, value in score["metrics"].items():
            if not _is_number(value):
                terminal.say(f"\n{name} ({part})\n{value}")


def show_gradients(
    gradients: Mapping[str, Any], state: Mapping[str, Any], terminal: Terminal
) -> None:
    """Each parameter with its value and its gradient; large ones by their Euclidean norms."""
    import numpy as np

    rows: list[Sequence[str]] = [("parameter", "value", "gradient")]
    for name, gradient in gradients.items():
        slope = np.asarray(gradient)
        if slope.size <= _SMALL:
            rows.append((name, _values(state[name]), _values(slope)))
            continue
        norms = (np.linalg.norm(np.asarray(a, float).ravel()) for a in (state[name], slope))
        rows.append((name, *(f"norm {number(float(norm))}" for norm in norms)))
    first, *rest = (max(len(row[column]) for row in rows) for column in range(3))
    for name, *cells in rows:
        shown = "".join(f"  {c.rjust(width)}" for c, width in zip(cells, rest, strict=True))
        terminal.say(name.ljust(first) + shown)


def number(value: float) -> str:
    """Six significant digits."""
    return f"{value:.6g}"


def _cells(score: Mapping[str, Any]) -> dict[str, str]:
    cells = {"objective": number(score["objective"])}
    for name, value in {**score["losses"], **score["metrics"]}.items():
        if _is_number(value):
            cells[name] = number(float(value))
    return cells


def _is_number(value: Any) -> bool:
    return getattr(value, "ndim", 0) == 0


def _values(array: Any) -> str:
    import numpy as np

    flat = [number(float(value)) for value in np.asarray(array).ravel()]
    return flat[0] if np.ndim(array) == 0 else f"[{' '.join(flat)}]"
