"""Functions of `cupy` and `cupy.linalg` that are NumPy's with the arrays on the device, as far as
CuPy's parameters go."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import methods
from .array import device_array, ndarray, unwrapped, wrapped
from .device import DEVICE
from .surface import SURFACE, bound

__all__ = ["MAPPED", "MAPPED_LINALG", "OF_METHODS"]

NAMES = """
allclose around array_equal atleast_1d atleast_2d average bincount column_stack
count_nonzero cross diag diff expand_dims flip fliplr flipud hstack inner isclose kron linspace
median meshgrid moveaxis nan_to_num outer ptp repeat reshape roll rollaxis rot90 round searchsorted
split stack tensordot tile trace transpose tri tril triu vdot vstack
"""
LINALG = "cholesky det eigh eigvalsh inv norm pinv qr slogdet solve svd"

METHODS = """
all any argmax argmin argsort cumprod cumsum diagonal max mean min nonzero prod ravel squeeze std
sum swapaxes var
"""


def _mapped(module: str, name: str, function: Any) -> Any:
    text = SURFACE[module][name]

    def call(*args: Any, **kwargs: Any) -> Any:
        positional, named = bound(name, text, args, kwargs)
        found: list[ndarray] = []
        positional = [unwrapped(each, found) for each in positional]
        named = {key: unwrapped(value, found) for key, value in named.items()}
        if not found and name not in ("linspace", "tri"):
            raise TypeError(f"{module}.{name} without an array on the device")
        with np.errstate(all="ignore"):
            result = wrapped(function(*positional, **named), found)
        if not _is_view(result, found):
            DEVICE.work(name)
        return result

    call.__name__ = call.__qualname__ = name
    return call


def _is_view(result: Any, operands: list[ndarray]) -> bool:
    return isinstance(result, ndarray) and any(result._memory is o._memory for o in operands)


def _of_method(name: str, method: Any) -> Any:
    """`cupy.sum(a, …)` is `a.sum(…)`."""
    text = SURFACE["cupy"][name]

    def call(*args: Any, **kwargs: Any) -> Any:
        (a, *others), named = bound(name, text, args, kwargs)
        return method(device_array(a), *others, **named)

    call.__name__ = call.__qualname__ = name
    return call


MAPPED = {name: _mapped("cupy", name, getattr(np, name)) for name in NAMES.split()}
MAPPED_LINALG = {
    name: _mapped("cupy.linalg", name, getattr(np.linalg, name)) for name in LINALG.split()
}
OF_METHODS = {
    **{name: _of_method(name, getattr(methods, name)) for name in METHODS.split()},
    "amax": _of_method("amax", methods.max),
    "amin": _of_method("amin", methods.min),
}
