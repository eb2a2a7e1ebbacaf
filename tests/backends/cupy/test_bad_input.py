"""What a person may give a module that is wrong: the errors of the module for NumPy, at once where
arrays come from the host, and where they are on the device when something is read back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import synthetic
from both_targets import Both, asked, expect_equal, loaded, start, three_steps

import graphc

LOOKUP = """model lookup
input  k: int[n]
input  c: label{5}[n]
target y: real[n]
p = sum{axis = -1}(embedding{4, 3}(k)) + sum{axis = -1}(embedding{5, 2}(c))
loss f = squared_error(p, y)
output o = p
train { optimizer = sgd{0.1} }
"""
RUNNING = """model running
input x: real[n, 6]
target y: label{3}[n]
h = x |> dense{4} |> batch_norm |> tanh
logits = dense{3}(h)
loss ce = cross_entropy(logits, y)
train { optimizer = adam{0.01} }
"""


@pytest.fixture
def iris(both) -> Both:
    return both("iris")


@pytest.fixture
def state(iris) -> dict[str, Any]:
    return start(iris.own, np.float64)


def said(call: Any) -> tuple[type, str]:
    """The error of a call."""
    with pytest.raises(Exception) as found:  # which one it is, is compared
        call()
    return found.type, str(found.value)


def trained(module: Any, state: Any, batch: Any, rows: int = 6) -> Any:
    """A step, and the state after it."""
    trainer = module.Trainer(state, rows)
    trainer.step(batch)
    return trainer.state()


ASKED = {
    "predict": lambda m, s, b: m.predict(s, {"x": b["x"]}),
    "losses": lambda m, s, b: m.losses(s, b),
    "metrics": lambda m, s, b: m.metrics(s, b),
    "gradients": lambda m, s, b: m.loss_and_gradients(s, b),
    "steps": trained,
}

# ------------------------------------------------------------------------------ labels, indices

WITH_LABELS = ["losses", "metrics", "gradients", "steps"]


@pytest.mark.parametrize("wrong", [3, -1, 2**40])
@pytest.mark.parametrize("what", WITH_LABELS)
def test_a_label_out_of_range(what: str, wrong: int, iris, state):
    batch = synthetic.batch(iris.own)
    batch["y"] = np.array([0, 1, 2, wrong, 1, 0])
    expected = said(lambda: ASKED[what](iris.own, state, batch))
    assert expected == (ValueError, f"y holds {wrong}, its labels are 0..2")
    assert said(lambda: ASKED[what](iris.there, state, batch)) == expected
    there = iris.there.place(batch)
    assert said(lambda: ASKED[what](iris.there, state, there)) == expected
    ASKED[what](iris.there, state, synthetic.batch(iris.own))


def test_an_error_on_the_device_is_told_once_and_not_by_the_next(iris, state):
    good, bad = synthetic.batch(iris.own), synthetic.batch(iris.own)
    bad["y"] = np.full(6, 7)
    trainer = iris.there.Trainer(state, 6)
    trainer.step(iris.there.place(bad))
    trainer.step(iris.there.place(good))
    with pytest.raises(ValueError, match=r"y holds 7, its labels are 0\.\.2"):
        trainer.state()
    expect_equal(
        {"after": iris.fetched(asked(iris.there, state, good)["gradients"])},
        {"after": asked(iris.own, state, good)["gradients"]},
    )


@pytest.mark.parametrize("wrong", [{"k": [0, 4, -4]}, {"k": [0, 1, -5]}, {"c": [0, 5, 1]}])
def test_an_index_of_a_table_out_of_range(wrong: dict[str, Any], cupy):
    model = graphc.compile(LOOKUP)
    own, there = model.module, loaded(model)
    state = own.init(1)
    batch = {"k": np.array([0, -4, 3]), "c": np.array([4, 0, 1]), "y": np.ones(3)}
    expect_equal(
        {
            "right": {
                k: cupy.asnumpy(v) for k, v in there.predict(state, there.place(batch)).items()
            }
        },
        {"right": own.predict(state, batch)},
    )
    batch.update({name: np.array(values) for name, values in wrong.items()})
    inputs = {name: batch[name] for name in ("k", "c")}
    for given in (batch, there.place(batch)):
        calls = [
            lambda given=given: there.predict(state, {name: given[name] for name in inputs}),
            lambda given=given: there.losses(state, given),
            lambda given=given: there.loss_and_gradients(state, given),
            lambda given=given: trained(there, state, given),
        ]
        for call in calls:
            kind, text = said(call)
            if "k" in wrong:
                index = next(i for i in wrong["k"] if not -4 <= i < 4)
                assert (kind, text) == (
                    IndexError,
                    f"index {index} of k is out of bounds for size 4",
                )
            else:
                assert (kind, text) == (ValueError, "c holds 5, its labels are 0..4")


# ------------------------------------------------------------------------------ shapes and types


def changed(batch: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {**batch, **{n: np.asarray(a) for n, a in others.items()}}


SHAPES: dict[str, Any] = {
    "too few axes": lambda b: changed(b, x=b["x"][:, 0]),
    "too many axes": lambda b: changed(b, x=b["x"][None]),
    "other columns": lambda b: changed(b, x=b["x"][:, :2]),
    "other rows": lambda b: changed(b, y=b["y"][:3]),
    "labels with an axis": lambda b: changed(b, y=b["y"][:, None]),
    "no number": lambda b: changed(b, x=np.float64(3)),
    "a missing target": lambda b: {"x": b["x"]},
    "a missing input": lambda b: {"y": b["y"]},
    "labels that are not whole": lambda b: changed(b, y=b["y"] + 0.5),
    "texts": lambda b: changed(b, x=np.full((6, 4), "a")),
}


@pytest.mark.parametrize("case", SHAPES)
def test_what_does_not_fit_the_model(case: str, iris, state):
    batch = SHAPES[case](synthetic.batch(iris.own))
    places = [dict] if case == "texts" else [dict, iris.there.place]  # a device holds none
    kind, text = said(lambda: ASKED["gradients"](iris.own, state, batch))
    for place in places:
        given = place(batch)
        found, words = said(lambda given=given: ASKED["gradients"](iris.there, state, given))
        assert found is kind
        if case != "labels that are not whole" or place is dict:
            assert words == text
    counted = case not in ("no number", "a missing input")  # a trainer counts rows first
    kind = kind if counted else said(lambda: ASKED["steps"](iris.own, state, batch))[0]
    for place in places:
        given = place(batch)
        found, words = said(lambda given=given: ASKED["steps"](iris.there, state, given))
        assert found is kind
        assert not counted or place is not dict or words == text


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f8", "i1", "u1", "i4", "i8", "?"])
def test_numbers_of_other_types_are_taken_as_numpy_takes_them(kind: str, iris, state):
    batch = synthetic.batch(iris.own)
    batch["x"] = (3 * batch["x"]).astype(kind)
    batch["y"] = batch["y"].astype("i4")
    expected = {"found": asked(iris.own, state, batch)["gradients"]}
    expect_equal({"found": asked(iris.there, state, batch)["gradients"]}, expected)
    if kind[0] == ">":
        return  # CuPy has no such arrays
    there = iris.there.place(batch)
    found = iris.fetched(asked(iris.there, state, there)["gradients"])
    expect_equal({"found": found}, expected)


@pytest.mark.parametrize("order", ["columns", "every other", "backwards", "lists"])
def test_arrays_that_do_not_lie_in_order(order: str, both):
    pair = both("digits")
    state, batch = start(pair.own, np.float64), synthetic.batch(pair.own)
    expected = {"steps": three_steps(pair.own, state, batch)}
    views = {
        "columns": lambda a: np.asfortranarray(a),
        "every other": lambda a: np.repeat(a, 2, axis=0)[::2],
        "backwards": lambda a: a[::-1].copy()[::-1],
    }
    if order == "lists":
        batch["y"] = batch["y"].tolist()
        trainer = pair.there.Trainer(state, 6, steps_per_epoch=2, epochs=2)
        first = float(trainer.step(batch))
        assert first == pytest.approx(expected["steps"]["value:step 0"], rel=1e-12)
        return
    given = {name: views[order](array) for name, array in batch.items()}
    parameters = {
        name: views[order](array) if array.ndim == 2 else array for name, array in state.items()
    }
    for place in (dict, pair.there.place):
        found = pair.fetched(three_steps(pair.there, place(parameters), place(given)))
        expect_equal({"steps": found}, expected)


def test_a_batch_without_examples(iris, state):
    """There is nothing to predict, and no mean."""
    empty = {"x": np.zeros((0, 4)), "y": np.zeros(0, np.int64)}
    for place in (dict, iris.there.place):
        found = iris.fetched(iris.there.predict(state, place(empty)))
        own = iris.own.predict(state, empty)
        assert {n: a.shape for n, a in found.items()} == {n: a.shape for n, a in own.items()}
        assert np.isnan(iris.there.losses(state, place(empty))[0])
    assert said(lambda: trained(iris.there, state, empty))[0] is FloatingPointError


# ------------------------------------------------------------------------------ states


def test_a_state_that_is_none_of_the_model(iris, state):
    name = next(iter(iris.own.signature["parameters"]))
    wrong = [
        {n: a for n, a in state.items() if n != name},
        {**state, "other": np.ones(3)},
        {**state, name: state[name][:2]},
        {**state, name: state[name].astype(int)},
        {**state, "step": np.array([1, 2])},
    ]
    for given in wrong:
        expected = said(lambda given=given: iris.own.Trainer(given, 6))
        assert expected[0] is ValueError
        assert said(lambda given=given: iris.there.Trainer(given, 6)) == expected
        placed = iris.there.place(given)
        assert said(lambda placed=placed: iris.there.Trainer(placed, 6)) == expected


def test_a_driver_looks_at_its_state_too(both):
    pair = both("xor221")
    state = start(pair.own, np.float64)
    del state["step"]
    expected = said(lambda: pair.own.Trainer(state, 6))
    assert said(lambda: pair.there.Trainer(state, 6)) == expected


def test_a_batch_in_the_other_precision_is_taken_in_that_of_the_state(iris, state):
    batch = synthetic.batch(iris.own)
    for real in (np.float32, np.float64):
        own = start(iris.own, real)
        given = {**batch, "x": batch["x"].astype(np.float64)}
        for place in (dict, iris.there.place):
            gradients = iris.fetched(iris.there.loss_and_gradients(own, place(given))[1])
            assert {array.dtype for array in gradients.values()} == {np.dtype(real)}


def test_more_examples_than_were_announced(iris, state):
    batch = synthetic.batch(iris.own)
    expected = said(lambda: trained(iris.own, state, batch, rows=5))
    assert expected == (ValueError, "the batch has 6 rows, at most 5 were announced")
    for given in (batch, iris.there.place(batch)):
        assert said(lambda given=given: trained(iris.there, state, given, rows=5)) == expected


# ------------------------------------------------------------------------------ what is not finite


def test_an_objective_that_is_not_finite_stops_the_updates(cupy):
    """From that step on, layer states and moments too; the step is named, however often asked."""
    model = graphc.compile(RUNNING)
    module = loaded(model)
    state, batch = start(model.module, np.float64), synthetic.batch(model.module)
    bad = {**batch, "x": np.where(np.arange(6)[:, None] == 2, np.nan, batch["x"])}
    trainer, twin = (module.Trainer({**state, "step": np.array(40)}, 6) for _ in range(2))
    for each in (trainer, twin):
        assert np.isfinite(float(each.step(batch)))
    before = twin.state()
    assert np.isnan(float(trainer.step(bad)))
    assert np.isfinite(float(trainer.step(batch)))
    trainer.step(batch)
    for _ in range(2):
        with pytest.raises(FloatingPointError, match="the objective is not finite at step 41"):
            trainer.state()
    for name in (*module.signature["parameters"], *(f"{n}:m" for n in model.spec.learned)):
        np.testing.assert_array_equal(cupy.asnumpy(trainer._state[name]), before[name])


def test_an_objective_that_overflows_is_not_finite(cupy):
    model = graphc.compile(
        "model m\ninput x: real[n]\nparam w: real = 1e30\nloss f = mean((w * x)^2)\n"
        "train { optimizer = sgd{0.1} }\n"
    )
    trainer = loaded(model).Trainer(model.init(), 3)
    assert np.isinf(float(trainer.step({"x": np.ones(3)})))
    with pytest.raises(FloatingPointError, match="at step 0"):
        trainer.state()


# ------------------------------------------------------------------------------ a device that fails


@pytest.mark.parametrize("after", [1, 5, 12])
def test_an_error_of_the_device_is_cupys(after: int, iris, state, cupy):
    batch = synthetic.batch(iris.own)
    for ask in (ASKED["gradients"], ASKED["steps"]):
        cupy.fail_after(after)
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorIllegalAddress"):
            ask(iris.there, state, batch)
        cupy.fail_after(None)


def test_memory_that_runs_out_is_cupys_error(iris, state, cupy):
    cupy.set_memory(4096)
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError):
        trained(iris.there, state, synthetic.batch(iris.own))
