"""Operators of `cupy.ndarray`, and its conversions to Python's types: those are reads."""

from __future__ import annotations

from typing import Any

from .array import ndarray
from .indexing import getitem, setitem
from .methods import copy, get
from .ufuncs import UFUNCS

BINARY = {
    "add": "add",
    "and": "bitwise_and",
    "divmod": "divmod",
    "floordiv": "floor_divide",
    "lshift": "left_shift",
    "mod": "remainder",
    "mul": "multiply",
    "or": "bitwise_or",
    "pow": "power",
    "rshift": "right_shift",
    "sub": "subtract",
    "truediv": "true_divide",
    "xor": "bitwise_xor",
}
COMPARED = {
    "eq": "equal",
    "ge": "greater_equal",
    "gt": "greater",
    "le": "less_equal",
    "lt": "less",
    "ne": "not_equal",
}
UNARY = {"abs": "absolute", "invert": "invert", "neg": "negative", "pos": "positive"}
READ = {"bool": bool, "bytes": bytes, "complex": complex, "float": float, "int": int}


def _matmul(a: Any, b: Any) -> Any:
    from .functions import matmul

    return matmul(a, b)


def _define(name: str, method: Any) -> None:
    method.__name__ = f"__{name}__"
    setattr(ndarray, method.__name__, method)


def _define_all() -> None:
    for name, ufunc in {**BINARY, **COMPARED}.items():
        function = UFUNCS[ufunc]
        _define(name, lambda a, b, f=function: f(a, b))
        if name in BINARY:
            _define(f"r{name}", lambda a, b, f=function: f(b, a))
        if name in BINARY and name != "divmod":
            _define(f"i{name}", lambda a, b, f=function: f(a, b, out=a))
    for name, ufunc in UNARY.items():
        _define(name, lambda a, f=UFUNCS[ufunc]: f(a))
    for name, kind in READ.items():
        _define(name, lambda a, k=kind: k(get(a)[()] if a.ndim == 0 else get(a)))
    _define("matmul", _matmul)
    _define("rmatmul", lambda a, b: _matmul(b, a))
    _define("getitem", getitem)
    _define("setitem", setitem)
    _define("iter", _iterated)
    _define("copy", lambda a: copy(a))
    _define("deepcopy", lambda a, memo: copy(a))
    _define("repr", lambda a: repr(get(a)))
    _define("str", lambda a: str(get(a)))
    _define("format", lambda a, spec: format(get(a)[()], spec))


def _iterated(a: ndarray) -> Any:
    if a.ndim == 0:
        raise TypeError("iteration over a 0-d array")
    return (getitem(a, i) for i in range(len(a)))


_define_all()
