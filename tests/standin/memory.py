"""`cupy.cuda.memory`: pointers, the pool, and memory of the host that is pinned."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from .array import ndarray
from .device import DEVICE, Memory, rounded
from .streams import Copy, Stream

__all__ = ["MemoryPointer", "MemoryPool", "PinnedMemoryPointer", "PinnedMemoryPool", "alloc"]


class MemoryPointer:
    """A place in a block."""

    def __init__(self, mem: Memory, offset: int) -> None:
        self.mem, self._offset = mem, offset

    @property
    def ptr(self) -> int:
        return self.mem.ptr + self._offset

    @property
    def device_id(self) -> int:
        return 0

    @property
    def device(self) -> Any:
        from .cuda import Device

        return Device(0)

    def __int__(self) -> int:
        return self.ptr

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.mem, self._offset + offset)

    __radd__ = __add__

    def __sub__(self, offset: int) -> MemoryPointer:
        return self + -offset

    def array(self, shape: Any, dtype: np.dtype[Any], strides: Any = None) -> ndarray:
        """A view of the block from here: ValueError where it would end outside."""
        whole = _bytes_at(self.mem.ptr, self.mem.size)
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        ends = np.zeros(2, dtype=int)
        for size, stride in zip(shape, strides or (), strict=bool(strides)):
            ends[int(stride > 0)] += stride * (size - 1)
        if strides is None:
            ends[1] = int(np.prod(shape)) * dtype.itemsize - dtype.itemsize
        first, last = self._offset + ends[0], self._offset + ends[1] + dtype.itemsize
        if int(np.prod(shape)) and not (first >= 0 and last <= whole.size):
            raise ValueError(f"a view from {first} to {last} in a block of {whole.size} bytes")
        result = object.__new__(ndarray)
        result._a = np.ndarray(shape, dtype, whole.data, self._offset, strides)
        result._memory, result.base = self.mem, None
        return result

    def memset_async(self, value: int, size: int, stream: Stream | None = None) -> None:
        with stream or Stream.current():
            DEVICE.work("memset")
            DEVICE.write(self.mem)
            self.array(size, np.dtype(np.uint8))._a.fill(value)

    def memset(self, value: int, size: int) -> None:
        self.memset_async(value, size)

    def copy_from_host_async(self, mem: Any, size: int, stream: Stream | None = None) -> None:
        """From pinned memory, on a stream of its own: made later, the source must stay."""
        stream = stream or Stream.current()
        source = _bytes_at(mem, size)
        with stream:
            DEVICE.work("copy_from_host")
            DEVICE.write(self.mem)
            DEVICE.sent(size, stream)
            target = self.array(size, np.dtype(np.uint8))._a
            if DEVICE.is_pinned(source) and not stream.is_null:
                self.mem.copies.append(Copy(target, source, stream))
            else:
                target[...] = source

    def copy_from_host(self, mem: Any, size: int) -> None:
        self.copy_from_host_async(mem, size)

    def copy_to_host_async(self, mem: Any, size: int, stream: Stream | None = None) -> None:
        with stream or Stream.current():
            DEVICE.work("copy_to_host")
            DEVICE.read(self.mem)
            DEVICE.fetched(size)
            _bytes_at(mem, size)[...] = self.array(size, np.dtype(np.uint8))._a

    def copy_to_host(self, mem: Any, size: int) -> None:
        self.copy_to_host_async(mem, size)
        Stream.current().synchronize()

    def copy_from_device_async(
        self, src: MemoryPointer, size: int, stream: Stream | None = None
    ) -> None:
        with stream or Stream.current():
            DEVICE.work("copy_from_device")
            DEVICE.read(src.mem)
            DEVICE.write(self.mem)
            byte = np.dtype(np.uint8)
            self.array(size, byte)._a[...] = src.array(size, byte)._a

    def copy_from_device(self, src: MemoryPointer, size: int) -> None:
        self.copy_from_device_async(src, size)


def _bytes_at(mem: Any, size: int) -> np.ndarray:
    """Bytes of the host at an address: a number or a pointer of ctypes."""
    start = mem if isinstance(mem, int) else ctypes.cast(mem, ctypes.c_void_p).value
    return np.frombuffer((ctypes.c_char * size).from_address(start or 0), np.uint8)


def alloc(size: int) -> MemoryPointer:
    """A block of device memory."""
    DEVICE.allocate(size)
    return MemoryPointer(DEVICE.own(np.full(rounded(size), 0xFF, np.uint8)), 0)


class MemoryPool:
    """The pool of all device memory: what is freed stays in it until `free_all_blocks`."""

    def __init__(self, allocator: Any = None) -> None:
        if allocator is not None:
            raise NotImplementedError("the stand-in has one pool")

    def malloc(self, size: int) -> MemoryPointer:
        return alloc(size)

    def used_bytes(self) -> int:
        return DEVICE.used

    def total_bytes(self) -> int:
        return DEVICE.held

    def free_bytes(self) -> int:
        return DEVICE.held - DEVICE.used

    def free_all_blocks(self, stream: Stream | None = None) -> None:
        DEVICE.held = DEVICE.used

    def get_limit(self) -> int:
        return DEVICE.limit

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        if (size is None) == (fraction is None):
            raise ValueError("size and fraction cannot be specified at one time, one must be")
        DEVICE.limit = int(DEVICE.total * (fraction or 0.0)) if size is None else size


class PinnedMemoryPointer(bytearray):
    """Memory of the host that the device reads by itself. As in CuPy the block is a power of two,
    so `numpy.frombuffer` needs a count."""

    __hash__ = object.__hash__
    __slots__ = ("__weakref__",)

    @property
    def mem(self) -> PinnedMemoryPointer:
        return self

    @property
    def ptr(self) -> int:
        return ctypes.addressof(ctypes.c_char.from_buffer(self))

    def size(self) -> int:
        return len(self)

    def __int__(self) -> int:
        return self.ptr


class PinnedMemoryPool:
    """The pool of pinned memory."""

    def malloc(self, size: int) -> PinnedMemoryPointer:
        block = PinnedMemoryPointer(max(512, 1 << (max(1, size) - 1).bit_length()))
        DEVICE.pinned.add(block)
        return block

    def free_all_blocks(self) -> None:
        """Nothing is kept."""

    def n_free_blocks(self) -> int:
        return 0
