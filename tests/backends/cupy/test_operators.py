"""Every operator alone on the device gives what NumPy gives, forward and back.

Samples are the operators' own; what is registered tomorrow is tried tomorrow.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from device_runs import SAMPLES, STRUCTURE, DeviceRun
from operator_cases import cases

from graphc.ir import OPERATORS, Builder, Graph, Sample, Type, is_real
from graphc.ops import evaluate
from graphc.ops.gathering import Gather, GatherAdjoint, Take, TakeAdjoint
from graphc.ops.leaves import Input
from graphc.ops.random import Draw
from graphc.passes.differentiate import gradients

REALS = pytest.mark.parametrize("real", [np.float64, np.float32], ids=["f64", "f32"])

# ------------------------------------------------------------------------------ the same values


@dataclass
class Tried:
    """A graph, the nodes that are asked for, and what its leaves are."""

    operator: str
    graph: Graph
    ids: list[int]
    leaves: dict[str, Any]


def forward_and_back(sample: Sample) -> Tried:
    """An operator's result, and the gradient of a weighted sum of it by each operand."""
    builder, inputs, draw = Builder(Graph()), [], np.random.default_rng(0)
    leaves = {}
    for i, type in enumerate(sample.types):
        inputs.append(builder.place(Input(f"x{i}"), (), type, f"x{i}"))
        leaves[f"x{i}"] = drawn(type, draw, sample)
    result = builder.emit(sample.operator, *inputs)
    ids = [result.id]
    reals = [value.id for value in inputs if is_real(value.type)]
    if is_real(result.type) and reals and not isinstance(sample.operator, Draw):
        weights = builder.place(Input("w"), (), Type("real", result.shape), "w")
        leaves["w"] = draw.uniform(0.5, 1.5, result.shape)
        axes = tuple(range(len(result.shape)))
        scalar = result * weights
        scalar = scalar.apply("sum", axis=axes) if axes else scalar
        ids += [value.id for value in gradients(builder, scalar, reals).values()]
    return Tried(sample.operator.name, builder.graph, ids, leaves)


def drawn(type: Type, draw: np.random.Generator, sample: Sample) -> np.ndarray:
    if type.kind == "real":
        return np.asarray(draw.uniform(sample.low, sample.high, type.shape))
    if type.kind == "bool":
        return np.asarray(draw.random(type.shape) < 0.5)
    return np.asarray(draw.integers(0, type.classes or 3, type.shape))


@functools.cache
def tried() -> dict[str, Tried]:
    found = {key: forward_and_back(sample) for key, sample in SAMPLES.items()}
    for key, case in cases().items():
        graph, result = case.build()
        found[f"special_{key}"] = Tried(case.operator.name, graph, [result.id], case.leaves)
    return found


@functools.cache
def printed() -> DeviceRun:
    return DeviceRun({key: (each.graph, each.ids) for key, each in tried().items()})


@pytest.fixture
def run(cupy) -> DeviceRun:
    printed().load()
    return printed()


@REALS
@pytest.mark.parametrize("name", sorted(OPERATORS.keys() - STRUCTURE))
def test_forward_and_back_is_numpys(name: str, real: Any, run: DeviceRun):
    own = {key: each for key, each in tried().items() if each.operator == name}
    assert own, f"{name} cannot be tried: it has no sample"
    for key, each in own.items():
        found = run(key, each.leaves, real, seed=11, step=5)
        expected = evaluate(each.graph, each.ids, each.leaves, real=real, seed=11, step=5)
        for value, other in zip(found, expected, strict=True):
            expect_close(key, value, np.asarray(other), real)


def expect_close(key: str, value: np.ndarray, expected: np.ndarray, real: Any) -> None:
    """NaN and infinities in the same places, the rest to some roundings of the largest element."""
    assert value.dtype.kind == expected.dtype.kind, key
    assert value.shape == expected.shape, key
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(value, expected, err_msg=key)
        return
    few = 32 * float(np.finfo(real).eps)
    size = np.abs(expected[np.isfinite(expected)]).max(initial=0.0) if "special" not in key else 0.0
    tiny = float(np.finfo(real).tiny)
    np.testing.assert_allclose(value, expected, rtol=few, atol=few * size + tiny, err_msg=key)


# ------------------------------------------------------------------------------ indices

PICKED = {
    "take": (Take(), (5, 3), (4, 2)),
    "take_adjoint": (TakeAdjoint(5), (4, 2, 3), (4, 2)),
    "gather": (Gather(1), (4, 5), (4, 3)),
    "gather_adjoint": (GatherAdjoint(1, 5), (4, 3), (4, 3)),
}
"""Operators that read indices, over an axis of 5, and the shapes of their operands."""


@functools.cache
def picking() -> DeviceRun:
    programs = {}
    for name, (operator, shape, index) in PICKED.items():
        builder = Builder(Graph())
        x = builder.place(Input("x"), (), Type("real", shape), "x")
        at = builder.place(Input("at"), (), Type("int", index), "at")
        programs[name] = builder.graph, [builder.emit(operator, x, at).id]
    return DeviceRun(programs)


@pytest.fixture
def pick(cupy):
    """Computes one of them on the device, and gives what NumPy says with it."""
    picking().load()

    def pick(name: str, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, shape, _ = PICKED[name]
        leaves = {"x": np.random.default_rng(0).normal(size=shape), "at": at}
        program = graph, ids = picking().programs[name]
        assert program
        expected = lambda: evaluate(graph, ids, leaves)  # noqa: E731
        return picking()(name, leaves, np.float64)[0], expected

    return pick


@pytest.mark.parametrize("name", PICKED)
def test_indices_count_from_the_end_too(name: str, pick):
    shape = PICKED[name][2]
    at = np.random.default_rng(1).integers(-5, 5, shape)
    assert at.min() < -1
    found, expected = pick(name, at)
    np.testing.assert_allclose(found, expected()[0], rtol=1e-14)


@pytest.mark.parametrize("wrong", [5, -6, 2**40])
@pytest.mark.parametrize("name", PICKED)
def test_an_index_out_of_range_is_an_error_and_then_forgotten(name: str, wrong: int, pick):
    """On a device it would wrap round: the error is that of NumPy, once, for whoever asked."""
    good = np.zeros(PICKED[name][2], np.int64)
    bad = good.copy()
    bad.flat[-1] = wrong
    with pytest.raises(IndexError, match=f"index {wrong} of at is out of bounds for size 5"):
        pick(name, bad)
    pick(name, good)


# ------------------------------------------------------------------------------ a wrong one


class Instead:
    """CuPy with another function in the place of one."""

    def __init__(self, cupy: Any, **others: Any) -> None:
        self._cupy = cupy
        vars(self).update(others)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cupy, name)


@pytest.mark.parametrize("name", ["exp", "take_along_axis", "cumsum", "einsum"])
def test_a_call_that_is_wrong_by_a_millionth_is_found(name: str, run: DeviceRun, monkeypatch):
    cupy = run.module.cp
    right = getattr(cupy, name)
    wrong = Instead(cupy, **{name: lambda *args, **more: right(*args, **more) * 1.000001})
    monkeypatch.setattr(run.module, "cp", wrong)
    operator = {"take_along_axis": "gather"}.get(name, name)
    with pytest.raises(AssertionError):
        test_forward_and_back_is_numpys(operator, np.float64, run)
