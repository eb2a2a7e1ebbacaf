"""A softmax classifier written by hand with the face of a generated module.

It has what makes resuming hard: momentum, constants fitted on the training part, noise that
depends on the step, and a rate that falls over the run. ``single`` and ``regression`` make
modules of the other two kinds: without a batch, and with outputs in original units.
"""

from __future__ import annotations

import types

import numpy as np

REAL = np.float64
NAMES = ["cat", "dog", 'ünïcorn, "rare"\n']

classes = {"y": NAMES}
signature = {
    "model": "toy",
    "batch": "n",
    "inputs": {"x": {"kind": "real", "shape": ["n", 2]}},
    "targets": {"y": {"kind": "label", "classes": 3, "shape": ["n"]}},
    "outputs": {
        "probs": {"kind": "real", "shape": ["n", 3], "target": "y"},
        "margin": {"kind": "real", "shape": ["n"], "target": None},
        "code": {"kind": "real", "shape": ["n", 2], "target": None},
        "norm": {"kind": "real", "shape": [], "target": None},
    },
    "losses": ["ce"],
    "metrics": ["accuracy", "confusion"],
    "parameters": {"h.W": {"shape": [2, 3]}, "μ.b": {"shape": [3]}},
    "state": {
        "h.W.m": {"shape": [2, 3], "kind": "real"},
        "μ.b.m": {"shape": [3], "kind": "real"},
        "x.mean": {"shape": [2], "kind": "real"},
        "step": {"shape": [], "kind": "int"},
        "seed": {"shape": [], "kind": "int"},
    },
    "columns": {"points": ["x"], "species": ["y"]},
}


def init(seed=0, dtype=REAL):
    draw = np.random.default_rng(seed)
    return {
        "h.W": draw.normal(size=(2, 3)).astype(dtype),
        "μ.b": np.zeros(3, dtype),
        "h.W.m": np.zeros((2, 3), dtype),
        "μ.b.m": np.zeros(3, dtype),
        "x.mean": np.zeros(2, dtype),
        "step": np.array(0, np.int64),
        "seed": np.array(seed, np.uint64),
    }


def fit(raw, state):
    return {**state, "x.mean": np.mean(raw["points"], axis=0, dtype=REAL)}


def prepare(raw, state):
    batch = {"x": (raw["points"] - state["x.mean"]).astype(REAL)}
    if "species" in raw:
        batch["y"] = np.searchsorted(np.array(NAMES), raw["species"])
    return batch


def _log_probs(state, x):
    z = x @ state["h.W"] + state["μ.b"]
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def predict(state, inputs):
    p = np.exp(_log_probs(state, inputs["x"]))
    return {
        "probs": p.astype(np.float32),
        "margin": p.max(axis=1) - p.min(axis=1),
        "code": inputs["x"].astype(np.float32),
        "norm": np.array(1.0),
    }


def losses(state, batch):
    ce = -float(_log_probs(state, batch["x"])[np.arange(len(batch["y"])), batch["y"]].mean())
    return ce, {"ce": ce}


def metrics(state, batch):
    guess = _log_probs(state, batch["x"]).argmax(axis=1)
    confusion = np.zeros((3, 3), np.int64)
    np.add.at(confusion, (batch["y"], guess), 1)
    return {"accuracy": float((guess == batch["y"]).mean()), "confusion": confusion}


class Trainer:
    """Momentum with a falling rate and noisy inputs."""

    on_step = None  # a test's hook: called with the number of the step before it is made

    def __init__(self, state, batch_size, steps_per_epoch=None, epochs=None):
        self._state = state
        self._steps = steps_per_epoch * epochs
        self.sizes = []

    def step(self, batch):
        s = self._state
        now = int(s["step"])
        if Trainer.on_step is not None:
            Trainer.on_step(now, s)
        self.sizes.append(len(batch["x"]))
        noise = np.random.Generator(np.random.Philox(key=int(s["seed"]), counter=now))
        x = batch["x"] + 0.01 * noise.normal(size=batch["x"].shape)
        logp = _log_probs(s, x)
        rows = np.arange(len(x))
        objective = -logp[rows, batch["y"]].mean() + 1e-3 * (s["h.W"] ** 2).sum()
        g = np.exp(logp)
        g[rows, batch["y"]] -= 1
        g /= len(x)
        rate = 0.5 * (1 - now / (2 * self._steps))
        for name, grad in (("h.W", x.T @ g + 2e-3 * s["h.W"]), ("μ.b", g.sum(axis=0))):
            s[name + ".m"] *= 0.9
            s[name + ".m"] += grad
            s[name] -= rate * s[name + ".m"]
        s["step"] = np.array(now + 1, np.int64)
        return float(objective)

    def state(self):
        return {name: np.array(array) for name, array in self._state.items()}


def raw_data(n=60, seed=3):
    """Three noisy clusters: columns points [n, 2] in float32 and species [n] as text."""
    draw = np.random.default_rng(seed)
    y = draw.integers(0, 3, n)
    centres = np.array([[0, 0], [2, 0], [0, 2]])
    points = (centres[y] + draw.normal(size=(n, 2))).astype(np.float32)
    return {"points": points, "species": np.array(NAMES)[y], "unused": np.zeros(n)}


def single():
    """Least squares, one example a step; the metric is the absolute error."""
    module = types.SimpleNamespace(REAL=REAL, classes={})
    module.signature = {
        "model": "single",
        "batch": None,
        "inputs": {"x": {"kind": "real", "shape": []}},
        "targets": {"t": {"kind": "real", "shape": []}},
        "outputs": {"guess": {"kind": "real", "shape": [], "target": "t"}},
        "losses": ["fit"],
        "metrics": ["error"],
        "parameters": {"w": {"shape": []}},
        "state": {},
        "columns": {"x": ["x"], "t": ["t"]},
    }

    def prepare(raw, state):
        return {name: np.asarray(column, REAL) for name, column in raw.items()}

    def one_loss(state, batch):
        return float(0.5 * (state["w"] * batch["x"] - batch["t"]) ** 2)

    class OneTrainer:
        def __init__(self, state, batch_size, steps_per_epoch=None, epochs=None):
            assert batch_size == 1
            self._state = state

        def step(self, batch):
            assert batch["x"].shape == ()
            s = self._state
            value = one_loss(s, batch)
            s["w"] = s["w"] - 0.1 * (s["w"] * batch["x"] - batch["t"]) * batch["x"]
            s["step"] = s["step"] + 1
            return value

        def state(self):
            return {name: np.array(array) for name, array in self._state.items()}

    module.init = lambda seed=0: {
        "w": np.array(0.0),
        "step": np.array(0, np.int64),
        "seed": np.array(seed, np.uint64),
    }
    module.prepare = prepare
    module.losses = lambda state, batch: (one_loss(state, batch), {"fit": one_loss(state, batch)})
    module.metrics = lambda state, batch: {"error": abs(state["w"] * batch["x"] - batch["t"])}
    module.predict = lambda state, inputs: {"guess": state["w"] * inputs["x"]}
    module.Trainer = OneTrainer
    return module


def regression():
    """Predictions of a standardised target, told in original units."""
    module = single()
    module.signature = {
        **module.signature,
        "batch": "n",
        "inputs": {"x": {"kind": "real", "shape": ["n"]}},
        "targets": {"t": {"kind": "real", "shape": ["n"]}},
        "outputs": {"guess": {"kind": "real", "shape": ["n"], "target": "t"}},
    }
    module.restore = lambda outputs, state: {"guess": outputs["guess"] * 10 + 100}
    return module
