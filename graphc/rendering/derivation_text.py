"""A derivation as plain text or as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from graphc.diagnostics import Span
from graphc.ir import LATEX, UNICODE
from graphc.rendering.layout import WIDTH, Row, padded, table, width, wrapped
from graphc.rendering.numbers import brief
from graphc.rendering.steps import Contribution, Derivation, Path, Step

__all__ = ["derivation_latex", "derivation_text", "product_text"]

WIDEST = 60
"""Columns in which a value's formula and its definition's stand on one line."""

MOST_SUMMANDS = 8
"""Contributions that the last line still spells out."""
MOST_FACTORS = 4
"""Elements of a gradient and of a local derivative that are shown as a product."""


def derivation_text(derivation: Derivation) -> str:
    """The derivation for a terminal."""
    lines = [_title(derivation)]
    if derivation.nothing:
        return "\n".join([*lines, "", f"{derivation.nothing}: ∂{_by(derivation)} = 0", ""])
    lines += [*_reading(derivation), "", "forward"]
    steps = set(map(id, derivation.steps))
    lines += table(
        [
            row
            for step in _forward(derivation)
            for row in _forward_rows(step, given=id(step) not in steps)
        ]
    )
    lines += _left_out(derivation)
    lines += ["", f"backward, from {derivation.objective} to {derivation.name}"]
    lines += table(_backward_rows(derivation))
    lines += ["", *_conclusion(derivation), ""]
    return "\n".join(lines)


def _by(derivation: Derivation) -> str:
    return f"{derivation.objective}/∂{derivation.name}"


def _title(derivation: Derivation) -> str:
    title = f"∂{_by(derivation)} in {derivation.model}"
    return f"{title}, {derivation.setting}" if derivation.setting else title


def _reading(derivation: Derivation) -> list[str]:
    """The lines that say how gradients, and signs that need it, are written."""
    names = [step.name for step in derivation.steps]
    short = next((name for name in names if len(name) == 1), None)
    long = next((name for name in names if len(name) > 1 and name != derivation.objective), None)
    shown = [UNICODE.adjoint(name).text for name in (short, long) if name]
    meant = [f"∂{derivation.objective}/∂{name}" for name in (short, long) if name]
    said = []
    if shown:
        verb = "stands" if len(shown) == 1 else "stand"
        said.append(f"{' and '.join(shown)} {verb} for {' and '.join(meant)}")
    formulas = list(_formulas(derivation))
    said += [text for mark, text in MARKS if any(mark.search(formula) for formula in formulas)]
    said += [
        f"{name} is {length}"
        for name, length in derivation.lengths.items()
        if any(re.search(rf"\b{re.escape(name)}\b", formula) for formula in formulas)
    ]
    return wrapped("; ".join(said), WIDTH, "") if said else []


MARKS = tuple(
    (re.compile(mark), text)
    for mark, text in (
        (r"\[[^{}]* [<>=≤≥≠] |\[¬", "[c] is 1 where c holds, else 0"),
        ("[₀-₉]", "Σ₀ sums over the first axis, Σ₁ over the second"),
        ("⊗", "a ⊗ b has the elements aᵢ·bⱼ"),
        (r"at\[", "at[i](v) is v at the places i, else 0"),
        ("overlap_add", "overlap_add sums what windows that overlap pass back"),
        ("…", "… stands for what is too long to be read"),
    )
)
"""Signs that not every reader knows, and what they mean."""


def _formulas(derivation: Derivation) -> Iterator[str]:
    for step in (*derivation.given, *derivation.steps):
        yield from (item.unicode for item in (step.formula, step.expansion) if item is not None)
        yield from (item.formula.unicode for item in step.contributions)


# ------------------------------------------------------------------------------ tables


def _forward(derivation: Derivation) -> list[Step]:
    """The steps, and before them what they start from, in the order of the text."""
    steps = [*derivation.given, *derivation.steps]
    leaves = [step for step in steps if step.formula is None]
    leaves.sort(key=lambda step: step.span.start if step.span else -1)
    return [*leaves, *(step for step in steps if step.formula is not None)]


def _forward_rows(step: Step, given: bool) -> list[Row]:
    """A value with its formula; of one off the path that has a number, the number alone."""
    number = brief(step.value)
    if step.formula is None:
        return [(step.name, f"= {number}" if number else f": {step.type}", "", _place(step.span))]
    right = f"= {number}" if number else _shape(step)
    formulas = [f"= {item.unicode}" for item in (step.formula, step.expansion) if item is not None]
    if given and number:
        formulas = []
    if sum(map(width, formulas)) < WIDEST:
        formulas = [" ".join(formulas)]
    first, *rest = formulas
    place = _place(step.span)
    if not rest:
        return [(step.name, first, right, place)]
    return [(step.name, first, "", place), ("", rest[0], right, "")]


def _shape(step: Step) -> str:
    """``: [n, 64]``; nothing for a single number."""
    _, bracket, sizes = step.type.partition("[")
    return f": [{sizes}" if bracket else ""


def _backward_rows(derivation: Derivation) -> list[Row]:
    rows: list[Row] = []
    for step in reversed(derivation.steps):
        rows += _gradient_rows(step)
    return rows


def _gradient_rows(step: Step) -> list[Row]:
    """A row a contribution, and their sum."""
    left = step.gradient_name.unicode
    if not step.contributions:
        return [(left, "= 1", "", "")]
    rows = [
        ("" if i else left, _summand(item, first=i == 0), product_text(item), _through(item))
        for i, item in enumerate(step.contributions)
    ]
    missing = step.contribution_count - len(step.contributions)
    if missing:
        note = f"+ … {missing:,} more contributions; --all shows them"
        rows.insert((len(rows) + 1) // 2, ("", note, "", ""))
    if len(rows) > 1 and step.gradient is not None:
        rows.append(("", "", f"= {brief(step.gradient)}, the sum", ""))
    return rows


def _summand(item: Contribution, first: bool) -> str:
    formula = item.formula.unicode
    if first:
        return f"= {formula}"
    negative = formula.startswith(UNICODE.minus)
    return f"{UNICODE.minus} {formula[1:]}" if negative else f"+ {formula}"


def _through(item: Contribution) -> str:
    return f"through {item.through}"


def product_text(item: Contribution) -> str:
    """``= 0.5 · 1.5 = 0.75``: upstream, local derivative, contribution; empty without numbers."""
    if item.value is None:
        return ""
    whole = brief(item.value)
    if item.local_value is None or item.upstream_value is None:
        return f"= {whole}"
    if np.size(item.upstream_value) > MOST_FACTORS or np.size(item.local_value) > MOST_FACTORS:
        return f"= {whole}"
    factors = [brief(item.upstream_value), brief(item.local_value)]
    return f"= {' · '.join(map(_fenced, factors))} = {whole}"


def _fenced(number: str) -> str:
    return f"({number})" if number.startswith("−") else number


def _place(span: Span | None) -> str:
    if span is None:
        return ""
    name = span.source.name.replace("\\", "/").rsplit("/", 1)[-1]
    return f"{name}:{span.line}"


def _left_out(derivation: Derivation) -> list[str]:
    missing = derivation.step_count - len(derivation.steps)
    return (
        [f"  … {missing:,} steps in the middle are left out; --all shows them"] if missing else []
    )


# -------------------------------------------------------------------------- conclusion


def _conclusion(derivation: Derivation) -> list[str]:
    step = derivation.result
    assert step is not None
    formula = " + ".join(item.formula.unicode for item in step.contributions) or "1"
    many = step.contribution_count > MOST_SUMMANDS
    lines = [step.gradient_name.unicode if many else formula.replace("+ −", "− ")]
    numbers = [brief(item.value) for item in step.contributions]
    small = all(item.value is not None and np.size(item.value) == 1 for item in step.contributions)
    if len(numbers) > 1 and small and not many:
        lines.append(" + ".join(numbers).replace("+ −", "− "))
    if step.gradient is not None:
        lines.append(brief(step.gradient))
    start = f"∂{_by(derivation)} = "
    lines = _aligned(start, lines)
    paths = _paths(derivation)
    return [*paths, *([""] if paths else []), *lines]


def _aligned(start: str, lines: Sequence[str]) -> list[str]:
    """Equal things below each other, their signs in one column."""
    shown = []
    if width(start) > WIDTH // 2:
        shown, start, lines = [start.rstrip(" =")], "    = ", ["", *lines]
    room = WIDTH - width(start)
    for i, line in enumerate(lines):
        if not line:
            continue
        first, *rest = wrapped(line, room, "  ")
        shown.append(padded("" if i else start[:-2], width(start) - 2) + f"= {first}")
        shown += [" " * width(start) + more for more in rest]
    return shown


def _paths(derivation: Derivation) -> list[str]:
    if derivation.path_count == 1 and not derivation.paths:
        return []
    if not derivation.paths:
        ways = f"{_large(derivation.path_count)} paths"
        return [f"{ways} from {derivation.name} to {derivation.objective}"]
    count = "the only path" if derivation.path_count == 1 else f"{derivation.path_count} paths"
    alike: dict[tuple[str, ...], list[Path]] = {}
    for path in derivation.paths:
        alike.setdefault(path.names, []).append(path)
    rows = [_path_row(names, paths) for names, paths in alike.items()]
    column = max(width(path) for path, _ in rows)
    lines = []
    for names, share in rows:
        lines += wrapped(f"  {padded(names, column)}  {share}".rstrip(), WIDTH)
    return [f"{count} from {derivation.name} to {derivation.objective}", *lines]


def _large(count: int) -> str:
    return f"{count:,}" if count < 10**9 else f"about {UNICODE.number(float(count))}"


def _path_row(names: tuple[str, ...], paths: Sequence[Path]) -> tuple[str, str]:
    """A path with its share; several uses of a value by the same one are told together."""
    values = [path.value for path in paths if path.value is not None]
    share = brief(sum(values)) if len(values) == len(paths) else ""
    times = f", {len(paths)} times" if len(paths) > 1 else ""
    return " → ".join(names) + times, share


# ------------------------------------------------------------------------------- LaTeX


def derivation_latex(derivation: Derivation) -> str:
    """The derivation as one ``align*`` environment (amsmath)."""
    above, below = (_symbol(name) for name in (derivation.objective, derivation.name))
    head = f"\\frac{{\\partial {above}}}{{\\partial {below}}}"
    if derivation.nothing:
        return f"\\begin{{align*}}\n{head} &= 0\n\\end{{align*}}\n"
    rows = [_latex_forward(step) for step in derivation.steps if step.formula is not None]
    rows += [_latex_backward(step) for step in reversed(derivation.steps)]
    step = derivation.result
    assert step is not None
    last = f"{head} &= {step.gradient_name.latex}"
    last += _latex_number(step.gradient)
    return "\\begin{align*}\n" + " \\\\\n".join([*rows, last]) + "\n\\end{align*}\n"


def _symbol(name: str) -> str:
    return LATEX.symbol(name).text


def _latex_forward(step: Step) -> str:
    assert step.formula is not None
    return f"{_symbol(step.name)} &= {step.formula.latex}{_latex_number(step.value)}"


def _latex_backward(step: Step) -> str:
    formula = " + ".join(item.formula.latex for item in step.contributions) or "1"
    value = _latex_number(step.gradient) if step.contributions else ""
    return f"{step.gradient_name.latex} &= {formula.replace('+ -', '- ')}{value}"


def _latex_number(value: Any) -> str:
    """A single number; arrays are left to the text."""
    if value is None or np.ndim(value):
        return ""
    return f" = {LATEX.number(np.asarray(value).item())}"
