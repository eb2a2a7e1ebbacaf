"""A part of the data as batches that a model can take.

A part that is small once prepared is prepared once, shuffled into a buffer each epoch and cut
into slices, so that a step costs next to nothing here. A large part stays raw in memory (a byte
image stays bytes) and is prepared batch by batch.

Where a module computes on a device, a part that fits is there once for all and cut there, so that a
step takes nothing from the host; batches of any other part are copied ahead.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol, TypeAlias

import numpy as np

from graphc.runtime.check import check_batch, check_raw, select_columns
from graphc.runtime.computing import on_machine
from graphc.runtime.device import Device, device_of
from graphc.runtime.errors import RunError
from graphc.runtime.face import Array, Arrays, Module, Raw, Signature, row_wise
from graphc.runtime.split import Rows
from graphc.runtime.wording import listing

__all__ = ["PREPARED_LIMIT", "Batches", "Examples", "load_examples", "on_device", "prepare"]

PREPARED_LIMIT = 256 * 2**20
"""Bytes of prepared arrays up to which a part is prepared once."""

_SHARE = 0.5
"""Of what is free on a device, how much one part of the data may take: batches need room too."""

_AT_A_TIME = 64 * 2**20
"""Bytes of prepared arrays that are copied to a device together, where there are many."""

Batches: TypeAlias = Iterator[tuple[Arrays, int]]
"""Batches, each with its number of examples."""


class Examples(Protocol):
    """The examples of a part."""

    count: int

    def whole(self) -> Arrays:
        """All of them as one batch, in order."""

    def batches(self, size: int) -> Batches:
        """All of them in order; the last batch may be short."""

    def shuffled(self, order: Rows, size: int) -> Batches:
        """All of them in the given order. A batch is valid until the next one is asked for."""


def load_examples(
    module: Module,
    state: Arrays,
    raw: Raw,
    *,
    part: str,
    need_targets: bool = True,
    limit: int = PREPARED_LIMIT,
) -> Examples:
    """The examples of a part, checked against the model. ``part`` names it in messages.

    In a model without a batch, one example is a batch, with no axis for it.
    """
    check_raw(raw, module, need_targets=need_targets, part=part)
    columns = select_columns(raw, module.signature, need_targets=need_targets)
    count = _rows(columns, part) if _reads_data(module.signature) else 1
    size = _prepared_size(module, state, columns, count)
    if size > limit:
        return _Raw(module, state, columns, count, size, part, need_targets)
    arrays = prepare(module, state, columns)
    check_batch(arrays, module.signature, need_targets=need_targets, part=part)
    if module.signature["batch"] is None:
        return _OneByOne(arrays, count)
    return _Prepared(arrays, count, _with_rows(module.signature, arrays))


def on_device(module: Module, examples: Examples, reserved: int = 0) -> Examples:
    """The same examples for training or evaluation on the module's device, in the same order.

    Ask for it when all else that stays on the device is there; what comes and goes beside it takes
    ``reserved`` bytes. Where the module computes on the host they are what they were.
    """
    device = device_of(module)
    if device is None:
        return examples
    if isinstance(examples, _InMemory | _Raw):
        with on_machine():
            fits = examples.bytes <= _SHARE * (device.room() - reserved)
            placed = examples.placed(device) if fits else None
        if placed is not None:
            return placed
    return _Ahead(device, examples)


def prepare(module: Module, state: Arrays, raw: Raw) -> Arrays:
    """The module's `prepare`; what it cannot compute on these columns is a RunError."""
    try:
        with on_machine():
            return module.prepare(raw, state)
    except (KeyError, ValueError, TypeError, IndexError) as problem:
        shapes = listing(f"{name}: {c.dtype.name}{list(c.shape[1:])}" for name, c in raw.items())
        raise RunError(
            f"the data section cannot be computed on these columns: {problem}",
            help=f"per example, the columns are {shapes}",
        ) from problem


class _InMemory(ABC):
    """All arrays of a part, prepared."""

    def __init__(self, arrays: Arrays, count: int) -> None:
        self.count = count
        self._arrays = arrays

    def whole(self) -> Arrays:
        return self._arrays

    @property
    def bytes(self) -> int:
        return sum(array.nbytes for array in self._arrays.values())

    @abstractmethod
    def placed(self, device: Device) -> Examples:
        """The same on a device."""


class _Prepared(_InMemory):
    """Arrays in memory; shuffling copies them into a second set, made when first needed."""

    def __init__(self, arrays: Arrays, count: int, rows: list[str]) -> None:
        super().__init__(arrays, count)
        self._rows = rows
        self._shuffled: Arrays | None = None

    def placed(self, device: Device) -> Examples:
        return _Placed(device, device.place(self._arrays), self.count, self._rows)

    def batches(self, size: int) -> Batches:
        return self._slices(self._arrays, size)

    def shuffled(self, order: Rows, size: int) -> Batches:
        if size >= self.count:
            # One batch of all examples is the same batch in any order.
            return self.batches(size)
        return self._in_order(order, size)

    def _in_order(self, order: Rows, size: int) -> Batches:
        if self._shuffled is None:
            self._shuffled = {**self._arrays}
            self._shuffled.update({name: np.empty_like(self._arrays[name]) for name in self._rows})
        for name in self._rows:
            # The order holds only valid rows, and clipping is the mode that needs no extra buffer.
            np.take(self._arrays[name], order, axis=0, out=self._shuffled[name], mode="clip")
        return self._slices(self._shuffled, size)

    def _slices(self, arrays: Arrays, size: int) -> Batches:
        if size >= self.count:
            yield arrays, self.count
            return
        cut = [(name, arrays[name]) for name in self._rows]
        uncut = {name: array for name, array in arrays.items() if name not in self._rows}
        for start in range(0, self.count, size):
            stop = min(start + size, self.count)
            batch = {name: array[start:stop] for name, array in cut}
            batch.update(uncut)
            yield batch, stop - start


class _Placed(_Prepared):
    """Arrays on a device. An epoch takes its order there, and nothing else: a batch is gathered
    when it is asked for, which costs the device less than a second set of all arrays would."""

    def __init__(self, device: Device, arrays: Arrays, count: int, rows: list[str]) -> None:
        super().__init__(arrays, count, rows)
        self._device = device

    def _in_order(self, order: Rows, size: int) -> Batches:
        there = self._device.place({"order": order})["order"]
        for start in range(0, self.count, size):
            stop = min(start + size, self.count)
            taken = there[start:stop]
            batch = {name: self._arrays[name].take(taken, axis=0) for name in self._rows}
            yield {**self._arrays, **batch}, stop - start


class _OneByOne(_InMemory):
    """Arrays in memory for a model without a batch: every example is a step. Numbers of rows alone
    cut an example out, so on a device it is the same."""

    def placed(self, device: Device) -> Examples:
        return _OneByOne(device.place(self._arrays), self.count)

    def batches(self, size: int) -> Batches:
        return self._each(range(self.count))

    def shuffled(self, order: Rows, size: int) -> Batches:
        return self._each(order.tolist())

    def _each(self, rows: list[int] | range) -> Batches:
        for row in rows:
            yield {name: array[row, ...] for name, array in self._arrays.items()}, 1


class _Ahead:
    """Examples whose batches are copied to a device while the one before is worked on."""

    def __init__(self, device: Device, examples: Examples) -> None:
        self.count = examples.count
        self._device = device
        self._examples = examples

    def whole(self) -> Arrays:
        return self._examples.whole()

    def batches(self, size: int) -> Batches:
        return self._device.ahead(self._examples.batches(size))

    def shuffled(self, order: Rows, size: int) -> Batches:
        return self._device.ahead(self._examples.shuffled(order, size))


class _Raw:
    """Raw columns, prepared batch by batch and checked the first time round."""

    def __init__(
        self,
        module: Module,
        state: Arrays,
        columns: Arrays,
        count: int,
        size: int,
        part: str,
        need_targets: bool,
    ) -> None:
        self.count = count
        self.bytes = size
        self._module = module
        self._state = state
        self._columns = columns
        self._part = part
        self._need_targets = need_targets
        self._checked = False

    def whole(self) -> Arrays:
        return self._prepare(self._columns, np.arange(self.count))

    def batches(self, size: int) -> Batches:
        for start in range(0, self.count, size):
            rows = np.arange(start, min(start + size, self.count))
            columns = {name: c[start : start + size] for name, c in self._columns.items()}
            yield from self._given(columns, rows)
        self._checked = True

    def shuffled(self, order: Rows, size: int) -> Batches:
        for start in range(0, self.count, size):
            rows = order[start : start + size]
            columns = {name: c.take(rows, axis=0) for name, c in self._columns.items()}
            yield from self._given(columns, rows)
        self._checked = True

    def placed(self, device: Device) -> Examples | None:
        """All of them on a device, prepared a few at a time; None where an example is a batch."""
        if self._module.signature["batch"] is None:
            return None
        few = max(1, _AT_A_TIME * self.count // max(1, self.bytes))
        arrays = device.joined(self.batches(few), self.count)
        return _Placed(device, arrays, self.count, _with_rows(self._module.signature, arrays))

    def _given(self, columns: Arrays, rows: Array) -> Batches:
        arrays = self._prepare(columns, rows)
        if self._module.signature["batch"] is None:
            yield from _OneByOne(arrays, len(rows)).batches(1)
        else:
            yield arrays, len(rows)

    def _prepare(self, columns: Arrays, rows: Array) -> Arrays:
        arrays = prepare(self._module, self._state, columns)
        if not self._checked:
            check_batch(
                arrays,
                self._module.signature,
                need_targets=self._need_targets,
                part=self._part,
                rows=rows,
            )
        return arrays


def _prepared_size(module: Module, state: Arrays, columns: Arrays, count: int) -> int:
    """Bytes of all prepared arrays, estimated from the first rows."""
    few = min(count, 64)
    sample = prepare(module, state, {name: column[:few] for name, column in columns.items()})
    return sum(array.nbytes for array in sample.values()) * count // few


def _rows(columns: Arrays, part: str) -> int:
    if not columns:
        raise RunError(
            "the model reads no column of the data",
            help="give each input and target an equation in the data section",
        )
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = listing(f"{name} has {length}" for name, length in lengths.items())
        raise RunError(f"the columns of {part} differ in their number of rows: {told}")
    count = next(iter(lengths.values()))
    if count == 0:
        raise RunError(f"{part} has no rows", help="give it at least one example")
    return count


def _reads_data(signature: Signature) -> bool:
    """False for a model of parameters alone: its one example is empty."""
    return bool(signature["inputs"] or signature["targets"])


def _with_rows(signature: Signature, arrays: Arrays) -> list[str]:
    known = {*row_wise(signature, "inputs"), *row_wise(signature, "targets")}
    return [name for name in arrays if name in known]
