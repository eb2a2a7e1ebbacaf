"""`cupy.ndarray`: an array on the device. It is never turned into NumPy's by itself.

`unwrap` gives the NumPy array within and notes the use; `wrapped` makes a result an array on the
device, a view of an operand where NumPy made one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .device import DEVICE, Memory
from .surface import SURFACE

__all__ = [
    "device_array",
    "fresh",
    "ndarray",
    "number",
    "unwrap",
    "unwrapped",
    "view_of",
    "wrapped",
]

IMPLICIT = (
    "Implicit conversion to a NumPy array is not allowed. "
    "Please use `.get()` to construct a NumPy array explicitly."
)


class ndarray:
    """An array on the device. Methods and operators are in `methods` and `operators`."""

    __slots__ = ("__weakref__", "_a", "_memory", "base")
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 100

    _a: np.ndarray
    _memory: Memory
    base: ndarray | None

    def __new__(
        cls,
        shape: Any,
        dtype: Any = float,
        memptr: Any = None,
        strides: Any = None,
        order: str = "C",
    ) -> ndarray:
        if memptr is None:
            if strides is not None:
                raise NotImplementedError("the stand-in takes strides with memory alone")
            return empty(shape, dtype, order)
        return memptr.array(shape, np.dtype(dtype), strides)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name in SURFACE["ndarray"]:
            raise NotImplementedError(f"cupy.ndarray.{name}: CuPy has it, its stand-in does not")
        raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")

    # ------------------------------------------------------- NumPy asks, and is refused

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError(IMPLICIT)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """CuPy would take NumPy's function for its own. A number of NumPy's with an operator
        comes here too and is right; all else is refused: it works by chance."""
        others = [x for x in inputs if not isinstance(x, ndarray)]
        if method == "__call__" and not kwargs and all(isinstance(x, np.generic) for x in others):
            from .ufuncs import UFUNCS

            if others:
                return UFUNCS[ufunc.__name__](*inputs)
        if any(isinstance(x, np.ndarray) for x in others):
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        raise TypeError(f"numpy.{ufunc.__name__} is called with an array on the device")

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise TypeError(f"numpy.{func.__name__} is called with an array on the device")

    # ------------------------------------------------------------------- attributes

    @property
    def shape(self) -> tuple[int, ...]:
        return self._a.shape

    @shape.setter
    def shape(self, value: Any) -> None:
        moved = self._a.view()
        moved.shape = value
        self._a = moved

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._a.dtype

    @property
    def strides(self) -> tuple[int, ...]:
        return self._a.strides

    @property
    def ndim(self) -> int:
        return self._a.ndim

    @property
    def size(self) -> int:
        return self._a.size

    @property
    def itemsize(self) -> int:
        return self._a.itemsize

    @property
    def nbytes(self) -> int:
        return self._a.size * self._a.itemsize

    @property
    def flags(self) -> Flags:
        return Flags(self)

    @property
    def data(self) -> Any:
        from .memory import MemoryPointer

        return MemoryPointer(self._memory, address(self._a) - self._memory.ptr)

    @property
    def device(self) -> Any:
        from .cuda import Device

        return Device(0)

    @property
    def T(self) -> ndarray:
        return view_of(self, self._a.T)

    @property
    def mT(self) -> ndarray:
        return view_of(self, self._a.mT)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (address(self._a), False),
            "strides": None if self._a.flags.c_contiguous else self.strides,
            "version": 3,
        }

    def __len__(self) -> int:
        return len(self._a)


ndarray.__module__ = "cupy"


class Flags:
    """`ndarray.flags`: all that CuPy's has."""

    def __init__(self, array: ndarray) -> None:
        flags = array._a.flags
        self.c_contiguous, self.f_contiguous = flags.c_contiguous, flags.f_contiguous
        self.fnc, self.forc = flags.fnc, flags.forc
        self.owndata = array.base is None

    def __getitem__(self, name: str) -> bool:
        return bool({"C_CONTIGUOUS": self.c_contiguous, "F_CONTIGUOUS": self.f_contiguous}[name])


def address(a: np.ndarray) -> int:
    return int(a.__array_interface__["data"][0])


def empty(shape: Any, dtype: Any, order: str = "C") -> ndarray:
    """A new array, full of what no one should read: NaN, -1, true."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "biufc":
        raise ValueError(f"Unsupported dtype {dtype}")
    a = np.empty(shape, dtype, order)
    a.reshape(-1, order="A").view(np.uint8).fill(1 if dtype.kind == "b" else 0xFF)
    return fresh(a)


def fresh(a: Any) -> ndarray:
    """An array on the device of its own from what NumPy just made, scalars of NumPy's included."""
    a = np.asarray(a)
    if a.dtype.kind not in "biufc":
        raise ValueError(f"Unsupported dtype {a.dtype}")
    if not a.flags.owndata:  # a view of what NumPy made on the way
        a = a.copy(order="K")
    result = object.__new__(ndarray)
    result._a, result.base = a, None
    result._memory = DEVICE.own(a)
    return result


def view_of(array: ndarray, a: np.ndarray) -> ndarray:
    """A view of an array on the device."""
    if not a.flags.writeable:  # CuPy knows no arrays to read alone
        a = np.lib.stride_tricks.as_strided(a, a.shape, a.strides)
    result = object.__new__(ndarray)
    result._a, result._memory = a, array._memory
    result.base = array if array.base is None else array.base
    return result


def wrapped(result: Any, operands: list[ndarray]) -> Any:
    """What NumPy gave, on the device; tuples and lists of arrays too."""
    if isinstance(result, tuple | list):
        made = [wrapped(each, operands) for each in result]
        return made if isinstance(result, list) else tuple(made)
    a = np.asarray(result)
    for operand in operands:
        if a.size and np.may_share_memory(a, operand._a):
            same = a.shape == operand.shape and a.strides == operand.strides
            if same and a.dtype == operand.dtype and address(a) == address(operand._a):
                return operand
            return view_of(operand, a)
    return fresh(a)


def device_array(value: Any) -> ndarray:
    """An array on the device; TypeError for anything else."""
    if not isinstance(value, ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    return value


def unwrap(value: Any) -> np.ndarray:
    """The NumPy array within, to be read; TypeError for anything else."""
    value = device_array(value)
    DEVICE.read(value._memory)
    return value._a


def number(value: Any) -> bool:
    """Whether a value is a number of Python's or NumPy's: it goes to a kernel by value."""
    return isinstance(value, bool | int | float | complex | np.number | np.bool_)


def unwrapped(value: Any, found: list[ndarray]) -> Any:
    """An argument with the NumPy arrays within; an array on the host is refused."""
    if isinstance(value, ndarray):
        found.append(value)
        return unwrap(value)
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, list | tuple):
        return type(value)(unwrapped(each, found) for each in value)
    return value
