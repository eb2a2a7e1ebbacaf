"""Functions that a module holds on request: what may be asked for, and why it cannot be had."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from graphc.ir import TypeRuleError
from graphc.model import PRODUCTS, ModelSpec
from graphc.runtime import RunError
from graphc.runtime.wording import listing
from graphc.session.loading import no_gradient

__all__ = ["expect_products", "known_products", "product_errors"]


def known_products(names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once, in the order of the module. RunError for one that is none."""
    for name in names:
        if name not in PRODUCTS:
            raise RunError(
                f"no function is called {name}", help=f"there are {listing(list(PRODUCTS))}"
            )
    return tuple(name for name in PRODUCTS if name in names)


def expect_products(spec: ModelSpec, roots: Sequence[tuple[str, str]]) -> None:
    """RunError for a model that has nothing to differentiate."""
    has_objective = ("objective", "") in roots
    if not (has_objective and spec.learned):
        raise no_gradient(spec.name, has_objective=has_objective)


@contextlib.contextmanager
def product_errors() -> Iterator[None]:
    """A pass that cannot do what was asked for says so as an error for people."""
    try:
        yield
    except TypeRuleError as problem:
        raise RunError(problem.message, help=problem.help) from problem
