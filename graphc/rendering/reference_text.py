"""Pages of the reference as text for a terminal, formulas in Unicode or in LaTeX."""

from __future__ import annotations

from collections.abc import Iterator

from graphc.ir import LATEX, UNICODE
from graphc.rendering.layout import WIDTH, width, wrapped
from graphc.rendering.local import Formulas
from graphc.rendering.reference import READABLE, Page, Shown

__all__ = ["page_text"]

TOO_LONG = "(too long to be read)"


def page_text(page: Page, latex: bool = False) -> str:
    """The page, its parts separated by empty lines."""
    head = wrapped(page.signature, WIDTH)
    if width(f"{head[-1]}    {page.place}") <= WIDTH:
        head[-1] = f"{head[-1]}    {page.place}".rstrip()
    else:
        head.append(f"    {page.place}")
    doc = [more for line in page.doc.split("\n") for more in wrapped(f"  {line}", WIDTH, "  ")]
    parts = ["\n".join([*head, *doc])]
    parts += ["\n".join(_shown(shown, latex)) for shown in page.shown]
    if page.text:
        parts.append("\n".join(f"  {line}" for line in page.text.rstrip().split("\n")))
    return "\n\n".join(parts) + "\n"


def _shown(shown: Shown, latex: bool) -> Iterator[str]:
    if shown.when:
        yield from wrapped(f"for {shown.when}", WIDTH)
    f = LATEX if latex else UNICODE
    for left, right in shown.formulas:
        yield from _line(left.text(latex), _readable(right, latex), latex)
    flowing = [item for item in shown.derivatives if item.formula is not None]
    if shown.derivatives and not flowing:
        yield f"no gradient flows to {' and '.join(item.operand for item in shown.derivatives)}"
        return
    if shown.derivatives:
        yield f"derivatives, {f.adjoint(shown.result)} flowing in at the value"
    for item in shown.derivatives:
        formula = "0" if item.formula is None else _readable(item.formula, latex)
        yield from _line(f.adjoint(item.operand).text, formula, latex)


def _line(left: str, right: str, latex: bool) -> list[str]:
    """An equation, wrapped in a terminal."""
    line = f"  {left} = {right}"
    return [line] if latex else wrapped(line, WIDTH, "      ")


def _readable(formulas: Formulas, latex: bool) -> str:
    """A formula with parts left out, or a very long one, tells nothing."""
    long = len(formulas.unicode) > READABLE or "…" in formulas.unicode
    return TOO_LONG if long else formulas.text(latex)
