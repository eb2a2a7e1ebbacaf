"""Whole networks drawn at random as texts of the language, well-typed by construction.

A draft starts from an input (rows, a sequence or images), applies features that fit the shape of a
value drawn from those bound so far, ends in a head with one or more losses, and may add penalties
and dropout by rule. Numbers stay small and away from kinks by chance alone; a network is the same
for the same seed.
"""

from __future__ import annotations

import re

import network_features  # noqa: F401 - fills FEATURES
import numpy as np
from network_draft import FEATURES, Draft, Shape

__all__ = ["HEADS", "draw_network"]

ROWS = 4
"""Examples in a batch."""
KINDS: dict[str, Shape] = {"rows": (4,), "sequence": (3, 4), "image": (5, 6, 2), "labels": (3,)}
"""What an input is like: its shape."""


def draw_network(seed: int) -> Draft:
    """The network of a seed. Kinds of input and losses take turns; every third network is small."""
    rng = np.random.default_rng(seed)
    draft = Draft(seed, rng, list(KINDS)[seed % len(KINDS)], small=seed % 3 == 0)
    _start(draft)
    _step(draft, turn=seed // len(KINDS))
    for _ in range(int(rng.integers(1, 3 if draft.small else 8))):
        _step(draft)
    _finish(draft, list(HEADS)[seed % len(HEADS)])
    return draft


def _start(draft: Draft) -> None:
    shape = KINDS[draft.kind]
    axes = ", ".join(map(str, shape))
    draft.lines.append(f"input x: real[n, {axes}]")
    draft.batch["x"] = draft.rng.normal(size=(ROWS, *shape))
    draft.shapes["x"] = shape
    if draft.kind == "labels":
        draft.lines.append("input k: label{5}[n]")
        draft.batch["k"] = draft.rng.integers(0, 5, ROWS)
        if draft.chance(0.5):
            draft.lines.append("param table: real[5, 3] ~ normal{0, 1}")
            draft.bind("table[k] + x", (3,))
            draft.used.add("embedding by index")
        else:
            draft.bind("concat(x, embedding{5, 3}(k))[:, 1:5]", (4,))
            draft.used.add("embedding by layer")


def _step(draft: Draft, turn: int | None = None) -> None:
    """One feature that fits. With ``turn`` the features of the value's own rank take turns."""
    source = draft.source()
    rank = len(draft.shapes[source])
    fitting = [n for n, (wanted, _) in FEATURES.items() if wanted in (None, rank)]
    special = [n for n in fitting if FEATURES[n][0] is not None]
    if turn is not None:
        name = special[turn % len(special)]
    else:
        name = draft.any_of(special if draft.chance(0.5) else fitting)
    FEATURES[name][1](draft, source)
    draft.used.add(name)


HEADS: dict[str, tuple[str, str]] = {
    "cross_entropy": ("label{3}[n]", "cross_entropy(z, y)"),
    "smoothed cross_entropy": (
        "label{3}[n]",
        "cross_entropy{smoothing = 0.1, weights = [1, 2, 0.5]}(z, y)",
    ),
    "soft_cross_entropy": ("rows", "soft_cross_entropy(z, softmax(y))"),
    "squared_error": ("rows", "squared_error(z, y)"),
    "half_squared_error": ("rows", "half_squared_error(z, y)"),
    "absolute_error": ("rows", "absolute_error(z, y)"),
    "huber": ("rows", "huber{0.7}(z, y)"),
    "binary_cross_entropy": ("shares", "binary_cross_entropy(z, y)"),
    "hinge": ("signs", "hinge(z, y)"),
    "squared_hinge": ("signs", "squared_hinge(z, y)"),
    "multiclass_hinge": ("label{3}[n]", "multiclass_hinge(z, y)"),
    "gaussian_nll": ("rows", "gaussian_nll(z, tanh(z[:, ::-1]), y)"),
    # of shares not too small: the square of one below 1e-19 is 0 in f32
    "kl_divergence": ("rows", "kl_divergence(softmax(y), softmax(tanh(z)))"),
}
"""Losses: what the target is, and the loss of scores z and target y."""


def _finish(draft: Draft, name: str) -> None:
    parts = [
        name if len(draft.shapes[name]) == 1 else f"flatten({name})" for name in _unread(draft)
    ]
    joined = parts[0] if len(parts) == 1 else f"concat({', '.join(parts)})"
    draft.lines.append(f"u = {joined} |> dense{{2}}")
    draft.lines.append(f"z = (u / 3 + {draft.activation()}(u)) |> dense{{3}}")
    target, loss = HEADS[name]
    draft.used.add(name)
    _target(draft, target)
    draft.lines.append(f"loss main = {loss}")
    if draft.chance(0.4):
        draft.used.add("several losses")
        draft.lines.append("loss side = mean(z^2) / 2")
        draft.lines.append("minimize main + 0.3 * side")
    _regularize(draft)


def _unread(draft: Draft) -> list[str]:
    """Values that no other value reads: the head reads them all."""
    read: set[str] = set()
    for line in draft.lines:
        owner, *others = [word for word in re.findall(r"\w+", line) if word in draft.shapes] or [""]
        read |= {word for word in others if word != owner}
    return [name for name in draft.shapes if name not in read]


def _target(draft: Draft, kind: str) -> None:
    rng, shape = draft.rng, (ROWS, 3)
    made = {
        "rows": lambda: rng.normal(size=shape),
        "shares": lambda: rng.uniform(0.1, 0.9, shape),
        "signs": lambda: rng.choice([-1.0, 1.0], shape),
    }
    if kind in made:
        draft.batch["y"] = made[kind]()
        draft.lines.append("target y: real[n, 3]")
    else:
        draft.batch["y"] = rng.integers(0, 3, ROWS)
        draft.lines.append(f"target y: {kind}")


def _regularize(draft: Draft) -> None:
    rules = []
    if draft.chance(0.5):
        rules.append(draft.any_of(["l2{0.1} on weights", "l2{0.05} on params"]))
        draft.used.add("l2")
    if draft.chance(0.3):
        rules.append(
            draft.any_of(["elastic_net{0.02} on weights", "weight_elimination{0.1} on z.*"])
        )
        draft.used.add("another penalty")
    bound = [name for name in draft.shapes if name.startswith("h")]
    if bound and draft.chance(0.4):
        rules.append(f"dropout{{0.25}} after {draft.any_of(bound)}")
        draft.used.add("dropout by rule")
    if rules:
        draft.lines.append("regularize {\n  " + "\n  ".join(rules) + "\n}")
