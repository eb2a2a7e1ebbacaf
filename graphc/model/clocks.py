"""Run-time scalars: ``epoch``, ``step``, ``epochs``, ``steps``.

Here is what reads one and what becomes of it; where they may be read is decided by the frame.
"""

from __future__ import annotations

from graphc.diagnostics import Span
from graphc.ir import OPERATORS, Type
from graphc.language import tree
from graphc.model.frame import Frame
from graphc.model.meanings import POISON, Meaning, RunTime, Scope, Tensor
from graphc.model.syntax import parts

__all__ = ["CLOCKS", "CLOCK_HELP", "clock", "mentions_clock"]

CLOCKS = ("epoch", "step", "epochs", "steps")
CLOCK_HELP = (
    "epoch, step, epochs and steps belong in attributes of an optimizer, in rates of dropout and "
    "noise, and in minimize"
)


def clock(frame: Frame, name: str, span: Span) -> Meaning:
    """The scalar as a tensor of the graph, where it may be read."""
    if not frame.clocks:
        frame.error(
            "E308",
            f"the run-time scalar `{name}` cannot be used here",
            span,
            help=CLOCK_HELP,
        )
        return POISON
    with frame.at(span):
        op = OPERATORS["clock"](name)  # type: ignore[call-arg]
        return Tensor(frame.builder.place(op, (), Type("real"), name))


def mentions_clock(frame: Frame, scope: Scope, expr: tree.Expr) -> bool:
    """Whether an expression reads a run-time scalar, directly or through an attribute."""
    for part in parts(expr):
        if not isinstance(part, tree.Name):
            continue
        binding = scope.find(part.name) or frame.home.scope.find(part.name)
        if binding is None and part.name in CLOCKS:
            return True
        if binding is not None and isinstance(binding.meaning, RunTime):
            return True
    return False
