"""Functions that every module for CuPy holds, printed as they are but without annotations.

The host keeps files and raw data; arrays cross to the device where a function says so and nowhere
else. The names below stand for what the printed module defines itself, ``cp`` for CuPy, which need
not be installed to print.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from graphc.backends.printing.support import (
    _check_labels,
    _dtype,
    _integers,
    _whole,
)

__all__ = ["DEVICE", "FACE", "VALUES"]

Arrays = dict[str, Any]

cp: Any = None
REAL: Any = np.float32
KERNELS = ""
COUNTERS: tuple[str, ...] = ("step", "seed")
NAMES: tuple[str, ...] = ()
OPTIONS: tuple[str, ...] = ()
PARTS = 0
THREADS = 0
GROUPS: tuple[tuple[str, ...], ...] = ()
signature: dict[str, Any] = {}

_compiled: dict[str, Any] = {}
_constants: dict[Any, Any] = {}
_watched: dict[str, tuple[int, int, int]] = {}


# ------------------------------------------------------------------------------ the face


def place(arrays: Arrays) -> Arrays:
    """The same arrays on the device; what counts steps stays where it is."""
    return {name: a if name in COUNTERS else _device(a) for name, a in arrays.items()}


def room() -> int:
    """Bytes of device memory that arrays can still take."""
    free, _ = cp.cuda.runtime.memGetInfo()
    return int(free) + int(cp.get_default_memory_pool().free_bytes())


def joined(batches: Any, count: int) -> Arrays:
    """Batches, each with its size, one behind the other in arrays of `count` rows on the device;
    what has no row an example is that of the first."""
    entries = {**signature["inputs"], **signature["targets"]}
    whole, start = {}, 0  # type: ignore[var-annotated]
    for arrays, rows in batches:
        for name, array in arrays.items():
            if entries[name]["shape"][:1] != [signature["batch"]]:
                whole.setdefault(name, _device(array))
                continue
            if name not in whole:
                whole[name] = cp.empty((count, *array.shape[1:]), array.dtype)
            whole[name][start : start + rows] = _device(array)
        start += rows
    return whole


def ahead(batches: Any) -> Iterator[Any]:
    """Pairs of a batch and its size, the arrays on the device: each copied there, by a stream of
    its own, while the one before it is worked on. A batch is valid until the next is asked for."""
    stream, work = cp.cuda.Stream(non_blocking=True), cp.cuda.get_current_stream()
    sides, waiting = [_sender(stream), _sender(stream)], None
    try:
        for arrays, count in batches:
            send = sides[0]
            coming = send, send(arrays), count
            if waiting is not None:
                yield _arrived(waiting, work)
                waiting[0](None, work.record())
            waiting = coming
            sides.reverse()
        if waiting is not None:
            yield _arrived(waiting, work)
    finally:
        stream.synchronize()


FACE: list[Callable[..., Any]] = [place, room, joined, ahead]


# ------------------------------------------------------------------- between host and device


def _host(array: Any) -> Any:
    """An array in host memory."""
    return cp.asnumpy(array) if isinstance(array, cp.ndarray) else np.asanyarray(array)


def _on_host(arrays: Arrays) -> Arrays:
    """The same arrays in host memory."""
    return {name: _host(array) for name, array in arrays.items()}


def _device(array: Any) -> Any:
    """An array in device memory."""
    return array if isinstance(array, cp.ndarray) else cp.asarray(array)


def _given_back(arrays: Arrays, like: Arrays) -> Arrays:
    """Arrays on the device, in host memory unless some of `like` are on the device."""
    if any(isinstance(array, cp.ndarray) for array in like.values()):
        return arrays
    return _on_host(arrays)


def _sender(stream: Any) -> Any:
    """A function that begins to copy arrays to memory of its own on the device and gives them with
    the event of their arrival. Told the event of their last use it copies nothing: the next copy
    will wait for that."""
    pinned, there = {}, {}  # type: ignore[var-annotated]
    arrived, used = cp.cuda.Event(disable_timing=True), [None]

    def send(arrays, last=None):  # type: ignore[no-untyped-def]
        if arrays is None:
            used[0] = last
            return None
        arrived.synchronize()  # the copy before may still read the pinned memory
        if used[0] is not None:
            stream.wait_event(used[0])
        sent = {}
        for name, array in arrays.items():
            if isinstance(array, cp.ndarray):
                sent[name] = array
                continue
            size = array.nbytes
            if name not in pinned or pinned[name].size < size:
                pinned[name] = np.frombuffer(cp.cuda.alloc_pinned_memory(size), np.uint8, size)
                there[name] = cp.empty(size, cp.uint8)
                # whoever had this memory before may still be at work with it
                stream.wait_event(cp.cuda.get_current_stream().record())
            page = pinned[name][:size].view(array.dtype).reshape(array.shape)
            np.copyto(page, array)
            sent[name] = there[name][:size].view(array.dtype).reshape(array.shape)
            sent[name].set(page, stream=stream)
        arrived.record(stream)
        return sent, arrived

    return send


def _arrived(waiting: Any, work: Any) -> Any:
    """A batch and its size, for a stream that goes on when the arrays are there."""
    _, (arrays, event), count = waiting
    work.wait_event(event)
    return arrays, count


def _array(values: Arrays, name: str, real: Any, sizes: dict[str, int]) -> Any:
    """The array of that name on the device, with the type and shape that `signature` states.

    `sizes` collects the symbolic dimensions, which must agree from array to array.
    """
    entry = signature["inputs"].get(name) or signature["targets"][name]
    if name not in values:
        raise ValueError(f"{name} is missing")
    array, kind, classes = values[name], entry["kind"], entry.get("classes")
    if isinstance(array, cp.ndarray):
        if kind != "real" and array.dtype.kind == "f":
            raise ValueError(
                f"{name} holds {array.dtype} on the device, in this model it is {kind}"
            )
        array = array.astype(_dtype(kind, real), copy=False)
        if classes is not None:
            _expect_range(array, 0, classes, name)
    else:
        whole = kind in ("int", "label")
        array = _integers(name, array) if whole else np.asarray(array, _dtype(kind, real))
        if classes is not None and array.size:
            _check_labels(name, array, classes)
        array = cp.asarray(array)
    shape = tuple(sizes.get(size, size) for size in entry["shape"])
    if array.ndim != len(shape):
        raise ValueError(f"{name} has shape {array.shape}, not {entry['shape']}")
    for size, actual in zip(shape, array.shape, strict=True):
        if isinstance(size, str) and size.isidentifier():
            sizes[size] = actual
        elif isinstance(size, int) and size != actual:
            raise ValueError(f"{name} has shape {array.shape}, not {entry['shape']} with {sizes}")
    return array


VALUES: list[Callable[..., Any]] = [
    _host,
    _on_host,
    _device,
    _given_back,
    _sender,
    _arrived,
    _array,
    _dtype,
    _integers,
    _whole,
    _check_labels,
]


# ------------------------------------------------------------------------------- kernels


def _kernels(real: Any) -> Any:
    """The kernels by name for one precision, compiled when the first of them is called."""
    name = np.dtype(real).name
    if name not in _compiled:
        type = {"float32": "float", "float64": "double"}[name]
        module = cp.RawModule(code=KERNELS, options=(*OPTIONS, f"-DREAL={type}"))
        functions = {name: module.get_function(name) for name in NAMES}
        _compiled[name] = types.SimpleNamespace(**functions)
    return _compiled[name]


def _each(kernel: Any, count: int, *arguments: Any) -> None:
    """Run a kernel over `count` elements, a thread for each as far as there are enough."""
    if count:
        blocks = min(-(-count // THREADS), 16 * PARTS)
        kernel((blocks,), (THREADS,), _in_order(arguments))


def _each_row(kernel: Any, rows: int, columns: int, *arguments: Any) -> None:
    """Run a kernel over rows, a block for each as far as there are enough."""
    if rows:
        kernel((min(rows, 16 * PARTS),), (_threads(columns),), _in_order(arguments))


def _parts(kernel: Any, columns: int, *arguments: Any) -> None:
    """Run a kernel that leaves a part of each total to every one of `PARTS` blocks."""
    kernel((PARTS,), (_threads(columns),), _in_order(arguments))


def _total(kernel: Any, *arguments: Any) -> None:
    """Run a kernel that makes totals of their parts, in one block."""
    kernel((1,), (_threads(PARTS),), _in_order(arguments))


def _threads(columns: int) -> int:
    """Threads of a block that works on rows: a power of two, from 32 to 1024."""
    return min(1024, max(32, 1 << (columns - 1).bit_length()))


def _in_order(arguments: Any) -> Any:
    """The same arguments, arrays row by row in memory: a kernel knows no strides."""
    return tuple(
        cp.ascontiguousarray(a) if isinstance(a, cp.ndarray) and not a.flags.c_contiguous else a
        for a in arguments
    )


def _kept(key: Any, make: Any) -> Any:
    """An array that never changes, copied to the device once."""
    here = cp.cuda.runtime.getDevice(), key
    if here not in _constants:
        _constants[here] = make()
    return _constants[here]


def _rows_times(x: Any, matrix: Any) -> Any:
    """x @ matrix, all axes of x but the last as rows of one product."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return (rows @ matrix).reshape(*x.shape[:-1], matrix.shape[-1])


def _slopes(state: Arrays) -> Arrays:
    """Zeros for the gradient of each learned parameter."""
    learned = [name for names in GROUPS for name in names]
    return {name: cp.zeros(state[name].shape, state[name].dtype) for name in learned}


# ------------------------------------------------------------------- what goes wrong there


def _trouble() -> Any:
    """Where kernels write down, for each thing that is watched, an index that is out of range;
    -2**63 where there is none."""
    return _kept("trouble", lambda: cp.full(256, -(2**63), cp.int64))


def _expect_range(index: Any, low: int, high: int, what: str) -> None:
    """See to it that an index from `low` to `high` - 1 is noticed where it is not; nothing is read
    back here."""
    place, _, _ = _watched.get(what, (len(_watched) % 256, low, high))
    _watched[what] = place, low, high
    note = _kernels(REAL).note_range
    _each(note, index.size, index, index.size, low, high, _trouble(), place)


def _expect_no_trouble() -> None:
    """Read back what went wrong on the device since the last look, and raise it."""
    if not _watched:
        return
    found = cp.asnumpy(_trouble())
    if (found == -(2**63)).all():
        return
    _trouble().fill(-(2**63))
    for what, (place, low, high) in _watched.items():
        value = int(found[place])
        if value == -(2**63):
            continue
        if low < 0:
            raise IndexError(f"index {value} of {what} is out of bounds for size {high}")
        raise ValueError(f"{what} holds {value}, its labels are 0..{high - 1}")


DEVICE: list[Callable[..., Any]] = [
    _kernels,
    _each,
    _each_row,
    _parts,
    _total,
    _threads,
    _in_order,
    _kept,
    _rows_times,
    _slopes,
    _trouble,
    _expect_range,
    _expect_no_trouble,
]
