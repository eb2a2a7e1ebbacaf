"""The kernels of every model compile for CUDA, with the options that modules and CuPy give them.

A warning is an error, and so is an NVRTC that is missing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from both_targets import loaded
from idle import idle_kernels
from nvrtc import ARCHITECTURES, NvrtcError, compiled, module_options
from shorter_models import NAMES

import graphc

EACH_WAY = tuple(itertools.product(ARCHITECTURES, ("float", "double")))
ALWAYS = ("circuit", "custom", "lenet5", "monks1", "transformer", "wine")
"""Models whose kernels are of all kinds; those of the others are compiled in the second tier."""
IN_TURN = list(zip(ALWAYS, itertools.cycle(EACH_WAY), strict=False))
BOTH = tuple(zip(ARCHITECTURES, ("float", "double"), strict=True))

Compiled = Callable[..., graphc.Model]


@pytest.fixture
def kernels(cupy: Any, compiled_model: Compiled) -> Callable[..., str]:
    """The source of a model's kernels, ``whole`` with those of the functions on request."""

    def of(name: str, whole: bool) -> str:
        return str(loaded(compiled_model(name, whole)).KERNELS)

    return of


@pytest.mark.parametrize(("name", "way"), IN_TURN, ids=ALWAYS)
def test_kernels_compile(name: str, way: tuple[str, str], kernels: Callable[..., str]):
    """Models take architectures and types in turn."""
    assert compiled(kernels(name, False), *way)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_all_kernels_compile_for_both(name: str, kernels: Callable[..., str]):
    """Of models that have kernels of all kinds those of functions on request too."""
    for way in BOTH:
        assert compiled(kernels(name, name in ALWAYS), *way)


def test_modules_compile_with_these_options(
    cupy: Any, compiled_model: Compiled, monkeypatch: pytest.MonkeyPatch
):
    given = []
    real = cupy.RawModule

    def seen(**options: Any) -> Any:
        given.append(options)
        return real(**options)

    idle_kernels(monkeypatch)
    monkeypatch.setattr(cupy, "RawModule", seen)
    module = loaded(compiled_model("iris", False))
    for dtype in (np.float32, np.float64, np.float32):
        module.predict(module.init(0, dtype), {"x": np.ones((1, 4))})
    assert given == [
        {"code": module.KERNELS, "options": module_options(real)} for real in ("float", "double")
    ]


WRONG = {
    "a type that is another": ("const real q = ", "const real *q = "),
    "a warning": (
        "        const real q = ",
        "        const real unused = 0;\n        const real q = ",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_compile_is_found(what: str, kernels: Callable[..., str]):
    right, wrong = WRONG[what]
    source = kernels("circuit", False)
    assert right in source
    with pytest.raises(NvrtcError):
        compiled(source.replace(right, wrong, 1), "sm_80", "float")
