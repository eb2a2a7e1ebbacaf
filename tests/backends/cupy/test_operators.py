"""Every operator on the device: which way it is written, and that it gives what NumPy gives.

Samples are the operators' own; what is registered tomorrow is tried tomorrow.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from device_runs import DeviceRun, device_body
from operator_cases import cases
from shorter_models import MODELS

import graphc
from graphc.backends.cupy.respelling import lacking
from graphc.backends.cupy.table import KernelTable
from graphc.backends.targets import LackingError
from graphc.ir import (
    OPERATORS,
    Builder,
    Graph,
    NoKernel,
    Operator,
    Sample,
    Type,
    WriteContext,
    is_real,
)
from graphc.ops import evaluate
from graphc.ops.functions import Function
from graphc.ops.gathering import Gather, GatherAdjoint, Take, TakeAdjoint
from graphc.ops.leaves import Input
from graphc.ops.random import Draw
from graphc.passes.differentiate import gradients

REALS = pytest.mark.parametrize("real", [np.float64, np.float32], ids=["f64", "f32"])
_STRUCTURE = """
    call clock column constant dimension direction fitted flat group if_training input item length
    operand parameter positions state tangent
"""
STRUCTURE = frozenset(_STRUCTURE.split())
"""What a graph is made of, written by the printer itself, and what runs on the host."""
KERNELS = {"draw_bernoulli", "draw_normal", "draw_uniform", "erf"}
"""What CuPy has no call for: a kernel of its own wherever it is not in a group."""
OWN_HELPERS = {
    "_add_along": {"gather_adjoint"},
    "_add_rows": {"take_adjoint"},
    "_orthogonal": {"draw_orthogonal"},
    "_product_before": {"cumprod"},
    "_ranks": {"ranks"},
    "_recurrence": {"recurrence"},
    "_windows": {"windows"},
}
"""Functions that are written for the device, and whose they are."""


def samples_of(operator: type[Operator]) -> list[Sample]:
    if issubclass(operator, Draw) and not operator.samples():
        return [Sample(operator((5, 7), "a.place"), ())]
    return operator.samples()


SAMPLES = {
    f"{name}_{i}": sample
    for name, operator in OPERATORS.items()
    for i, sample in enumerate(samples_of(operator))
}


# ------------------------------------------------------------------------------ which way


def written(sample: Sample) -> str:
    """How an operator is written where it is alone: ``call``, ``kernel`` or what is lacking."""
    builder, inputs = Builder(Graph()), []
    for i, type in enumerate(sample.types):
        inputs.append(builder.place(Input(f"x{i}"), (), type, f"x{i}"))
    result = builder.emit(sample.operator, *inputs)
    table = KernelTable()
    try:
        device_body((builder.graph, [result.id]), table)
    except LackingError as problem:
        return f"lacks: {problem.why}"
    return "kernel" if table.names else "call"


def test_the_way_of_every_operator_is_known():
    """A new operator that CuPy has no call for shows here, and one that gets another way."""
    ways = {name: {written(s) for s in samples_of(op)} for name, op in OPERATORS.items()}
    assert {name for name, found in ways.items() if not found} == STRUCTURE
    assert {name for name, found in ways.items() if "kernel" in found} == KERNELS
    others = ways.keys() - STRUCTURE - KERNELS
    assert {name: ways[name] for name in others} == {name: {"call"} for name in others}


def test_no_operator_is_lacking():
    assert not {key: why for key, sample in SAMPLES.items() if (why := lacked(sample))}


def lacked(sample: Sample) -> str:
    """What CuPy lacks of an operator that has no kernel either."""
    found = written(sample)
    return found if found.startswith("lacks") else ""


def text_of(sample: Sample) -> str:
    context = WriteContext(
        sample.types, sample.operator.infer(*sample.types), real="real", seed="seed", step="step"
    )
    return sample.operator.numpy(context, *(f"x{i}" for i in range(len(sample.types))))


def test_functions_for_the_device_are_called_by_those_that_need_them():
    callers: dict[str, set[str]] = {name: set() for name in OWN_HELPERS}
    for sample in SAMPLES.values():
        for name in OWN_HELPERS:
            if f"{name}(" in text_of(sample):
                callers[name].add(sample.operator.name)
    assert {name: found for name, found in callers.items() if OWN_HELPERS[name] - found} == {}


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


# ------------------------------------------------------------------------------ what is lacking


@pytest.fixture
def made_for_a_test():
    """Takes operators that a test registered out again."""
    before = dict(OPERATORS)
    yield
    OPERATORS.clear()
    OPERATORS.update(before)


def rare_operator(text: str, kernel: str | None = None) -> Operator:
    """An element-wise operator whose source is given, and its kernel if there is one."""

    @dataclass(frozen=True)
    class Rare(Function):
        """Made for a test."""

        name = "rare"
        ufunc = "exp"

        def numpy(self, w, x):
            return text.format(x=x)

        def kernel(self, w, x):
            if kernel is None:
                raise NoKernel("rare")
            return kernel.format(x=x)

        def partial(self, i, xs, y):
            return y

    return Rare()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("np.bessel({x})", "CuPy has no np.bessel that means the same"),
        ("np.add.accumulate(np.sinc({x}))", "CuPy has no np.sinc that means the same"),
        ("_erf({x})", "CuPy has no np.empty that means the same"),
    ],
)
def test_an_operator_that_neither_a_call_nor_a_kernel_gives_is_named(made_for_a_test, text, why):
    rare = rare_operator(text)
    assert written(Sample(rare, (Type("real", (3,)),))) == f"lacks: {why}"


def test_what_cupy_lacks_may_be_a_kernel(made_for_a_test):
    rare = rare_operator("np.bessel({x})", kernel="exp({x})")
    assert written(Sample(rare, (Type("real", (3,)),))) == "kernel"


def test_a_method_of_an_array_is_no_call_of_numpy():
    assert lacking("x0.sum(axis=1) @ np.exp(x1)") == ""
    assert lacking("_ranks(x0, 1, real)") == ""


def test_a_program_with_an_operator_that_is_lacking_is_an_error_at_its_place(
    made_for_a_test, monkeypatch
):
    """Computed when a module is printed, from what the operator is: no list of names."""
    exp = OPERATORS["exp"]
    monkeypatch.setattr(exp, "numpy", lambda self, w, x: f"np.bessel({x})")
    monkeypatch.setattr(exp, "kernel", lambda self, w, x: no_kernel())
    model = graphc.compile(
        "model m\ninput x: real[n]\nparam w: real = 1\nloss f = mean(exp(w * x))\n",
        target="cupy",
    )
    with pytest.raises(graphc.CompileError) as found:
        _ = model.source
    (error,) = found.value.diagnostics.errors
    assert (error.code, error.title) == ("E701", "the target cupy has no operator exp")
    assert error.span is not None
    assert error.span.source.text[error.span.start : error.span.end] == "exp(w * x)"
    assert error.notes == ("CuPy has no np.bessel that means the same",)
    assert graphc.compile(MODELS / "circuit.gc", target="cupy").source, "others are what they were"


def no_kernel() -> str:
    raise NoKernel("exp")


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
