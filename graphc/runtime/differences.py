"""Derivatives that are claimed, beside finite differences of what they are derivatives of.

A function of one distance is looked at from both sides at several steps. Where it is smooth, the
estimate at the step that it trusts most decides, whatever was claimed; where the two sides, or two
steps, disagree by as much as the claim is off, the point is a kink and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from graphc.runtime.face import Array

__all__ = ["QUICK", "STEPS", "Comparison", "compare", "rounding_noise"]

QUICK = 2e-5
"""The step of the plain central difference that settles nearly all, where it agrees."""
STEPS = (1e-4, 1e-3, 1e-5, 1e-6, 1e-7)
"""The steps of a closer look; small ones step over kinks nearby."""

_SLACK = 2.0
"""How many times its own doubt an estimate may be off; at a single kink or jump it is at most 7/6
of it (see :func:`_slopes`)."""
_BLUR = 4.0
"""The error of an estimate by rounding, in rounding errors of a value beside the step."""


@dataclass(frozen=True)
class Comparison:
    """Claimed and numeric derivatives, element by element, all of shape [m].

    ``error`` is relative to the larger of the two, but no finer than rounding lets a difference
    tell; ``kink`` marks elements at which there is no derivative to compare with.
    """

    exact: Array
    numeric: Array
    error: Array
    kink: Array


def compare(
    along: Callable[[float], Array],
    exact: Array,
    *,
    floor: Array | float,
    noise: Array | float,
    tolerance: float,
) -> Comparison:
    """Compare ``exact``, shape [m], with the derivative of ``along``, a function to [m], at 0.

    ``floor`` is a size of derivative below which errors are judged as if it had that size,
    ``noise`` the rounding error of a value of ``along``. Only while some element is off by more
    than ``tolerance`` is it looked at more closely.
    """
    with np.errstate(all="ignore"):
        numeric = (along(QUICK) - along(-QUICK)) / (2 * QUICK)
    error = _error(exact, numeric, floor, _BLUR * noise / QUICK / tolerance)
    if (error <= tolerance).all():
        return Comparison(exact, numeric, error, np.zeros(exact.shape, np.bool_))
    here = along(0.0)
    least = np.full(exact.shape, np.inf)
    for step in STEPS:
        slope, doubt = _slopes(along, here, step)
        blur = _BLUR * noise / step
        better = (error > tolerance) & (doubt + blur < least)
        numeric = np.where(better, slope, numeric)
        least = np.where(better, doubt + blur, least)
        error = np.where(better, _error(exact, slope, floor, blur / tolerance), error)
        if (error <= tolerance).all():
            break
    with np.errstate(all="ignore"):
        explained = ~(np.abs(exact - numeric) > _SLACK * least)
    kink = (error > tolerance) & explained & np.isfinite(exact)
    return Comparison(exact, numeric, error, kink)


def rounding_noise(value: Callable[[float], Array], tries: int = 6) -> Array:
    """How much a value moves when its arguments move by their last bit; ``value`` takes the
    relative size of that movement and draws its signs."""
    here = value(0.0)
    moved = [np.abs(value(float(np.finfo(float).eps)) - here) for _ in range(tries)]
    noise: Array = np.maximum.reduce([np.finfo(float).eps * np.abs(here), *moved])
    return noise


def _slopes(along: Callable[[float], Array], here: Array, step: float) -> tuple[Array, Array]:
    """The derivative by central differences at a step and its half, extrapolated (Richardson,
    1911: error O(step⁴)), and how far it is in doubt.

    At a smooth point the two differences agree, and what the slopes of both sides differ by is
    halved with the step; each fails where a kink or a jump is nearer than the step.
    """
    ahead, behind, half_ahead, half_behind = map(along, (step, -step, step / 2, -step / 2))
    with np.errstate(all="ignore"):
        wide = (ahead - behind) / (2 * step)
        narrow = (half_ahead - half_behind) / step
        gap = ((ahead - here) - (here - behind)) / step
        half_gap = ((half_ahead - here) - (here - half_behind)) / (step / 2)
        doubt = np.maximum(np.abs(wide - narrow), np.abs(gap - 2 * half_gap))
        slope = (4 * narrow - wide) / 3
    return slope, np.where(np.isfinite(doubt), doubt, np.inf)


def _error(exact: Array, numeric: Array, floor: Array | float, blur: Array | float) -> Array:
    """|exact − numeric| beside the largest of the rest; infinite where a number is missing."""
    with np.errstate(all="ignore"):
        miss = np.abs(exact - numeric)
        scale = np.maximum(np.maximum(np.abs(exact), np.abs(numeric)), np.maximum(floor, blur))
        ratio = np.where(miss == 0, 0.0, miss / scale)
    return np.where(np.isnan(ratio), np.inf, ratio)
