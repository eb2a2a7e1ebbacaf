"""Which rows train, which validate, which test; and the order of the rows in each epoch.

Everything is a pure function of its arguments: random choices come from a Philox generator keyed
by the seed and by what the choice is for. The raw 64-bit stream is sorted instead of asking
NumPy for a permutation, because only the stream is promised to be the same in every version.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphc.runtime.errors import RunError
from graphc.runtime.face import Array
from graphc.runtime.wording import count

__all__ = ["Rows", "Split", "epoch_order", "make_split", "ordered", "shuffled", "stratified"]

Rows: TypeAlias = NDArray[np.intp]
SplitKind = Literal["shuffled", "stratified", "ordered"]


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts, each in rising order; they are disjoint and cover all."""

    train: Rows
    validation: Rows
    test: Rows


def make_split(
    kind: SplitKind,
    n: int,
    *,
    validation: float = 0,
    test: float = 0,
    seed: int = 0,
    labels: Array | None = None,
) -> Split:
    """The split of ``n`` rows that a data section asks for.

    ``validation`` and ``test`` are fractions in [0, 1) or counts of 1 and more.
    """
    if kind == "shuffled":
        return shuffled(n, validation, test, seed)
    if kind == "ordered":
        return ordered(n, validation, test)
    if labels is None:
        raise RunError(
            "a stratified split needs a label, and this model has none to go by",
            help="use split = shuffled{...}, or give the target the type label{k}",
        )
    if len(labels) != n:
        raise RunError(f"there are {len(labels)} labels for {n} rows")
    return stratified(labels, validation, test, seed)


def shuffled(n: int, validation: float = 0, test: float = 0, seed: int = 0) -> Split:
    """Rows drawn at random for each part."""
    held, tested = _sizes(n, validation, test)
    order = _random_order(n, "split", seed)
    return _in_rising_order(order[held + tested :], order[:held], order[held : held + tested])


def ordered(n: int, validation: float = 0, test: float = 0) -> Split:
    """The first rows train, those after them validate, the last ones test."""
    held, tested = _sizes(n, validation, test)
    rows = np.arange(n)
    end = n - held - tested
    return Split(rows[:end], rows[end : end + held], rows[end + held :])


def stratified(labels: Array, validation: float = 0, test: float = 0, seed: int = 0) -> Split:
    """Each class in proportion in every part, as near as whole rows allow.

    Each part has the same size as in a shuffled split. Rows that do not divide evenly go to the
    classes with the largest remainders, the first class winning ties; every class keeps at least
    one row to train on. ``labels`` has shape [n].
    """
    if labels.ndim != 1:
        raise RunError(
            f"a stratified split needs one label a row, not values of shape {labels.shape[1:]}",
            help="use split = shuffled{...}",
        )
    n = len(labels)
    held, tested = _sizes(n, validation, test)
    names, of_row, counts = np.unique(labels, return_inverse=True, return_counts=True)
    _expect_large_classes(names, counts, 1 + (held > 0) + (tested > 0))
    for_validation, for_test = _shares(counts, held, tested)
    order = _random_order(n, "stratified split", seed)
    parts: tuple[list[Rows], list[Rows], list[Rows]] = ([], [], [])
    by_class = order[np.argsort(of_row[order], kind="stable")]
    for index, members in enumerate(np.split(by_class, np.cumsum(counts)[:-1])):
        first, second = for_validation[index], for_validation[index] + for_test[index]
        parts[1].append(members[:first])
        parts[2].append(members[first:second])
        parts[0].append(members[second:])
    return _in_rising_order(*(np.concatenate(part) for part in parts))


def epoch_order(n: int, seed: int, epoch: int) -> Rows:
    """The order in which an epoch (from 0) sees its ``n`` rows."""
    return _random_order(n, f"epoch {epoch}", seed)


def _random_order(n: int, purpose: str, seed: int) -> Rows:
    digest = hashlib.sha256(f"graphc {purpose} {int(seed)}".encode()).digest()
    stream = np.random.Philox(key=np.frombuffer(digest, dtype="<u8", count=2).astype(np.uint64))
    return np.argsort(stream.random_raw(n), kind="stable")


def _in_rising_order(train: Rows, validation: Rows, test: Rows) -> Split:
    return Split(np.sort(train), np.sort(validation), np.sort(test))


def _sizes(n: int, validation: float, test: float) -> tuple[int, int]:
    held, tested = _size("validation", validation, n), _size("test", test, n)
    if held + tested >= n:
        raise RunError(
            f"nothing is left to train on: of {count(n, 'row')}, {held} validate and {tested} test",
            help="make validation and test smaller",
        )
    return held, tested


def _size(name: str, wanted: float, n: int) -> int:
    """Rows in a part; fractions round to the nearest, halves up."""
    whole = float(wanted).is_integer() if math.isfinite(wanted) else False
    if wanted < 0 or not (wanted < 1 or whole):
        raise RunError(
            f"{name} = {wanted} is neither a fraction nor a number of rows",
            help="give a fraction from 0 to below 1, or a whole number of rows",
        )
    if wanted >= 1:
        return int(wanted)
    size = math.floor(wanted * n + 0.5)
    if wanted > 0 and size == 0:
        raise RunError(
            f"{name} = {wanted} of {count(n, 'row')} is no row at all",
            help=f"give a number of rows, {name} = 1",
        )
    return size


def _expect_large_classes(names: Array, counts: NDArray[np.intp], parts: int) -> None:
    smallest = int(np.argmin(counts))
    if counts[smallest] < parts:
        raise RunError(
            f"class {names[smallest]} has only {count(int(counts[smallest]), 'row')}, too few for "
            f"a stratified split into {parts} parts",
            help="use split = shuffled{...}, or add examples of that class",
        )


def _shares(counts: NDArray[np.intp], held: int, tested: int) -> tuple[list[int], list[int]]:
    """Rows of each class for validation and for test; exact integer arithmetic."""
    n = int(counts.sum())
    room = [int(size) - 1 - int(size) * held // n - int(size) * tested // n for size in counts]
    shares: list[list[int]] = []
    for total in (held, tested):
        share = [int(size) * total // n for size in counts]
        remainders = [int(size) * total % n for size in counts]
        by_remainder = sorted(range(len(counts)), key=lambda k: (-remainders[k], k))
        while sum(share) < total:
            with_room = [k for k in by_remainder if room[k] > 0]
            if not with_room:
                raise RunError(
                    "the classes are too small for a stratified split of these sizes",
                    help="make validation and test smaller, or use split = shuffled{...}",
                )
            for k in with_room[: total - sum(share)]:
                share[k] += 1
                room[k] -= 1
        shares.append(share)
    return shares[0], shares[1]
