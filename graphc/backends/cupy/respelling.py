"""NumPy's array language as CuPy has it: the same names, but for those that it lacks.

Operators print NumPy. What CuPy has under the same name with the same meaning is respelled; for the
functions that operators call there is one for the device, as it is or from ``helpers``; anything
else the target lacks.
"""

from __future__ import annotations

import re
from functools import cache

from graphc.backends.cupy.helpers import HELPERS
from graphc.ops.helpers import FUNCTIONS, helper_source, plain_source

__all__ = ["HAS", "device_helper", "device_helpers_used", "lacking", "respelled"]

_HAS = """
    absolute add arange arccos arccosh arcsin arcsinh arctan arctanh argsort array asarray bool_
    broadcast_to ceil concatenate copyto cos cosh cumprod cumsum divide einsum empty_like equal exp
    expm1 eye float32 float64 floor full greater greater_equal inf int64 less less_equal log log1p
    logical_and logical_not logical_or maximum minimum moveaxis multiply nan negative not_equal pad
    power reshape rint sign sin sinh sqrt subtract take_along_axis tan tanh where zeros zeros_like
"""
HAS = frozenset(_HAS.split())
"""Names that operators and the functions that they call may use: CuPy 14 has each, and it means
the same."""

_NUMPY = re.compile(r"(?<![\w.])np\.(\w+)")
_CALL = re.compile(r"(?<![\w.])(_\w+)\(")
_OWN = {function.__name__: function for function in HELPERS}
_NAMES = {function.__name__ for function in FUNCTIONS}
_DEVICE = "_device"


def respelled(text: str) -> str:
    """Source for arrays on the device."""
    return _CALL.sub(_device_name, _NUMPY.sub(r"cp.\1", text))


def _device_name(match: re.Match[str]) -> str:
    name = match[1]
    return f"{_DEVICE}{name}(" if name in _NAMES else match[0]


@cache
def lacking(text: str) -> str:
    """What some source calls that there is not on the device, in words; empty if nothing."""
    unknown = sorted(set(_NUMPY.findall(text)) - HAS)
    if unknown:
        return f"CuPy has no np.{unknown[0]} that means the same"
    for name in sorted(set(_CALL.findall(text)) & _NAMES - _OWN.keys()):
        body = helper_source(name).partition("\n")[2]
        found = lacking(body)
        if found:
            return found
    return ""


@cache
def device_helper(name: str) -> str:
    """Source of a function that operators call, for the device; ``name`` is the one for NumPy."""
    own = _OWN.get(name)
    text = helper_source(name) if own is None else plain_source(own)
    head, _, body = text.partition("\n")
    return f"{respelled(head)}\n{respelled(body)}"


def device_helpers_used(source: str) -> list[str]:
    """Names, those for NumPy, of the functions for the device that a text calls, those that they
    call included, in a fixed order."""
    used: set[str] = set()
    texts = [source]
    while texts:
        text = texts.pop()
        called = {n for n in _NAMES if f"{_DEVICE}{n}(" in text} - used
        used |= called
        texts.extend(device_helper(name) for name in called)
    return [function.__name__ for function in FUNCTIONS if function.__name__ in used]
