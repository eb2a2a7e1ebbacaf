"""The generated source of a checked program, and the module that it makes, each when asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from graphc import __version__
from graphc.backends.targets import load_target
from graphc.model import Programs
from graphc.runtime import Module, RunError
from graphc.session.checking import Checked, deep_recursion
from graphc.session.loading import load_source
from graphc.session.products import expect_products, product_errors
from graphc.session.targets import expect_device, lacking_errors

__all__ = ["Generated", "budget_errors"]


class Generated:
    """What the passes and the printer make of a checked program, once it is asked for.

    ``family`` holds the same for other targets: the passes run once for all of them.
    """

    def __init__(self, checked: Checked, family: dict[str, Generated] | None = None) -> None:
        self.checked = checked
        self._family = {} if family is None else family
        self._family[checked.request.target] = self

    def on(self, target: str) -> Generated:
        """The same for another target."""
        if target not in self._family:
            request = replace(self.checked.request, target=target)
            Generated(replace(self.checked, request=request), self._family)
        return self._family[target]

    @cached_property
    def programs(self) -> Programs:
        """Training, evaluation and prediction as graphs, ready to print."""
        from graphc.passes import lower

        first = next(iter(self._family.values()))
        if first is not self:
            return first.programs
        request = self.checked.request
        if request.products:
            expect_products(self.checked.spec, self.checked.roots)
        with deep_recursion(self.checked.spec.path), product_errors():
            program = self.checked.program.copy()
            return lower(program, products=request.products, cut=request.cut, fuse=request.fuse)

    @cached_property
    def source(self) -> str:
        return self.printed()

    @cached_property
    def module(self) -> Module:
        """The module, loaded. RunError where there is no device for it."""
        expect_device(self.checked.request.target)
        return load_source(self.checked.spec.name, self.source)

    def printed(self, *, steps_per_epoch: int | None = None, weights: str | None = None) -> str:
        """Source for a file of its own; ``weights`` is the name of the npz file beside it."""
        room = load_target(self.checked.request.target)
        with deep_recursion(self.checked.spec.path), budget_errors(), lacking_errors():
            return room.print_module(
                self.programs,
                classes={name: list(names) for name, names in self.checked.classes.items()},
                version=__version__,
                steps_per_epoch=steps_per_epoch,
                weights=weights,
                reuse=self.checked.request.reuse,
            )


@contextlib.contextmanager
def budget_errors() -> Iterator[None]:
    """A step that cannot be planned within its memory says so as an error for people."""
    from graphc.schedule import BudgetError

    try:
        yield
    except BudgetError as problem:
        raise RunError(problem.message, help=problem.help) from problem
