"""How many weights are left after each round, and in how many deletions a round goes."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

__all__ = ["Schedule", "deletions", "targets"]

Schedule = Literal["one_shot", "gradual", "recompute", "geometric"]

_PIECES = {"one_shot": 10, "gradual": 2, "recompute": 1, "geometric": 1}
"""Deletions of a round, each with a prediction and a measurement of its own."""


def targets(left: int, goal: int, schedule: Schedule, steps: int | None) -> list[int]:
    """Weights left after each round, from ``left`` down to ``goal``.

    ``one_shot`` is one round; ``gradual`` removes much at first and little at last,
    s_t = s_f (1 − (1 − t/T)³) (Zhu and Gupta, 2017), in ``steps`` rounds, 10 by default;
    ``recompute`` goes weight by weight, or in ``steps`` equal rounds; ``geometric`` removes the
    same share of what is left in each of ``steps`` rounds (Frankle and Carbin, 2019).
    """
    total = left - goal
    if total <= 0:
        return []
    if schedule == "one_shot":
        return [goal]
    if schedule == "geometric":
        rounds = min(steps or 10, total)
        kept = [max(goal / left, 0.5 / left) ** (t / rounds) for t in range(1, rounds)]
        shares = [*(left * (1 - share) / total for share in kept), 1.0]
    elif schedule == "recompute":
        rounds = min(steps or total, total)
        shares = [t / rounds for t in range(1, rounds + 1)]
    else:
        rounds = min(steps or 10, total)
        shares = [1 - (1 - t / rounds) ** 3 for t in range(1, rounds + 1)]
    found = [left - round(total * share) for share in shares]
    return [after for before, after in pairwise([left, *found]) if after < before]


def deletions(count: int, schedule: Schedule) -> list[int]:
    """``count`` weights as the sizes of a round's deletions."""
    pieces = min(_PIECES[schedule], count)
    edges = [count * piece // pieces for piece in range(pieces + 1)] if pieces else []
    return [b - a for a, b in pairwise(edges)]
