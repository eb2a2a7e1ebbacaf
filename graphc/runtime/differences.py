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

__all__ = ["STEPS", "Comparison", "compare", "rounding_noise"]

STEPS = (1e-4, 1e-3, 1e-5, 1e-6, 1e-7)
"""Distances, the one that settles nearly all first; small ones step over kinks nearby."""

_SLACK = 4.0
"""How many times its own doubt an estimate may be off: at a jump of the function nearer than half
a step, where doubt is smallest in proportion, it is off by 7/3 of it (see :func:`_slopes`)."""


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
    ``noise`` the rounding error of a value of ``along``. Further steps are tried only while some
    element is off by more than ``tolerance``.
    """
    here = along(0.0)
    numeric = np.full(exact.shape, np.nan)
    least = np.full(exact.shape, np.inf)
    error = np.full(exact.shape, np.inf)
    gaps: dict[float, Array] = {}
    for step in STEPS:
        slope, doubt, gaps[step] = _slopes(along, here, step)
        blur = _SLACK * noise / step
        better = (error > tolerance) & (doubt + blur < least)
        numeric = np.where(better, slope, numeric)
        least = np.where(better, doubt + blur, least)
        scale = np.maximum(np.abs(exact), np.abs(slope))
        scale = np.maximum(scale, np.maximum(floor, blur / tolerance))
        error = np.where(better, _relative(np.abs(exact - slope), scale), error)
        if (error <= tolerance).all():
            break
    off = error > tolerance
    kink = off & np.isfinite(exact) if off.any() else off
    if kink.any():
        allowed = np.maximum(_SLACK * least, _standing_gap(gaps, noise))
        kink &= ~(np.abs(exact - numeric) > allowed)
    return Comparison(exact, numeric, error, kink)


def rounding_noise(value: Callable[[float], Array], tries: int = 6) -> Array:
    """How much a value moves when its arguments move by their last bit; ``value`` takes the
    relative size of that movement and draws its signs."""
    here = value(0.0)
    moved = [np.abs(value(float(np.finfo(float).eps)) - here) for _ in range(tries)]
    noise: Array = np.maximum.reduce([np.finfo(float).eps * np.abs(here), *moved])
    return noise


def _slopes(
    along: Callable[[float], Array], here: Array, step: float
) -> tuple[Array, Array, Array]:
    """The derivative by central differences at a step and its half, extrapolated (Richardson,
    1911: error O(step⁴)); by how much the two differ; and how much the sides do."""
    ahead, behind = along(step), along(-step)
    with np.errstate(all="ignore"):
        wide = (ahead - behind) / (2 * step)
        narrow = (along(step / 2) - along(-step / 2)) / step
        gap = np.abs((ahead - here) - (here - behind)) / step
        doubt = np.abs(wide - narrow)
        slope = (4 * narrow - wide) / 3
    return slope, np.where(np.isfinite(doubt), doubt, np.inf), gap


def _relative(miss: Array, scale: Array) -> Array:
    """miss / scale, 0/0 being 0; infinite for what is not a number."""
    with np.errstate(all="ignore"):
        ratio = np.where(miss == 0, 0.0, miss / scale)
    return np.where(np.isnan(ratio), np.inf, ratio)


def _standing_gap(gaps: dict[float, Array], noise: Array | float) -> Array:
    """How far the slopes of both sides are apart where that does not shrink with the step: at a
    smooth point it is the step times the second derivative."""
    near, far = min(STEPS), max(STEPS)
    with np.errstate(all="ignore"):
        left = gaps[near] - _SLACK * noise / near
        stands = (left > 0.1 * gaps[far]) & np.isfinite(left)
    return np.where(stands, left, 0.0)
