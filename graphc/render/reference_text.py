"""Pages of the reference as text for a terminal, formulas in Unicode or in LaTeX."""

from __future__ import annotations

from collections.abc import Iterator

from graphc.ir import LATEX, UNICODE
from graphc.render.reference import Page, Shown

__all__ = ["page_text"]

TOO_LONG = "(too long to be read)"


def page_text(page: Page, latex: bool = False) -> str:
    """The page, its parts separated by empty lines."""
    head = f"{page.signature}    {page.place}".rstrip()
    doc = [f"  {line}" for line in page.doc.split("\n")]
    parts = ["\n".join([head, *doc])]
    parts += ["\n".join(_shown(shown, latex)) for shown in page.shown]
    if page.text:
        parts.append("\n".join(f"  {line}" for line in page.text.rstrip().split("\n")))
    return "\n\n".join(parts) + "\n"


def _shown(shown: Shown, latex: bool) -> Iterator[str]:
    if shown.when:
        yield f"for {shown.when}"
    f = LATEX if latex else UNICODE
    for left, right in shown.formulas:
        yield f"  {left.text(latex)} = {_readable(right.text(latex), f.symbol('…').text)}"
    if not shown.derivatives:
        return
    yield f"derivatives, {f.adjoint(shown.result)} flowing in at the value"
    for item in shown.derivatives:
        formula = "0" if item.formula is None else item.formula.text(latex)
        yield f"  {f.adjoint(item.operand)} = {_readable(formula, f.symbol('…').text)}"


def _readable(formula: str, gap: str) -> str:
    """A formula with parts left out tells too little."""
    return TOO_LONG if gap in formula else formula
