"""Every operator's value, gradient and Hessian-vector product against the peers' own.

Driven by the operators' samples: an operator that a peer's table lacks fails here by its name.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from forward_graph import Use, needs_row
from peer_modules import PEERS, peer_module

from graphc.ir import OPERATORS, Builder, Graph, Operator, Sample, Type, Value, is_real
from graphc.ops import evaluate
from graphc.ops.leaves import Input
from graphc.passes.differentiate import gradients

TOLERANCE = {"rtol": 1e-9, "atol": 1e-12}
CASES = [
    pytest.param(sample, id=f"{name}-{i}")
    for name, operator in OPERATORS.items()
    if needs_row(name)
    for i, sample in enumerate(operator.samples())
]


@pytest.mark.parametrize("peer", PEERS)
def test_every_operator_has_a_row(peer: str) -> None:
    """A new operator needs a row in the peers' tables, or a reason why it needs none."""
    table = peer_module(peer).TABLE
    assert [name for name in OPERATORS if needs_row(name) and name not in table] == []
    assert sorted(set(table) - set(OPERATORS)) == [], "rows of operators that are gone"


def drawn(rng: np.random.Generator, sample: Sample, type: Type) -> np.ndarray:
    if type.kind == "real":
        return rng.uniform(sample.low, sample.high, type.shape)
    if type.kind == "bool":
        return rng.random(type.shape) < 0.5
    return rng.integers(0, type.classes or 3, type.shape)


@pytest.mark.parametrize("sample", CASES)
@pytest.mark.parametrize("peer", PEERS)
def test_operator(peer: str, sample: Sample) -> None:
    compare_operator(peer_module(peer), sample)


@pytest.mark.peers
@pytest.mark.parametrize("sample", CASES)
def test_a_wrong_derivative_is_found(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    """A millionth off, in every operator that has a derivative."""
    library, operator, passed = peer_module("torch"), type(sample.operator), []
    right = operator.vjp

    def wrong(self: Operator, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        found = right(self, i, xs, y, d)
        if found is None:
            return None
        passed.append(i)
        return found * (1 + 1e-6)

    monkeypatch.setattr(operator, "vjp", wrong)
    try:
        compare_operator(library, sample)
    except AssertionError:
        assert passed
    else:
        assert not passed


def compare_operator(library: ModuleType, sample: Sample) -> None:
    rng = np.random.default_rng(0)
    operands = {f"x{i}": drawn(rng, sample, type) for i, type in enumerate(sample.types)}
    builder = Builder(Graph())
    inputs = [
        builder.place(Input(name), (), type, name)
        for name, type in zip(operands, sample.types, strict=True)
    ]
    result = builder.emit(sample.operator, *inputs)
    expected = library.array(_peer_result(library, sample, result.type, operands))
    (actual,) = evaluate(builder.graph, [result.id], operands)
    np.testing.assert_allclose(actual, expected, **TOLERANCE)
    if is_real(result.type) and any(map(is_real, sample.types)):
        _compare_derivatives(library, sample, builder, inputs, result, operands)


def _peer_result(library: ModuleType, sample: Sample, type: Type, operands: dict) -> object:
    real = library.REAL["f64"]
    use = Use(sample.operator, sample.types, type, {}, real)
    row = library.TABLE[sample.operator.name]
    return row(use, *(library.tensor(value, real) for value in operands.values()))


def _compare_derivatives(
    library: ModuleType,
    sample: Sample,
    builder: Builder,
    inputs: list[Value],
    result: Value,
    operands: dict[str, np.ndarray],
) -> None:
    """Of Σ weights · result², whose second derivative has both terms of the chain rule."""
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.5, 1.5, result.shape)
    wanted = {f"x{i}": v for i, v in enumerate(inputs) if is_real(v.type)}
    tangents = {name: rng.normal(size=v.shape) for name, v in wanted.items()}
    ids = [v.id for v in wanted.values()]
    objective = total(result * result * builder.constant(as_tuples(weights)))
    first = gradients(builder, objective, ids)
    slope = total_of_pairs(builder, [(first.get(v.id), tangents[n]) for n, v in wanted.items()])
    second = gradients(builder, slope, ids) if slope is not None else {}

    real = library.REAL["f64"]
    tensors = {name: library.tensor(value, real) for name, value in operands.items()}
    use = Use(sample.operator, sample.types, result.type, {}, real)

    def function(at: dict) -> object:
        value = library.TABLE[sample.operator.name](use, *{**tensors, **at}.values())
        return (value * value * library.tensor(weights, real)).sum()

    at = {name: tensors[name] for name in wanted}
    _, peer_first = library.value_and_gradients(function, at)
    raised = {name: library.tensor(v, real)[None] for name, v in tangents.items()}
    peer_second = library.hessian_products(function, at, raised)
    for name, value in wanted.items():
        for found, expected in (
            (first, library.array(peer_first[name])),
            (second, library.array(peer_second[name])[0]),
        ):
            actual = np.zeros(value.shape)
            if value.id in found:
                (actual,) = evaluate(builder.graph, [found[value.id].id], operands)
            np.testing.assert_allclose(actual, expected, **TOLERANCE, err_msg=name)


def total(value: Value) -> Value:
    axes = tuple(range(len(value.shape)))
    return value.apply("sum", axis=axes) if axes else value


def total_of_pairs(builder: Builder, pairs: list) -> Value | None:
    """Σ ⟨gradient, tangent⟩ over the gradients that there are."""
    terms = [total(g * builder.constant(as_tuples(t))) for g, t in pairs if g is not None]
    result = None
    for term in terms:
        result = term if result is None else result + term
    return result


def as_tuples(value: np.ndarray) -> object:
    return tuple(map(as_tuples, value)) if np.ndim(value) else float(value)
