"""Every model in models/ gives on the device what it gives on the host: the folder drives these.

The device is the stand-in, whose kernels run on the host as C++.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import synthetic
from both_targets import (
    LACKING,
    Both,
    asked,
    expect_equal,
    expect_rounded,
    loaded,
    start,
    three_steps,
)
from features import CUTS
from gpu_check.errors import compare
from shorter_models import MODELS, NAMES

import graphc

WHOLE = {"circuit", "diabetes", "digits", "gaussian", "xor221"}
"""Compiled with all their functions on request in the first tier."""
F32 = {"circuit", "digits", "gaussian", "xor221"}
"""Tried in f32 in the first tier: several optimizers, kernels of all sorts."""


def marked(slow: set[str], names: list[str] = NAMES) -> Any:
    marks = {True: pytest.mark.slow, False: ()}
    cases = [pytest.param(name, marks=marks[name in slow], id=name) for name in names]
    return pytest.mark.parametrize("name", cases)


def everything(both: Both, module: Any, state: Any, batch: Any) -> dict[str, dict[str, Any]]:
    """All that a module gives, on the host."""
    found = asked(module, state, batch, both.products)
    found["steps"] = three_steps(module, state, batch)
    return {what: both.fetched(arrays) for what, arrays in found.items()}


# ------------------------------------------------------------------------------ the numbers


@marked({"monks2", "monks3"})  # the network of monks1
def test_f64_is_numpys(name: str, both):
    expect_f64(both(name, name in WHOLE))


@marked(set(NAMES), [name for name in NAMES if name not in WHOLE])
def test_functions_on_request_are_numpys(name: str, both):
    """In the first tier they are asked of the others."""
    expect_f64(both(name, True))


def expect_f64(both: Both) -> None:
    state, batch = start(both.own, np.float64), synthetic.batch(both.own)
    expected = everything(both, both.own, state, batch)
    assert len(expected) == 7 + len(both.products)
    expect_equal(everything(both, both.there, state, batch), expected)


@marked(set(NAMES) - F32)
def test_f32_is_numpys_to_rounding(name: str, both):
    pair = both(name, name in WHOLE)
    state, batch = start(pair.own, np.float32), synthetic.batch(pair.own)
    found = everything(pair, pair.there, state, batch)
    own = everything(pair, pair.own, state, batch)
    truth = everything(pair, pair.own, start(pair.own, np.float64), batch)
    expect_rounded(found, own, truth)
    for what, arrays in own.items():
        for key, array in arrays.items():
            assert np.asarray(found[what][key]).dtype == np.asarray(array).dtype, (what, key)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LACKING))
def test_only_functions_that_a_model_cannot_have_are_left_out(name: str):
    for product in LACKING[name]:
        model = graphc.compile(MODELS / f"{name}.gc", products=[product], cut=CUTS.get(name, ()))
        with pytest.raises(graphc.RunError):
            _ = model.source


def test_a_model_compiled_for_f64(cupy, compiled_model):
    """Its numbers in the source are those of f64, and so is a state that `init` makes."""
    model = graphc.compile(MODELS / "digits.gc", precision="f64")
    own, there = model.module, loaded(model)
    assert there.REAL is np.float64
    state, batch = own.init(3), synthetic.batch(own)
    found = three_steps(there, state, batch)
    found = {name: cupy.asnumpy(value) for name, value in found.items()}
    expect_equal({"steps": found}, {"steps": three_steps(own, state, batch)})


# ------------------------------------------------------------------------- where arrays are

PLACES = ["circuit", "digits", "gaussian", "xor221"]


@pytest.mark.parametrize("name", PLACES)
def test_arrays_come_back_where_they_came_from(name: str, both):
    """Outputs are where inputs were, gradients, products and a trainer's state where the state was;
    single numbers are read. The numbers are the same to the last bit."""
    pair = both(name, True)
    state, batch = start(pair.own, np.float64), synthetic.batch(pair.own)
    states, batches = [state, pair.there.place(state)], [batch, pair.there.place(batch)]
    expected = everything(pair, pair.there, state, batch)
    for state_there in (False, True):
        for batch_there in (False, True):
            given = states[state_there], batches[batch_there]
            found = asked(pair.there, *given, pair.products)
            found["steps"] = three_steps(pair.there, *given)
            for what, arrays in found.items():
                there = batch_there if what == "outputs" else state_there
                expect_place(pair, what, arrays, there=there)
                for key, value in pair.fetched(arrays).items():
                    assert np.array_equal(value, expected[what][key]), (what, key)


def expect_place(both: Both, what: str, arrays: dict[str, Any], *, there: bool) -> None:
    numbers = what in ("losses", "metrics", "everything")
    for key, value in arrays.items():
        if key.startswith("value:step"):
            step = float if hasattr(both.there, "DRIVER") else both.cupy.ndarray
            assert isinstance(value, step), (what, key)
        elif numbers or key.startswith("value:"):
            assert isinstance(value, float | np.ndarray), (what, key)
        elif key in both.there.COUNTERS:
            assert isinstance(value, np.ndarray | np.int64), (what, key)
        else:
            kind = both.cupy.ndarray if there else np.ndarray
            assert isinstance(value, kind), (what, key)


@pytest.mark.parametrize("name", ["digits", "gaussian", "xor221"])
def test_what_is_given_stays_as_it_is(name: str, both):
    pair = both(name, True)
    state, batch = start(pair.own, np.float64), synthetic.batch(pair.own)
    for place in (dict, pair.there.place):
        given, examples = place(state), place(batch)
        everything(pair, pair.there, given, examples)
        for before, after in ((state, given), (batch, examples)):
            assert before.keys() == after.keys()
            for key, array in pair.fetched(after).items():
                np.testing.assert_array_equal(array, before[key])


def test_what_a_trainer_gives_is_no_view_of_what_it_works_in(both):
    pair = both("digits", True)
    state, batch = start(pair.own, np.float64), synthetic.batch(pair.own)
    trainer = pair.there.Trainer(pair.there.place(state), 6, steps_per_epoch=2, epochs=2)
    trainer.step(batch)
    first = trainer.state()
    kept = pair.fetched(first)
    trainer.step(batch)
    for key, array in pair.fetched(first).items():
        np.testing.assert_array_equal(array, kept[key])
    name = next(iter(pair.own.signature["parameters"]))
    first[name].fill(7.0)
    assert not (pair.get(trainer.state()[name]) == 7.0).any()


# ------------------------------------------------------------------------- wrong ones are found


def scaled(source: str) -> str:
    """A gradient that is a millionth too large."""
    return changed(
        source,
        r"(void gradient_of_relu\(.*?\n        )(d_\w+\[i\] = )(\w+);",
        r"\1\2\3 * (real)1.000001;",
    )


def without_a_term(source: str) -> str:
    """A bias that is not added."""
    return changed(source, r"(void dense_relu\(.*?= \w+\[i\]) \+ \w+\[column\];", r"\1;")


def swapped(source: str) -> str:
    """Two arrays of one type in the other order, in a call."""
    pattern = r"(_each\(run.gradient_of_relu, 64 \* n), (\w+), (\w+), "
    return changed(source, pattern, r"\1, \3, \2, ")


def other_step(source: str) -> str:
    """Draws of the step after."""
    return changed(source, r"(_each\(run.dense_relu_dropout, .*), step\)", r"\1, step + 1)")


def other_rate(source: str) -> str:
    """A learning rate that is a millionth too large."""
    return changed(source, r"(_each\(\s+run.adam, .*?)w_next_12,", r"\g<1>w_next_12 * 1.000001,")


def short_part(source: str) -> str:
    """A total without its last part."""
    return changed(source, r"(_total\(run.dense_cross_entropy_total, .*), PARTS\)", r"\1, 1)")


def changed(source: str, pattern: str, by: str) -> str:
    text, count = re.subn(
        pattern, by, source, flags=re.DOTALL if "void" in pattern or "adam" in pattern else 0
    )
    assert count, pattern
    return text


WRONG = {
    scaled: "gradients",
    without_a_term: "outputs",
    swapped: "gradients",
    other_step: "gradients in training",
    other_rate: "steps",
    short_part: "gradients",
}


@pytest.mark.parametrize("change", WRONG, ids=lambda change: change.__name__)
def test_what_is_wrong_is_found(change: Callable[[str], str], both, compiled_model):
    pair = both("digits", True)
    wrong = loaded(compiled_model("digits", True), change)
    state, batch = start(pair.own, np.float64), synthetic.batch(pair.own)
    what = WRONG[change]
    expected = everything(pair, pair.own, state, batch)[what]
    assert compare(everything(pair, pair.there, state, batch)[what], expected).good
    assert not compare(everything(pair, wrong, state, batch)[what], expected).good


def test_an_array_that_does_not_lie_in_order_is_found(both, compiled_model):
    """Kernels know no strides: without the copy one would read other elements."""

    def uncopied(source: str) -> str:
        return source.replace("cp.ascontiguousarray(a) if", "a if")

    pair = both("lstm")
    wrong = loaded(compiled_model("lstm", False), uncopied)
    state, batch = start(pair.own, np.float64), synthetic.batch(pair.own)
    pair.there.loss_and_gradients(state, batch)
    with pytest.raises(ValueError, match="is not C-contiguous"):
        wrong.loss_and_gradients(state, batch)
