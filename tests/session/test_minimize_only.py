"""A model may name an objective without naming a loss."""

from __future__ import annotations

import graphc


def test_an_objective_without_a_loss_has_gradients():
    model = graphc.compile("model m\nparam w: real = 3\nminimize w^2\n")
    objective, gradients = model.loss_and_gradients()
    assert (objective, float(gradients["w"])) == (9.0, 6.0)
