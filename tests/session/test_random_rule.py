"""Draws belong to a place in the model: an edit elsewhere leaves them as they were."""

from __future__ import annotations

import numpy as np

import graphc

HEAD = "model m\ninput x: real[n, 50]\ntarget y: real[n, 50]\n"


def masks(text: str, seed: int = 0, step: int = 0):
    model = graphc.compile(HEAD + text)
    state = model.init(seed)
    state["step"] = np.array(step)
    batch = {"x": np.ones((8, 50), np.float32), "y": np.zeros((8, 50), np.float32)}
    return model.module.loss_and_gradients(state, batch, training=True)[0]


PLAIN = "param w: real = 1\nh = dropout{0.5}(w * x)\nloss f = squared_error(h, y)\n"
EDITED = (
    "param w: real = 1\nparam v: real = 0\na = dropout{0.5}(v * x)\nh = dropout{0.5}(w * x)\n"
    "loss f = squared_error(h + 0 * a, y)\n"
)


def test_an_edit_elsewhere_keeps_the_draws():
    assert masks(PLAIN) == masks(EDITED)


def test_seed_and_step_change_them():
    assert len({masks(PLAIN), masks(PLAIN, seed=1), masks(PLAIN, step=1)}) == 3


def test_two_uses_in_a_statement_draw_apart():
    text = (
        "param w: real = 1\nh = dropout{0.5}(w * x) - dropout{0.5}(w * x)\n"
        "loss f = squared_error(h, y)\n"
    )
    assert masks(text) > 0


def test_initial_values_depend_on_the_parameter_only():
    one = graphc.compile(HEAD + "h = x |> dense{50}\nloss f = squared_error(h, y)\n").init(3)
    two = graphc.compile(
        HEAD + "g = x |> dense{50}\nh = x |> dense{50}\nloss f = squared_error(h + g, y)\n"
    ).init(3)
    np.testing.assert_array_equal(one["h.dense1.W"], two["h.dense1.W"])
    assert not np.array_equal(two["g.dense1.W"], two["h.dense1.W"])
