"""How far arrays are from what they should be, and how far they may be.

An error is relative to the largest number of the array, or to a thousandth of the largest in all
arrays of the same sort: a gradient that is zero but for rounding is held to the size of the others.

*f64*: 1e-10, against the CPU's result.

*f32*: both results are compared with the CPU's in f64 at the same f32 numbers. The GPU's may be 8
times as far from it as the CPU's f32 is, and 32 roundings (3.8e-6) more: what adds up in another
order errs as much, not the same. So a step of Adam along a gradient that is only rounding, which
is the learning rate in any direction, is no mistake of the one where it is none of the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Arrays", "Finding", "compare", "compare_rounded"]

Arrays = Mapping[str, Any]

RELATIVE = 1e-10
FLOOR = 1e-3
FACTOR = 8.0
ROUNDINGS = 32 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Finding:
    """The worst error, of which array, and what would have been allowed there."""

    error: float
    allowed: float
    where: str

    @property
    def good(self) -> bool:
        return self.error <= self.allowed


def compare(actual: Arrays, expected: Arrays) -> Finding:
    """f64 against f64."""
    errors = _errors(actual, expected)
    return _worst({name: Finding(error, RELATIVE, name) for name, error in errors.items()})


def compare_rounded(actual: Arrays, other: Arrays, truth: Arrays) -> Finding:
    """f32 of the GPU and, ``other``, of the CPU, against f64."""
    errors, others = _errors(actual, truth), _errors(other, truth)
    findings = {}
    for name, error in errors.items():
        usual = others.get(name, 0.0)
        allowed = FACTOR * usual + ROUNDINGS if np.isfinite(usual) else ROUNDINGS
        findings[name] = Finding(error, allowed, name)
    return _worst(findings)


def _worst(findings: dict[str, Finding]) -> Finding:
    """The one that is the most beside what is allowed."""
    if not findings:
        return Finding(0.0, RELATIVE, "")
    return max(findings.values(), key=lambda finding: finding.error / finding.allowed)


def _errors(actual: Arrays, expected: Arrays) -> dict[str, float]:
    """By name; infinite for what is missing, of another shape or kind, or not finite elsewhere."""
    if actual.keys() != expected.keys():
        odd = sorted(actual.keys() ^ expected.keys())
        return {f"{odd[0]}, which one side lacks": float("inf")}
    largest = _largest(expected)
    return {
        name: _error(np.asarray(actual[name]), np.asarray(expected[name]), largest[_sort(name)])
        for name in expected
    }


def _sort(name: str) -> str:
    """Parameters are of one sort, and so are the moments ``…:m`` of all of them."""
    return name.rpartition(":")[2] if ":" in name else ""


def _largest(arrays: Arrays) -> dict[str, float]:
    """The largest finite number in the arrays of each sort."""
    found: dict[str, float] = {}
    for name, array in arrays.items():
        found[_sort(name)] = max(found.get(_sort(name), 0.0), _size(np.asarray(array)))
    return found


def _size(array: Any) -> float:
    if array.dtype.kind not in "fiub":
        return 0.0
    numbers = np.abs(array.astype(np.float64))
    return float(numbers[np.isfinite(numbers)].max(initial=0.0))


def _error(actual: Any, expected: Any, largest: float) -> float:
    if actual.shape != expected.shape or actual.dtype.kind != expected.dtype.kind:
        return float("inf")
    if expected.dtype.kind != "f":
        return 0.0 if np.array_equal(actual, expected) else float("inf")
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    special = ~np.isfinite(e)
    if not np.array_equal(a[special], e[special], equal_nan=True):
        return float("inf")
    gap = np.abs(a[~special] - e[~special]).max(initial=0.0)
    if gap == 0.0:
        return 0.0
    scale = max(_size(expected), FLOOR * largest)
    return float(gap / scale) if scale and np.isfinite(gap) else float("inf")
