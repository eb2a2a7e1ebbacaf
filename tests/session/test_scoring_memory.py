"""A validation that does not fit beside the training on a device is said before training."""

from __future__ import annotations

import numpy as np
import pytest
from toy_target import MIB, Toy, toy_target

import graphc
from graphc import RunError
from graphc.backends.targets import DeviceInfo

LINE = """model line
input  x: real[n]
target y: real[n]
param  a: real = 1
guess  = a * x
loss   error = mean((guess - y)^2)
metric worst = max(abs(guess - y))

data {
  x     = u
  y     = v
  split = shuffled{validation = 0.3, test = 0.6, seed = 1}
}

train {
  batch     = 2
  epochs    = 1
  optimizer = sgd{0.1}
}
"""


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    return toy_target(monkeypatch)


def test_a_validation_that_does_not_fit_is_said_before_training(toy: Toy, here):
    toy.of_scored = 1.0
    toy.device = DeviceInfo("Toy 9000", 2**40, 310 * MIB)
    u = np.linspace(-1, 1, 1000)
    model = graphc.compile(LINE, target="toy")
    assert model.train(u=u, v=u, folder=False).stopped == "finished", "the test part comes after"
    toy.device = DeviceInfo("Toy 9000", 2**40, 309 * MIB)
    with pytest.raises(RunError) as found:
        model.train(u=u, v=u)
    assert found.value.message == (
        "validating line on 300 examples takes 310.0 MiB of device memory beside the training, "
        "309.0 MiB are free on Toy 9000"
    )
    assert found.value.help.startswith("metrics take all examples of a part as one batch: give")
    assert not list(here.glob("runs/*")), "no run is left behind"
