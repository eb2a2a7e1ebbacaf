"""The device that the stand-in plays: its memory, what is known of its work, faults on request.

Arrays are NumPy's, in the host's memory. What a GPU would do later is done at once, but for copies
from pinned memory on a stream of their own: those are made when they are first needed, so that one
whose source is overwritten too early is found.
"""

from __future__ import annotations

import weakref
from collections import Counter
from typing import Any

import numpy as np

from .counts import Counts, Transfer, caller
from .errors import CUDARuntimeError, OutOfMemoryError, StreamOrderError
from .streams import Copy, Stream, Use, ordered

__all__ = ["DEVICE", "Memory", "rounded"]

UNIT = 512
"""CuPy's pool hands out multiples of it."""


def rounded(size: int) -> int:
    """Bytes that the pool takes for an array."""
    return -(-size // UNIT) * UNIT


class Memory:
    """A block of device memory: a NumPy array of its bytes, and who used it last."""

    __slots__ = ("__weakref__", "buffer", "copies", "device_id", "size", "use")

    def __init__(self, buffer: np.ndarray) -> None:
        self.buffer, self.size, self.device_id = buffer, buffer.nbytes, 0
        self.use = Use()
        self.copies: list[Copy] = []

    @property
    def ptr(self) -> int:
        return int(self.buffer.__array_interface__["data"][0])


class Device:
    """One GPU."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """As after installation: nothing held, nothing counted, no fault."""
        self.counts = Counts()
        self.total, self.limit = 80 * 2**30, 0
        self.used = self.held = 0
        self.absent = 0
        self._fault: tuple[int, Exception] | None = None
        self._lost: CUDARuntimeError | None = None
        self._freed: list[tuple[Stream, int, Use]] = []
        self.pinned: weakref.WeakSet[Any] = weakref.WeakSet()
        Stream.start()

    # ------------------------------------------------------------------- faults

    def fail_after(self, count: int | None, error: Exception | None = None) -> None:
        """The `count`-th operation or launch from now raises an error, by default that of an
        illegal address. After an error of CUDA the device is lost: all that follows raises it
        again. None takes it back."""
        self._fault = None if count is None else (count, error or CUDARuntimeError(700))
        self._lost = None

    def expect(self) -> None:
        """There is a device, and no error of CUDA came before."""
        if self.absent:
            raise CUDARuntimeError(self.absent)
        if self._lost is not None:
            raise self._lost

    def work(self, name: str, counter: Counter[str] | None = None) -> None:
        """Count an operation or launch; raise what was asked for."""
        self.expect()
        (self.counts.operations if counter is None else counter)[name] += 1
        if self._fault is None:
            return
        count, error = self._fault
        self._fault = (count - 1, error) if count > 1 else None
        if self._fault is None:
            self._lost = error if isinstance(error, CUDARuntimeError) else None
            raise error

    # ------------------------------------------------------------------- memory

    def allocate(self, size: int) -> None:
        """Room for an array: OutOfMemoryError where there is none."""
        self.expect()
        block = rounded(size)
        limit = self.limit or self.total
        if self.used + block > limit:
            raise OutOfMemoryError(block, self.used, self.limit)
        self._reuse(block)

    def own(self, buffer: np.ndarray) -> Memory:
        """A new block that is this array."""
        self.allocate(buffer.nbytes)
        memory = Memory(buffer)
        counts, block = self.counts, rounded(memory.size)
        self.used += block
        self.held = max(self.held, self.used)
        counts.bytes += memory.size
        counts.allocations += 1
        counts.peak = max(counts.peak, counts.bytes)
        stream = Stream.current()
        weakref.finalize(memory, self._free, counts, memory.size, stream, memory.use).atexit = False
        self.write(memory)
        return memory

    def _free(self, counts: Counts, size: int, stream: Stream, use: Use) -> None:
        counts.bytes -= size
        if counts is not self.counts:
            return
        self.used -= rounded(size)
        if any(not ordered(by, at, stream) for by, at in use.all()):
            self._freed.append((stream, rounded(size), use))

    def _reuse(self, block: int) -> None:
        """A freed block of a stream goes to the next array of that stream, whoever works on it."""
        stream, kept = Stream.current(), []
        for owner, size, use in self._freed:
            open_uses = [by for by, at in use.all() if not ordered(by, at, owner)]
            if owner is stream and open_uses and size >= block:
                raise StreamOrderError(
                    f"memory of {stream} is handed out again while {open_uses[0]} may still work "
                    f"on it, by {caller()}"
                )
            if open_uses:
                kept.append((owner, size, use))
        self._freed = kept

    # ------------------------------------------------------------- uses of arrays

    def read(self, memory: Memory) -> None:
        """The current stream reads a block."""
        stream = Stream.current()
        self._wait_free(memory, memory.use.writes(), stream)
        memory.use.read(stream)

    def write(self, memory: Memory) -> None:
        """The current stream writes to a block."""
        stream = Stream.current()
        self._wait_free(memory, memory.use.all(), stream)
        memory.use.write(stream)

    def _wait_free(self, memory: Memory, uses: list[tuple[Stream, int]], stream: Stream) -> None:
        for by, at in uses:
            if not ordered(by, at, stream):
                raise StreamOrderError(
                    f"{stream} uses an array that {by} may still work on, by {caller()}"
                )
        for copy in memory.copies:
            copy.make()
        memory.copies.clear()

    # ----------------------------------------------------------------- transfers

    def sent(self, size: int, stream: Stream | None = None) -> None:
        """Count a copy from the host."""
        stream = stream or Stream.current()
        counted = self.counts.to_device if stream.is_null else self.counts.ahead
        counted.append(Transfer(size, caller()))

    def fetched(self, size: int) -> None:
        """Count a read; the host has waited for the current stream."""
        self.counts.to_host.append(Transfer(size, caller()))

    def is_pinned(self, array: np.ndarray) -> bool:
        """Whether an array lies in memory of `alloc_pinned_memory`."""
        first = array.__array_interface__["data"][0]
        return any(m.ptr <= first < m.ptr + len(m) for m in list(self.pinned))


DEVICE = Device()
