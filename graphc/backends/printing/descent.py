"""What every printed module that trains by a driver holds: a step as one iteration with its line
search, over the module's own ``loss_and_gradients``.

Where the directions come from is said in ``lbfgs`` and ``newton``. As in ``support`` this is code,
not text; the names below stand for what the printed module defines itself. Directions and scalars
are in f64 whatever the parameters are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.backends.printing.support import _check_state, _flat_arrays, _grouped, _views

__all__ = ["DESCENT", "Descent"]

Arrays = dict[str, Any]

GROUPS: tuple[tuple[str, ...], ...] = ()
MOMENTS: tuple[tuple[str, ...], ...] = ()
DRIVER: dict[str, Any] = {}
loss_and_gradients: Any = None


class Descent:
    """Full-batch minimisation: a step is one iteration with a strong-Wolfe line search."""

    def __init__(
        self, state: Arrays, batch_size: int, steps_per_epoch: Any = None, epochs: Any = None
    ) -> None:
        _check_state(state)
        weights, slopes, views = _flat_arrays(state, np.asarray(state[GROUPS[0][0]]).dtype.type)
        ((self._weights, _, *moments),) = _grouped(state, weights, slopes, views)
        self._moments = dict(zip(MOMENTS[0], moments, strict=True))
        self._views = {n: views[n] if n in views else np.array(state[n]) for n in state}
        for name, given in (("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
            if name in state and given:
                self._views[name] = np.array(int(given))
        self._kept: Any = slice(None)
        if "mask" in self._moments:
            for array in (self._weights, *moments[:-1]):
                array[self._moments["mask"] == 0.0] = 0.0
            self._kept = np.flatnonzero(self._moments["mask"])
        self.converged, self.gradient_norm = False, math.nan

    def step(self, batch: Arrays) -> float:
        """One iteration; the objective before it, penalties included.

        `gradient_norm` is that after the step. Once it is below the tolerance, or no line search
        finds less up to rounding, the parameters stay as they are and `converged` is true.
        """
        with np.errstate(all="ignore"):
            here = self._weights[self._kept].copy()
            objective, gradient = self._slopes_at(batch, here)
            if not math.isfinite(objective):
                step = int(self._views["step"])
                raise FloatingPointError(f"the objective is {objective} at step {step}")
            self.gradient_norm = float(np.linalg.norm(gradient))
            self.converged = self.gradient_norm <= DRIVER["tolerance"] or not self._moved(
                batch, here, objective, gradient
            )
        self._views["step"] = self._views["step"] + 1
        return objective

    def state(self) -> Arrays:
        """A copy of everything that the next step depends on."""
        return {name: np.array(view) for name, view in self._views.items()}

    def _moved(self, batch: Arrays, here: Any, objective: float, gradient: Any) -> bool:
        """Go along the first direction that leads down; whether there was one."""
        for direction in self._directions(batch, here, gradient):
            found = _descended(
                lambda point: self._slopes_at(batch, point), here, objective, gradient, direction
            )
            if found is not None:
                point, slopes = found
                self._weights[self._kept] = point
                self._remember(point - here, slopes - gradient)
                self.gradient_norm = float(np.linalg.norm(slopes))
                return True
        return False

    def _directions(self, batch: Arrays, here: Any, gradient: Any) -> Any:
        """Directions to try, the best first."""
        yield _steepest(gradient)

    def _remember(self, step: Any, change: Any) -> None:
        """Take in a step and the change of the gradient over it."""

    def _slopes_at(self, batch: Arrays, point: Any) -> tuple[float, Any]:
        """The objective and its gradient where the weights that are not removed are a point."""
        objective, gradients = loss_and_gradients(self._state_at(point), batch)
        flat = [gradients[name].reshape(-1) for name in GROUPS[0]]
        return float(objective), np.concatenate(flat)[self._kept].astype(np.float64)

    def _state_at(self, point: Any) -> Arrays:
        """The state with other weights."""
        whole = np.zeros_like(self._weights)
        whole[self._kept] = point
        return {**self._views, **_views(whole, GROUPS[0], self._views)}


def _steepest(gradient: Any) -> Any:
    """Down the gradient, at most a distance of 1."""
    return -gradient / max(1.0, float(np.linalg.norm(gradient)))


def _descended(at: Any, here: Any, objective: float, gradient: Any, direction: Any) -> Any:
    """A point along a direction that is a progress, and the gradient there; else None.

    Among values that differ by rounding only, a progress is a smaller gradient: without that, steps
    would go to and fro in noise for ever.
    """
    slope = float(gradient @ direction)
    if not (slope < 0.0 and math.isfinite(slope)):
        return None
    last: dict[float, Any] = {}

    def along(length):  # type: ignore[no-untyped-def]
        point = (here + length * direction).astype(here.dtype)
        value, slopes = at(point)
        last.clear()
        last[length] = value, point, slopes
        return value, float(slopes @ direction)

    noise = 16.0 * float(np.finfo(here.dtype).eps) * abs(objective)
    wolfe = DRIVER["c1"], DRIVER["c2"]
    length = _line_search(along, objective, slope, *wolfe, noise)
    if not length:
        return None
    if length not in last:
        along(length)  # type: ignore[no-untyped-call]
    value, point, slopes = last[length]
    smaller = float(np.linalg.norm(slopes)) < float(np.linalg.norm(gradient))
    return (point, slopes) if objective - value > noise / 8.0 or smaller else None


# ------------------------------------------------------------------------- line search


def _line_search(
    along: Any, value: float, slope: float, c1: float, c2: float, noise: float
) -> float:
    """A length of step that satisfies the strong Wolfe conditions; else one with sufficient
    decrease; 0.0 if none is found.

    `along` gives value and slope at a length, `value` and `slope` are those at 0 (Nocedal and
    Wright, 2006, algorithm 3.5). Values within `noise` of each other count as equal.
    """
    start = low = (0.0, value, slope)
    length = 1.0
    for _ in range(30):
        here = (length, *along(length))
        if _too_high(here, start, c1, noise) or here[1] > low[1] + noise:
            return _zoomed(along, start, low, here, c1, c2, noise)
        if abs(here[2]) <= -c2 * slope:
            return length
        if here[2] >= 0.0:
            return _zoomed(along, start, here, low, c1, c2, noise)
        low, length = here, 4.0 * length
    return float(low[0])


def _too_high(here: Any, start: Any, c1: float, noise: float) -> bool:
    """Whether a point lacks sufficient decrease. Where that drowns in rounding the slope tells it:
    of a parabola both conditions are the same (Hager and Zhang, 2005)."""
    length, value, slope = here
    if not (math.isfinite(value) and math.isfinite(slope)):
        return True
    if value <= start[1] + c1 * length * start[2]:
        return False
    return bool(value > start[1] + noise or slope > (2.0 * c1 - 1.0) * start[2])


def _zoomed(
    along: Any, start: Any, low: Any, high: Any, c1: float, c2: float, noise: float
) -> float:
    """A length between two (Nocedal and Wright, 2006, algorithm 3.6): `low` is the best so far and
    its slope leads to `high`. Every third trial halves, so that the interval shrinks for sure."""
    for trial in range(60):
        length = 0.5 * (low[0] + high[0])
        if trial % 3 < 2:
            length = _interpolated(low, high, noise)
        here = (length, *along(length))
        if _too_high(here, start, c1, noise) or here[1] > low[1] + noise:
            high = here
        elif abs(here[2]) <= -c2 * start[2]:
            return float(length)
        else:
            if here[2] * (high[0] - low[0]) >= 0.0:
                high = low
            low = here
    return float(low[0])


def _interpolated(low: Any, high: Any, noise: float) -> float:
    """Where the cubic through two values and slopes is least; among equal values, where the line
    through the slopes is 0. Not nearer to an end than a tenth of the interval."""
    (a, at_a, slope_a), (b, at_b, slope_b) = low, high
    middle = 0.5 * (a + b)
    if not (math.isfinite(at_b) and math.isfinite(slope_b)):
        return float(middle)
    if abs(at_a - at_b) <= noise:
        turn, bend = slope_a, slope_a - slope_b
    else:
        first = slope_a + slope_b - 3.0 * (at_a - at_b) / (a - b)
        root = math.copysign(math.sqrt(max(0.0, first * first - slope_a * slope_b)), b - a)
        bend = slope_b - slope_a + 2.0 * root
        turn = bend - (slope_b + root - first)
    if not bend or not math.isfinite(turn / bend):
        return float(middle)
    return float(a + (b - a) * min(0.9, max(0.1, turn / bend)))


DESCENT: list[Callable[..., Any]] = [
    _steepest,
    _descended,
    _line_search,
    _too_high,
    _zoomed,
    _interpolated,
]
