"""The stand-in has names and parameters of CuPy's record and no others."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import numpy as np
import pytest

import graphc.ops  # fills the table of operators
from graphc.ir import OPERATORS
from standin import creation, cuda, functions, methods
from standin.array import ndarray
from standin.mapped import MAPPED, MAPPED_LINALG, OF_METHODS
from standin.modules import modules
from standin.surface import SURFACE, bound, signature
from standin.ufuncs import UFUNCS

ASKED = {"fail_after", "no_device", "set_memory"}
"""What tests ask the stand-in, and CuPy does not have."""

MODULES = modules()
CLASSES = {
    "Device": MODULES["cupy.cuda"].Device,
    "Event": MODULES["cupy.cuda"].Event,
    "MemoryPointer": MODULES["cupy.cuda"].MemoryPointer,
    "MemoryPool": MODULES["cupy.cuda"].MemoryPool,
    "PinnedMemoryPointer": MODULES["cupy.cuda"].PinnedMemoryPointer,
    "PinnedMemoryPool": MODULES["cupy.cuda"].PinnedMemoryPool,
    "RawKernel": MODULES["cupy"].RawKernel,
    "RawModule": MODULES["cupy"].RawModule,
    "Stream": MODULES["cupy.cuda"].Stream,
}
HAND_WRITTEN = {
    "cupy": [*creation.CREATION, *functions.FUNCTIONS],
    "cupy.cuda": cuda.CUDA,
    "cupy.cuda.nvrtc": cuda.NVRTC,
    "cupy.cuda.runtime": cuda.RUNTIME,
    "cupy.lib.stride_tricks": [functions.as_strided],
}
NAMELESS = {"(*args, **kwargs)", "(*args, **kwds)"}
"""Recorded of compiled code that does not say its parameters."""


def parameters(found: inspect.Signature, skip_self: bool = False) -> list[tuple[Any, ...]]:
    """Names, kinds and defaults, in order; a default that is no literal is `...`."""
    parts = list(found.parameters.values())[skip_self:]
    return [(p.name, p.kind, _literal(p.default)) for p in parts]


def _literal(default: Any) -> Any:
    is_literal = default is None or isinstance(default, bool | int | str | tuple)
    return default if is_literal or default is inspect.Parameter.empty else ...


@pytest.mark.parametrize("module", HAND_WRITTEN)
def test_functions_have_the_parameters_of_cupy(module):
    for function in HAND_WRITTEN[module]:
        recorded = SURFACE[module][function.__name__]
        if recorded in NAMELESS:
            continue
        assert parameters(inspect.signature(function)) == parameters(signature(recorded)), recorded


def test_methods_have_the_parameters_of_cupy():
    for method in methods.METHODS:
        recorded = signature(SURFACE["ndarray"][method.__name__])
        assert parameters(inspect.signature(method), True) == parameters(recorded), method


@pytest.mark.parametrize("name", CLASSES)
def test_classes_have_members_of_cupy_alone(name):
    recorded, cls = SURFACE["classes"][name], CLASSES[name]
    for member, thing in vars(cls).items():
        if member.startswith("_") or member in ("ptr", "is_null", "start", "current", "array"):
            continue
        assert member in recorded, member
        if inspect.isfunction(thing):
            expected = parameters(signature(recorded[member]))
            assert parameters(inspect.signature(thing), True) == expected, member


@pytest.mark.parametrize("name", MODULES)
def test_modules_have_names_of_cupy_alone(name):
    submodules = {other.rpartition(".")[2] for other in MODULES if other.startswith(f"{name}.")}
    public = {n for n in vars(MODULES[name]) if not n.startswith("_")}
    assert public - submodules - ASKED <= SURFACE.get(name, {}).keys()


def test_arrays_have_members_of_cupy_alone():
    own = {"__getattr__", "__hash__", "__slots__", "__new__", "__init__", "__doc__", "__module__"}
    compared = {f"__{name}__" for name in ("eq", "ge", "gt", "le", "lt", "ne", "repr", "str")}
    rest = {"__format__", "__weakref__", "__annotations__", "__setattr__", "__orig_bases__"}
    members = {name for name in vars(ndarray) if not name.startswith("_") or name.startswith("__")}
    assert members - own - compared - rest <= SURFACE["ndarray"].keys()


def test_functions_that_are_numpys_take_no_more_than_cupys():
    with pytest.raises(TypeError, match="out"):
        MAPPED["stack"]([], where=True, out=None, mode=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'initial'"):
        OF_METHODS["sum"](None, initial=1)
    assert MAPPED.keys() | OF_METHODS.keys() <= SURFACE["cupy"].keys()
    assert MAPPED_LINALG.keys() <= SURFACE["cupy.linalg"].keys()


def test_arguments_are_bound_as_cupy_would():
    text = "(a, indices, axis=None, out=None, *, casting='same_kind', **kwargs)"
    assert bound("f", text, (1, 2, None), {"more": 3}) == ([1, 2], {"more": 3})
    assert bound("f", text, (1, 2), {"casting": "no"}) == ([1, 2], {"casting": "no"})
    with pytest.raises(TypeError, match="missing a required argument"):
        bound("f", text, (1,), {})


@pytest.mark.parametrize("name", UFUNCS)
def test_results_of_ufuncs_have_the_types_of_cupy(name):
    """Loop by loop as CuPy looks for one: NumPy, which computes, has the same result or none."""
    ufunc, function = UFUNCS[name], getattr(np, name, None)
    if not isinstance(function, np.ufunc):
        return
    for inputs in itertools.product("?Bilfd", repeat=ufunc.nin):
        try:
            with np.errstate(all="ignore"):
                found = function(*(np.ones(1, each) for each in inputs))
        except TypeError:
            continue
        results = found if isinstance(found, tuple) else (found,)
        assert "".join(each.dtype.char for each in results) == _loop(ufunc.types, inputs), inputs


def _loop(loops: list[str], inputs: tuple[str, ...]) -> str | None:
    for loop in loops:
        taken, given = loop.split("->")
        if all(np.can_cast(a, b, "safe") for a, b in zip(inputs, taken, strict=True)):
            return given.replace("q", "l").replace("Q", "L")
    return None


def test_every_ufunc_of_an_operator_is_cupys():
    assert graphc.ops
    names = {getattr(op, "ufunc", "") for op in OPERATORS.values()} - {""}
    assert len(names) > 30
    assert names <= UFUNCS.keys() | {"where"}
