"""Steps in place give the numbers of the plain functions."""

from __future__ import annotations

from typing import Any

import handmade
import numpy as np
import pytest
from handmade import Sheet, data, logistic, n, parameter, random_batch, rule, scheduled, sgd, spec

from graphc.backends.numpy import print_module
from graphc.ir import Type, Value, symbol
from graphc.model.program import OptimizerGroup, OptimizerState, Programs

MODELS = {
    "mlp": handmade.mlp((5, 4, 3)),
    "sgd": handmade.mlp((5, 4, 3), sgd),
    "dropout": handmade.mlp((5, 20, 3), dropout=0.4),
    "logistic": logistic(),
    "scheduled": scheduled(),
}


def same_states(actual: dict[str, Any], expected: dict[str, Any], tolerance: float) -> None:
    assert list(actual) == list(expected)
    for name in expected:
        assert actual[name].dtype == expected[name].dtype, name
        np.testing.assert_allclose(actual[name], expected[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("programs", MODELS.values(), ids=MODELS)
def test_steps_equal_plain_steps(programs: Programs, real: Any) -> None:
    module = handmade.module_of(programs)
    state = module.init(1, real)
    if "epochs" in state:
        state.update(epochs=np.array(2), steps_per_epoch=np.array(4))
    trainer = module.Trainer(state, 6)
    tolerance = 2e-5 if real is np.float32 else 1e-11
    for step, rows in enumerate((6, 6, 4, 6, 1)):
        batch = random_batch(module, rows, step, real)
        expected, state = module._stepped(state, batch)
        assert trainer.step(batch) == pytest.approx(expected, rel=tolerance)
        same_states(trainer.state(), state, tolerance)


def test_draws_are_bit_equal() -> None:
    module = handmade.module_of(handmade.mlp((3, 50, 2), sgd, dropout=0.5))
    state, batch = module.init(9, np.float64), random_batch(module, 4)
    first = module.Trainer(state, 4).step(batch)
    assert first == pytest.approx(module.loss_and_gradients(state, batch, True)[0], rel=1e-14)


def test_state_is_a_copy_and_training_resumes() -> None:
    module = handmade.module_of(handmade.mlp((5, 4, 3), dropout=0.3))
    state, batch = module.init(), random_batch(module, 6)
    before = {name: value.copy() for name, value in state.items()}
    trainer = module.Trainer(state, 6)
    trainer.step(batch)
    same_states(state, before, 0)
    kept = trainer.state()
    copy = {name: value.copy() for name, value in kept.items()}
    objective = trainer.step(batch)
    same_states(kept, copy, 0)
    assert module.Trainer(kept, 6).step(batch) == objective
    assert kept["step"] == 1


def test_a_failed_step_changes_nothing() -> None:
    module = handmade.module_of(scheduled())
    trainer = module.Trainer(module.init(), 3, steps_per_epoch=2, epochs=2)
    trainer.step({"x": np.ones((3, 3))})
    before = trainer.state()
    with pytest.raises(FloatingPointError, match="the objective is nan at step 1"):
        trainer.step({"x": np.full((3, 3), np.nan)})
    same_states(trainer.state(), before, 0)
    trainer.step({"x": np.ones((3, 3))})
    assert trainer.state()["step"] == 2


def test_wrong_batches_are_refused() -> None:
    module = handmade.module_of(handmade.mlp((4, 3)))
    trainer = module.Trainer(module.init(), 5)
    with pytest.raises(ValueError, match="6 rows"):
        trainer.step(random_batch(module, 6))
    with pytest.raises(ValueError, match="x has shape"):
        trainer.step({**random_batch(module, 5), "x": np.zeros((5, 3))})
    with pytest.raises(ValueError, match="y has shape"):
        trainer.step({**random_batch(module, 5), "y": np.zeros((5, 1), int)})
    with pytest.raises(ValueError, match=r"lacks h1\.dense1\.b"):
        module.Trainer({k: v for k, v in module.init().items() if k != "h1.dense1.b"}, 5)


def test_lengths_of_the_run() -> None:
    module = handmade.module_of(scheduled())
    assert module.init()["epochs"] == 10
    with pytest.raises(ValueError, match=r"reads `epoch`: give Trainer\(steps_per_epoch=…\)"):
        module.Trainer(module.init(), 3)
    assert module.Trainer(module.init(), 3, steps_per_epoch=7).state()["steps_per_epoch"] == 7
    known = handmade.module_of(scheduled(), steps_per_epoch=5)
    assert known.init()["steps_per_epoch"] == 5
    assert known.Trainer(known.init(), 3).state()["steps_per_epoch"] == 5
    assert known.Trainer(known.init(), 3, epochs=3).state()["epochs"] == 3
    assert "epochs" not in handmade.module_of(handmade.mlp()).init()


def test_states_are_committed_together() -> None:
    """Two states that swap, one that keeps a parameter's old value."""
    one = Type("real")
    the_spec = spec(
        [data("x", "input", Type("real", (n,)))],
        [parameter("w", ())],
        [sgd(("w",))],
        [
            handmade.state(name, one, value)
            for name, value in (("a", 1.0), ("b", 2.0), ("old", 0.0))
        ],
    )

    def build(s: Sheet, training: bool) -> Any:
        w, a, b = s.parameter("w", one), s.state("a", one), s.state("b", one)
        x = s.input("x", Type("real", (n,)))
        total = (w * x).apply("sum", axis=(0,))
        return {
            ("objective", ""): total * total,
            ("next", "a"): b,
            ("next", "b"): a,
            ("next", "old"): w,
        }

    module = handmade.module_of(handmade.programs(the_spec, build))
    state = module.init(0, np.float64)
    trainer = module.Trainer(state, 2)
    for _ in range(3):
        before = trainer.state()
        _, state = module._stepped(state, {"x": np.ones(2)})
        trainer.step({"x": np.ones(2)})
        after = trainer.state()
        assert (after["a"], after["b"], after["old"]) == (before["b"], before["a"], before["w"])
        same_states(after, state, 1e-12)


def swapping(s: Sheet, w: Value, g: Value, m: Value, v: Value) -> tuple[Value, ...]:
    return w - 0.1 * g, w, m


def nesterov(s: Sheet, w: Value, g: Value, m: Value) -> tuple[Value, ...]:
    fresh = 0.9 * m + g
    return w - 0.01 * (g + 0.9 * fresh), fresh


def signed(s: Sheet, w: Value, g: Value, m: Value) -> tuple[Value, ...]:
    chosen = g.apply("greater", 0.0).apply("where", m, 0.5 * m)
    return w - chosen, s.builder.constant(0.25).apply("broadcast", shape=w.shape)


def kept(s: Sheet, w: Value, g: Value, m: Value) -> tuple[Value, ...]:
    return w - m * g, m


def crossed(s: Sheet, w: Value, g: Value, m: Value, v: Value) -> tuple[Value, ...]:
    """Every result needs every old value."""
    return w + m * v - g, w * v, m.apply("stop_gradient")


RULES: list[tuple[str, Any]] = [
    ("w g m v", swapping),
    ("w g m", nesterov),
    ("w g m", signed),
    ("w g m", kept),
    ("w g m v", crossed),
]


@pytest.mark.parametrize(("labels", "build"), RULES, ids=[b.__name__ for _, b in RULES])
@pytest.mark.parametrize("tile", [7, 131072])
def test_update_rules(labels: str, build: Any, tile: int) -> None:
    states = tuple(OptimizerState(name, 0.5) for name in labels.split()[2:])

    def group(names: tuple[str, ...]) -> OptimizerGroup:
        return OptimizerGroup("rule", rule(labels, build), states, names)

    programs = handmade.mlp((5, 4, 3), group)
    source = print_module(programs, classes={}, version="1")
    module = handmade.load_source(source.replace("TILE = 131072", f"TILE = {tile}"))
    state = module.init(0, np.float64)
    trainer = module.Trainer(state, 6)
    for seed in range(3):
        batch = random_batch(module, 6, seed)
        _, state = module._stepped(state, batch)
        trainer.step(batch)
        same_states(trainer.state(), state, 1e-12)


def test_two_open_dimensions_and_odd_gradients() -> None:
    """A sequence length besides the batch; gradients that are views, constants and shared."""
    m = symbol("m")
    kind = Type("real", (n, m, 2))
    square = Type("real", (2, 2))
    the_spec = spec(
        [data("x", "input", kind)],
        [parameter(name, (2, 2)) for name in "abcd"],
        [sgd(tuple("abcd"))],
    )

    def build(s: Sheet, training: bool) -> Any:
        a, b, c, d = (s.parameter(name, square) for name in "abcd")
        x = s.input("x", kind)
        z = (x @ (a.apply("transpose", axes=(1, 0)) + b)).apply("tanh")
        rows = z.apply("reshape", shape=(n * m, 2)).apply("transpose", axes=(1, 0))
        total = rows.apply("reshape", shape=(2 * n * m,)).apply("sum", axis=(0,))
        count = s.size(n * m)
        return {
            ("objective", ""): total / count
            + c.apply("sum", axis=(0, 1))
            + 0.0 * d.apply("sum", axis=(0, 1))
        }

    module = handmade.module_of(handmade.programs(the_spec, build))
    state = module.init(0, np.float64)
    trainer = module.Trainer(state, 4)
    random = np.random.default_rng(0)
    for shape in ((4, 3, 2), (4, 5, 2), (2, 3, 2), (4, 3, 2)):
        batch = {"x": random.standard_normal(shape)}
        expected, state = module._stepped(state, batch)
        assert trainer.step(batch) == pytest.approx(expected)
        same_states(trainer.state(), state, 1e-12)
    assert module._selftest() == 0


def test_every_operator_in_place() -> None:
    """Each sample of the registry as part of an objective, its inputs as parameters."""
    from graphc.ir import OPERATORS

    count = 0
    for operator in OPERATORS.values():
        for sample in operator.samples():
            result = sample.operator.infer(*sample.types)
            if isinstance(result, Type) and "real" in {t.kind for t in sample.types}:
                _check_in_place(sample, result)
                count += 1
    assert count > 40


def _check_in_place(sample: Any, result: Type) -> None:
    random = np.random.default_rng(0)
    infos, inputs = [], []
    for i, type in enumerate(sample.types):
        if type.kind == "real":
            infos.append(parameter(f"p{i}", type.shape))
        else:
            inputs.append(data(f"x{i}", "input", type))
    names = tuple(info.name for info in infos)
    the_spec = spec(inputs, infos, [sgd(names, 1e-3)], batch=None)

    def build(s: Sheet, training: bool) -> Any:
        args = [
            s.parameter(f"p{i}", t) if t.kind == "real" else s.input(f"x{i}", t)
            for i, t in enumerate(sample.types)
        ]
        value = s.builder.emit(sample.operator, *args)
        if result.kind not in ("real", "bool"):
            value = value.apply("equal", value)
        total = (value * 1.0) * (value * 2.0)
        return {("objective", ""): total.apply("sum", axis=tuple(range(result.rank)))}

    module = handmade.module_of(handmade.programs(the_spec, build))
    state = module.init(0, np.float64)
    for info in infos:
        state[info.name] = np.asarray(random.uniform(sample.low, sample.high, info.type.shape))
    batch = random_batch(module, 1)
    trainer = module.Trainer(state, 1)
    for _ in range(2):
        expected, state = module._stepped(state, batch)
        assert trainer.step(batch) == pytest.approx(expected), sample
        same_states(trainer.state(), state, 1e-10)


@pytest.mark.parametrize(
    ("labels", "told"), [([-1, 0], "holds -1"), ([3, 0], "holds 3"), ([0.5, 1], "not whole")]
)
def test_labels_that_are_none(labels: list[float], told: str) -> None:
    """A negative index would silently pick another class."""
    module = handmade.module_of(MODELS["mlp"])
    state = module.init(1)
    batch = {"x": np.zeros((2, 5)), "y": labels}
    with pytest.raises(ValueError, match=told):
        module.Trainer(state, 6).step(batch)
    with pytest.raises(ValueError, match=told):
        module.losses(state, batch)
