"""Counts the memory that NumPy takes for arrays, exactly.

NumPy gets the data of every array from a memory handler (NEP 49). The one here forwards to the C
library and counts. An array remembers the handler that made it, so one that was made before may
die while it counts, and the other way round; what NumPy takes for anything else than the data of
arrays, such as the buffers of a cast inside a ufunc, does not pass here. Linux only.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest

__all__ = ["Allocations", "counted_allocations"]

_MALLOC = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_CALLOC = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)
_REALLOC = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class _Handler(ctypes.Structure):
    """``PyDataMem_Handler`` of ``numpy/ndarraytypes.h``, version 1."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        ("malloc", _MALLOC),
        ("calloc", _CALLOC),
        ("realloc", _REALLOC),
        ("free", _FREE),
    )


@dataclass
class Allocations:
    """What was taken since counting began."""

    count: int = 0
    """Allocations, those of larger room for an array included."""
    bytes: int = 0
    """Bytes held now, of what was taken since."""
    peak: int = 0
    """The most bytes held at one time."""

    def taken(self, size: int) -> None:
        self.count += 1
        self.bytes += size
        self.peak = max(self.peak, self.bytes)


class _Counter:
    """The handler and what its functions know. It lives as long as the process: an array may
    outlive the counting."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        self._malloc = _function(libc.malloc, ctypes.c_void_p, ctypes.c_size_t)
        self._calloc = _function(libc.calloc, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)
        self._realloc = _function(libc.realloc, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
        self._free = _function(libc.free, None, ctypes.c_void_p)
        self._sizes: dict[int, tuple[int, Allocations]] = {}
        self.current: Allocations | None = None
        self._handler = _Handler(
            b"counting",
            1,
            None,
            _MALLOC(lambda _, size: self._enter(self._malloc(size), size)),
            _CALLOC(lambda _, n, size: self._enter(self._calloc(n, size), n * size)),
            _REALLOC(self._resize),
            _FREE(self._leave),
        )
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, _POINTER]
        self._name = b"mem_handler"
        self.capsule = new(ctypes.addressof(self._handler), self._name, None)
        # An array may outlive even this module, when the interpreter ends.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))

    def _enter(self, address: int | None, size: int) -> int | None:
        if address and self.current is not None:
            self.current.taken(size)
            self._sizes[address] = size, self.current
        return address

    def _resize(self, _: object, old: int | None, size: int) -> int | None:
        self._forget(old)
        return self._enter(self._realloc(old, size), size)

    def _leave(self, _: object, address: int | None, size: int) -> None:
        self._forget(address)
        self._free(address)

    def _forget(self, address: int | None) -> None:
        size, owner = self._sizes.pop(address or 0, (0, None))
        if owner is not None:
            owner.bytes -= size


_POINTER = ctypes.c_void_p


def _function(function, result, *arguments):
    function.restype, function.argtypes = result, arguments
    return function


def _set_handler():
    """``PyDataMem_SetHandler``, entry 304 of NumPy's table of functions for C."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = get(np._core.multiarray._ARRAY_API, None)
    address = (ctypes.c_void_p * 305).from_address(table)[304]
    return ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(address)


_counter: list[_Counter] = []


@contextmanager
def counted_allocations() -> Iterator[Allocations]:
    """Count what this thread takes for arrays from here on; not nested."""
    if sys.platform != "linux":
        pytest.skip("allocations are counted through the C library of Linux")
    if not _counter:
        _counter.append(_Counter())
    counter, set_handler, found = _counter[0], _set_handler(), Allocations()
    before = set_handler(counter.capsule)
    counter.current = found
    try:
        yield found
    finally:
        counter.current = None
        set_handler(before)
