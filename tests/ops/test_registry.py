"""Tests driven by the operators' own samples: a new operator is covered when it exists."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from in_place import in_place, plain

from graphc.ir import OPERATORS, Builder, Graph, Sample, Type, is_real, verify
from graphc.ops import evaluate
from graphc.ops.leaves import Input
from graphc.ops.logic import StopGradient
from graphc.ops.random import Draw
from graphc.passes.differentiate import gradients

SAMPLES = [
    pytest.param(sample, id=f"{name}-{i}")
    for name, operator in OPERATORS.items()
    for i, sample in enumerate(operator.samples())
]
DIFFERENTIABLE = [
    p
    for p in SAMPLES
    if any(map(is_real, p.values[0].types))
    and not isinstance(p.values[0].operator, Draw | StopGradient)
]


def arrays(sample: Sample, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [array(rng, type, sample) for type in sample.types]


def array(rng: np.random.Generator, type: Type, sample: Sample) -> np.ndarray:
    if type.kind == "real":
        return rng.uniform(sample.low, sample.high, type.shape)
    if type.kind == "bool":
        return rng.random(type.shape) < 0.5
    return rng.integers(0, type.classes or 3, type.shape)


def build(sample: Sample):
    builder = Builder(Graph())
    inputs = [
        builder.place(Input(f"x{i}"), (), type, f"x{i}") for i, type in enumerate(sample.types)
    ]
    return builder, inputs, builder.emit(sample.operator, *inputs)


@pytest.mark.parametrize("sample", SAMPLES)
def test_inferred_type_is_the_actual_one(sample: Sample):
    builder, _, result = build(sample)
    leaves = {f"x{i}": a for i, a in enumerate(arrays(sample))}
    (value,) = evaluate(builder.graph, [result.id], leaves)
    assert np.shape(value) == result.shape
    kinds = {"real": "f", "bool": "b", "int": "i", "label": "i"}
    assert np.asarray(value).dtype.kind == kinds[result.type.kind]


@pytest.mark.parametrize("sample", SAMPLES)
def test_writing_into_an_array_gives_the_same(sample: Sample):
    """Also over the operand's own array, where the operator says that is allowed."""
    op, values = sample.operator, arrays(sample)
    result, expected = op.infer(*sample.types), plain(sample, values)
    out = np.empty(expected.shape, expected.dtype)
    np.testing.assert_array_equal(in_place(sample, values, out)(), expected)
    for i, type in enumerate(sample.types):
        if op.may_overwrite(i) and type.shape == result.shape and type.kind == result.kind:
            own = [value.copy() if j == i else value for j, value in enumerate(values)]
            np.testing.assert_array_equal(in_place(sample, own, own[i])(), expected)


def weighted(builder: Builder, result, seed: int = 1):
    """A scalar that depends on every element: the sum of the result times fixed numbers."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 1.5, result.shape)
    return (
        (result * builder.constant(as_tuple(weights))).apply(
            "sum", axis=tuple(range(len(result.shape)))
        )
        if result.shape
        else result * builder.constant(float(weights))
    )


def as_tuple(value):
    return tuple(map(as_tuple, value)) if np.ndim(value) else float(value)


def check_gradient(builder: Builder, scalar, inputs, values, tolerance: float):
    """Every gradient against central differences along random directions, in f64."""
    rng = np.random.default_rng(2)
    wanted = [v for v in inputs if is_real(v.type)]
    found = gradients(builder, scalar, [v.id for v in wanted])
    verify(builder.graph)
    leaves = {f"x{i}": a for i, a in enumerate(values)}
    for value in wanted:
        name = builder.graph[value.id].name
        direction = rng.normal(size=value.shape)
        step = 1e-6
        outcomes = []
        for sign in (1, -1):
            moved = {**leaves, name: leaves[name] + sign * step * direction}
            outcomes.append(float(evaluate(builder.graph, [scalar.id], moved)[0]))
        numeric = (outcomes[0] - outcomes[1]) / (2 * step)
        if value.id not in found:
            assert abs(numeric) < 1e-8
            continue
        (gradient,) = evaluate(builder.graph, [found[value.id].id], leaves)
        exact = float(np.sum(np.broadcast_to(gradient, value.shape) * direction))
        assert np.shape(gradient) == value.shape
        assert exact == pytest.approx(numeric, rel=tolerance, abs=tolerance)
    return found


@pytest.mark.parametrize("sample", DIFFERENTIABLE)
def test_first_and_second_derivatives(sample: Sample):
    builder, inputs, result = build(sample)
    if not is_real(result.type):
        assert not gradients_of_truth(builder, inputs, result)
        return
    values = arrays(sample)
    scalar = weighted(builder, result)
    found = check_gradient(builder, scalar, inputs, values, 1e-6)
    for gradient in list(found.values()):
        check_gradient(builder, weighted(builder, gradient, seed=5), inputs, values, 2e-5)


MAPPABLE = [
    pytest.param(sample, mapped, id=f"{p.id}-{''.join('m' if own else 'u' for own in mapped)}")
    for p in SAMPLES
    for sample in p.values
    for mapped in itertools.product((True, False), repeat=len(sample.types))
    if any(mapped) and not isinstance(sample.operator, Draw)
]


@pytest.mark.parametrize(("sample", "mapped"), MAPPABLE)
def test_vectorized_is_one_at_a_time(sample: Sample, mapped: tuple[bool, ...]):
    """Three sets of operands at once give what each set gives alone."""
    sets = [arrays(sample, seed) for seed in range(3)]
    builder = Builder(Graph())
    inputs, leaves = [], {}
    for i, (type, own) in enumerate(zip(sample.types, mapped, strict=True)):
        values = np.stack([s[i] for s in sets]) if own else sets[0][i]
        leaves[f"x{i}"] = values
        shape = (3, *type.shape) if own else type.shape
        inputs.append(builder.place(Input(f"x{i}"), (), type.with_shape(shape), f"x{i}"))
    result = sample.operator.vectorize(3, tuple(inputs), mapped)
    (actual,) = evaluate(builder.graph, [result.id], leaves)
    one_builder, _, one = build(sample)
    for row in range(3):
        single = {f"x{i}": sets[row if own else 0][i] for i, own in enumerate(mapped)}
        (expected,) = evaluate(one_builder.graph, [one.id], single)
        assert result.shape == (3, *one.shape)
        np.testing.assert_allclose(actual[row], expected, rtol=1e-12, atol=1e-12)


def gradients_of_truth(builder, inputs, result):
    counted = result.apply("cast", kind="real")
    counted = counted.apply("sum", axis=tuple(range(len(counted.shape))))
    return gradients(builder, counted, [v.id for v in inputs if is_real(v.type)])


MUTABLE = [
    pytest.param(type(p.values[0].operator), i, id=f"{type(p.values[0].operator).name}-{i}")
    for p in {type(p.values[0].operator): p for p in DIFFERENTIABLE}.values()
    for i, kind in enumerate(p.values[0].types)
    if is_real(kind)
]
"""Operators and the operands by which they are differentiated."""


@pytest.mark.parametrize(("operator", "operand"), MUTABLE)
def test_a_derivative_wrong_by_a_thousandth_fails(operator, operand: int, monkeypatch):
    """The check above is no rubber stamp: it finds 0.1% in the derivative by any operand.

    Where a rule gives no derivative, as for ``floor``, there is nothing to make wrong."""
    right, touched = operator.vjp, []

    def wrong(self, i, xs, y, d):
        value = right(self, i, xs, y, d)
        if value is None or i != operand:
            return value
        touched.append(i)
        return value * 1.001

    monkeypatch.setattr(operator, "vjp", wrong)
    found = [_is_found(sample) for sample in operator.samples() if real_operand(sample, operand)]
    assert any(found) == bool(touched)


def real_operand(sample: Sample, i: int) -> bool:
    return i < len(sample.types) and is_real(sample.types[i])


def _is_found(sample: Sample) -> bool:
    try:
        test_first_and_second_derivatives(sample)
    except AssertionError:
        return True
    return False


def test_every_operator_with_operands_has_samples():
    structural = {"operand", "call", "group", "item", "flat", "if_training", "fitted"}
    missing = [
        name
        for name, operator in OPERATORS.items()
        if operator.arity and name not in structural and not operator.samples()
    ]
    assert not missing
