"""What is drawn on the device is what the CPU draws: the same bits where nothing is rounded."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from both_targets import loaded
from device_runs import DeviceRun

import graphc
from graphc.ir import Builder, Graph, Type
from graphc.ops import evaluate
from graphc.ops.leaves import Constant
from graphc.ops.random import Bernoulli, Normal, Orthogonal, Uniform

REALS = pytest.mark.parametrize("real", [np.float64, np.float32], ids=["f64", "f32"])
SHAPES = [(1,), (3,), (4,), (5, 7), (2, 3, 2), (1001,)]
KEYS = [(0, 0), (2**63 - 1, 2**40), (12345, 7)]
"""Seeds and steps."""
PROBABILITIES = [0.0, 1.0, 0.5, 0.3, 0.9999, 1e-6, 0.5 / 65536, 1.5 / 65536, 65535.4 / 65536]
"""Never, always, and where a probability in steps of 1/65536 is rounded."""
MATRICES = [(4, 4), (7, 3), (3, 7), (2, 3, 4), (1, 5)]

DROPPED = """model dropped
input x: real[n, 50]
param w: real[50] = 1
loss f = sum(dropout{0.3}(x * w) + dropout{0.7}(x * w))
train { optimizer = sgd{0.01} }
"""


@functools.cache
def draws() -> DeviceRun:
    programs: dict[str, Any] = {}

    def add(key: str, operator: Any, *operands: Any) -> None:
        builder = Builder(Graph())
        given = [builder.place(Constant(value), (), Type("real"), "") for value in operands]
        programs[key] = builder.graph, [builder.emit(operator, *given).id]

    for i, shape in enumerate(SHAPES):
        add(f"uniform {i}", Uniform(shape, f"u{i}"))
        add(f"normal {i}", Normal(shape, f"n{i}"))
        for k, p in enumerate(PROBABILITIES):
            add(f"bernoulli {i} {k}", Bernoulli(shape, f"b{i}"), p)
    for i, shape in enumerate(MATRICES):
        add(f"orthogonal {i}", Orthogonal(shape, f"o{i}"))
    return DeviceRun(programs)


@pytest.fixture
def drawn(cupy):
    """All draws of a sort on the device, each with the CPU's."""
    draws().load()

    def drawn(sort: str, real: Any):
        keys = [key for key in draws().programs if key.startswith(sort)]
        assert keys
        for key in keys:
            graph, ids = draws().programs[key]
            for seed, step in KEYS:
                (found,) = draws()(key, {}, real, seed=seed, step=step)
                (expected,) = evaluate(graph, ids, {}, real=real, seed=seed, step=step)
                assert (found.shape, found.dtype) == (expected.shape, expected.dtype), key
                yield key, found, expected

    return drawn


@REALS
def test_uniform_numbers_are_equal_bit_for_bit(real: Any, drawn):
    for key, found, expected in drawn("uniform", real):
        assert found.tobytes() == expected.tobytes(), key
        assert ((found >= 0) & (found < 1)).all()


@REALS
def test_truth_values_are_equal(real: Any, drawn):
    seen = set()
    for key, found, expected in drawn("bernoulli", real):
        np.testing.assert_array_equal(found, expected, err_msg=key)
        seen.add(float(found.mean()))
    assert {0.0, 1.0} < seen


@REALS
def test_normal_numbers_are_equal_but_for_the_last_bit(real: Any, drawn):
    """They are made of a logarithm, a cosine and a root, which C and NumPy each round."""
    different = total = 0
    for key, found, expected in drawn("normal", real):
        np.testing.assert_array_max_ulp(found, expected, 2 if real is np.float64 else 1)
        different += int((found != expected).sum())
        total += found.size
        assert np.isfinite(found).all(), key
    assert different < total / 5


@REALS
def test_matrices_are_orthonormal_and_the_cpus(real: Any, drawn):
    few = 64 * float(np.finfo(real).eps)
    for key, found, expected in drawn("orthogonal", real):
        flat = found.reshape(-1, found.shape[-1]).astype(np.float64)
        small = flat.T @ flat if flat.shape[0] >= flat.shape[1] else flat @ flat.T
        np.testing.assert_allclose(small, np.eye(len(small)), atol=few, err_msg=key)
        np.testing.assert_allclose(found, expected, atol=few, err_msg=key)


@REALS
def test_what_dropout_drops_is_the_same_in_every_step(real: Any, cupy):
    """The gradients are what is left, by number; a run that goes on draws what follows."""
    model = graphc.compile(DROPPED)
    own, there = model.module, loaded(model)
    state, batch = own.init(2**40, real), {"x": np.ones((9, 50), real)}
    trainers = [module.Trainer(dict(state), 9) for module in (own, there)]
    masks = []
    for step in range(4):
        now = {**state, "step": np.array(step)}
        found, expected = (
            module.loss_and_gradients(now, batch, training=True)[1] for module in (there, own)
        )
        few = 1e-12 if real is np.float64 else 4e-6
        np.testing.assert_allclose(found["w"], expected["w"], rtol=few)
        masks.append(found["w"])
        objectives = [float(trainer.step(batch)) for trainer in trainers]
        assert objectives[1] == pytest.approx(objectives[0], rel=1e-5)
    assert not any(np.array_equal(masks[0], mask) for mask in masks[1:])
    states = [trainer.state() for trainer in trainers]
    np.testing.assert_allclose(states[1]["w"], states[0]["w"], rtol=1e-5)
    resumed = there.Trainer(states[1], 9)
    whole = trainers[1]
    assert float(resumed.step(batch)) == float(whole.step(batch))
    np.testing.assert_array_equal(resumed.state()["w"], whole.state()["w"])


def test_another_round_of_the_generator_is_found(cupy, monkeypatch):
    """Nine rounds in place of ten: still random, and another draw."""
    model = graphc.compile(DROPPED)
    fewer = loaded(model, lambda source: source.replace("round < 10", "round < 9"))
    state, batch = model.module.init(1), {"x": np.ones((9, 50), np.float32)}
    right = model.module.loss_and_gradients(state, batch, training=True)[1]["w"]
    wrong = fewer.loss_and_gradients(state, batch, training=True)[1]["w"]
    assert not np.allclose(wrong, right)
