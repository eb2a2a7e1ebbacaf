"""``python model.py --selftest`` of a model that trains by a driver: its steps, in f64.

The names below stand for what the module defines; the other checks are those of ``selftest``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.backends.printing import selftest
from graphc.backends.printing.selftest import _difference, _moved, _report

__all__ = ["DRIVER_SELFTEST"]

Arrays = dict[str, Any]

GROUPS: tuple[tuple[str, ...], ...] = ()
loss_and_gradients: Any = None
Trainer: Any = None


def _check_trainer(state: Arrays, batch: Arrays) -> bool:
    """Steps of the trainer, and the products with the Hessian where the module has them."""
    products = globals().get("hessian_vector_products")
    checks = [] if products is None else [_check_products(state, batch, products)]
    checks += [_check_descent(state, batch), _check_resumed(state, batch)]
    return all(checks)


def _check_descent(state: Arrays, batch: Arrays) -> bool:
    """A few steps: what each says of the objective and the gradient is true, and none goes up."""
    trainer, worst = Trainer(state, 1), 0.0
    objectives = [loss_and_gradients(state, batch)[0]]
    for _ in range(5):
        worst = max(worst, _difference(trainer.step(batch), objectives[-1]))
        objective, gradients = loss_and_gradients(trainer.state(), batch)
        worst = max(worst, _difference(trainer.gradient_norm, np.linalg.norm(_row(gradients))))
        objectives.append(objective)
    rises = np.diff(objectives) / np.maximum(np.abs(objectives[1:]), 1e-300)
    down = bool(np.all(rises <= 1e-12))
    detail = f"from {objectives[0]:.6g} to {objectives[-1]:.6g} in 5"
    return _report("steps go down", down and worst <= 1e-9, detail)


def _check_resumed(state: Arrays, batch: Arrays) -> bool:
    """A trainer made from another's state goes on bit for bit."""
    first = Trainer(state, 1)
    for _ in range(3):
        first.step(batch)
    second = Trainer(first.state(), 1)
    same = first.step(batch) == second.step(batch)
    one, other = first.state(), second.state()
    same = same and all(np.array_equal(one[name], other[name]) for name in one)
    return _report("taken up again = in one go", same, "bit for bit" if same else "not so")


def _check_products(state: Arrays, batch: Arrays, products: Any) -> bool:
    """The Hessian times a random vector against central differences of the gradient."""
    random, best = np.random.default_rng(1), np.inf
    direction = {name: random.standard_normal(state[name].shape) for name in GROUPS[0]}
    tangents = {name: value[None] for name, value in direction.items()}
    product = _row({name: value[0] for name, value in products(state, batch, tangents).items()})
    for distance in (1e-4, 1e-5, 1e-6):
        ahead = loss_and_gradients(_moved(state, direction, distance), batch)[1]
        behind = loss_and_gradients(_moved(state, direction, -distance), batch)[1]
        best = min(best, _difference(product, (_row(ahead) - _row(behind)) / (2.0 * distance)))
    detail = f"error {best:.1e} of 1e-5 allowed"
    return _report("Hessian = finite differences", best <= 1e-5, detail)


def _row(arrays: Arrays) -> Any:
    """Arrays of all parameters as one vector."""
    return np.concatenate([arrays[name].reshape(-1) for name in GROUPS[0]])


DRIVER_SELFTEST: list[Callable[..., Any]] = [
    selftest._check_training,
    selftest._moved,
    selftest._check_gradients,
    selftest._directions,
    selftest._slope_error,
    selftest._check_symmetry,
    selftest._asymmetry,
    _check_trainer,
    _check_descent,
    _check_resumed,
    _check_products,
    _row,
    selftest._difference,
]
