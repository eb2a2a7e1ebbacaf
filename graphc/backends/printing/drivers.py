"""The ``Trainer`` of a model that trains by a driver, and what it calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from graphc.backends.printing import lbfgs, newton
from graphc.backends.printing.descent import DESCENT, Descent
from graphc.backends.printing.functions import gap
from graphc.backends.printing.writer import Writer
from graphc.model.program import Driver

__all__ = ["DRIVER_FUNCTIONS", "print_driver"]

DRIVER_FUNCTIONS: list[Callable[..., Any]] = [*DESCENT, *lbfgs.LBFGS, *newton.NEWTON]
"""What the classes call; a module holds those that its own calls."""

_TRAINERS: dict[str, type[Descent]] = {"lbfgs": lbfgs.Trainer, "newton": newton.Trainer}


Printed = Callable[[Callable[..., Any]], str]
"""Gives the source of a function."""


def print_driver(w: Writer, driver: Driver, printed: Printed) -> None:
    """``Descent`` and ``Trainer``."""
    for cls in (Descent, _TRAINERS[driver.name]):
        _print_class(w, cls, printed)
        gap(w)


def _print_class(w: Writer, cls: type[Descent], printed: Printed) -> None:
    """A class as it is but without annotations."""
    bases = [base.__name__ for base in cls.__bases__ if base is not object]
    with w.block(f"class {cls.__name__}{f'({bases[0]})' if bases else ''}:"):
        lines = inspect.cleandoc(cls.__doc__ or "").splitlines()
        w.docstring(*lines)
        for member in vars(cls).values():
            if inspect.isfunction(member):
                w.line()
                w.source(printed(member))
