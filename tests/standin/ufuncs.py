"""Ufuncs with the operands, keywords and methods that CuPy's have."""

from __future__ import annotations

from typing import Any

import numpy as np

from .array import ndarray, number, unwrap, wrapped
from .device import DEVICE
from .indexing import add_at
from .surface import SURFACE

__all__ = ["UFUNCS", "result_array", "ufunc"]


class ufunc:
    """One of CuPy's ufuncs, computed by NumPy's of the same name."""

    def __init__(self, name: str, record: dict[str, Any]) -> None:
        self.name, self.nin, self.nout = f"cupy_{name}", record["nin"], record["nout"]
        self.nargs, self.types = self.nin + self.nout, record["types"]
        self._name, self._record = name, record

    def __repr__(self) -> str:
        return f"<ufunc '{self.name}'>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        wrong = {key: kwargs[key] for key in kwargs if key not in self._record["keywords"]}
        if wrong:
            raise TypeError(f"Wrong arguments {wrong}")
        if not self.nin <= len(args) <= self.nargs:
            raise TypeError(
                f"Wrong number of arguments for {self.name!r}. It must be either {self.nin} or "
                f"{self.nargs} (with outputs), but given {len(args)}."
            )
        operands = [_operand(x) for x in args[: self.nin]]
        outs = self._outs(args[self.nin :], kwargs.pop("out", None))
        DEVICE.work(self._name)
        return self._computed(operands, outs, kwargs)

    def _outs(self, positional: tuple[Any, ...], keyword: Any) -> tuple[Any, ...]:
        if positional and keyword is not None:
            raise ValueError("Cannot specify 'out' as both a positional and keyword argument")
        outs = positional or (keyword if isinstance(keyword, tuple) else (keyword,))
        if len(outs) != self.nout and outs != (None,):
            raise ValueError("The 'out' tuple must have exactly one entry per ufunc output")
        return tuple(result_array(out) for out in outs if out is not None)

    def _computed(self, operands: Any, outs: tuple[Any, ...], kwargs: Any) -> Any:
        function = self._numpy()
        with np.errstate(all="ignore"):
            if not outs:
                return wrapped(function(*operands, **kwargs), [])
            function(*operands, out=tuple(out._a for out in outs), **kwargs)
        return outs[0] if self.nout == 1 else outs

    def _numpy(self) -> Any:
        found = getattr(np, self._name, None)
        if not isinstance(found, np.ufunc):
            raise NotImplementedError(f"cupy.{self._name}: NumPy has no such ufunc")
        return found

    # ------------------------------------------------------------------- methods

    def _require(self, method: str) -> None:
        if method not in self._record["methods"]:
            raise NotImplementedError(f"`{self.name}.{method}` is not supported yet")

    def reduce(
        self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> Any:
        self._require("reduce")
        method = array.sum if self._name == "add" else array.prod
        return method(axis, dtype, out, keepdims)

    def accumulate(self, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        self._require("accumulate")
        method = array.cumsum if self._name == "add" else array.cumprod
        return method(axis, dtype, out)

    def reduceat(
        self, array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None
    ) -> Any:
        self._require("reduceat")
        raise NotImplementedError("add.reduceat: CuPy has it, its stand-in does not")

    def at(self, a: Any, indices: Any, b: Any = None) -> None:
        self._require("at")
        add_at(self._name, self._numpy(), a, indices, b)

    def outer(self, A: Any, B: Any, **kwargs: Any) -> Any:
        A, B = A.reshape(A.shape + (1,) * B.ndim), B.reshape((1,) * A.ndim + B.shape)
        return self(A, B, **kwargs)


def _operand(x: Any) -> Any:
    """Arrays on the device, and numbers: those go by value."""
    return x if number(x) else unwrap(x)


def result_array(out: Any) -> ndarray:
    """An array that takes a result."""
    if not isinstance(out, ndarray):
        raise TypeError(f"Output arguments type must be cupy.ndarray, not {type(out)}")
    DEVICE.write(out._memory)
    return out


UFUNCS = {name: ufunc(name, record) for name, record in SURFACE["ufuncs"].items()}
