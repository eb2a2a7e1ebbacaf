"""Schedules, and which weights go: shares of layers, units, ties, and methods asked again."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quadratic import World, quadratic

from graphc.numerics.problem import LayerSample, Problem
from graphc.numerics.pruning.choosing import Candidates
from graphc.numerics.pruning.layerwise import Layerwise
from graphc.numerics.pruning.methods import Ranked, magnitudes
from graphc.numerics.pruning.schedule import deletions, targets
from graphc.numerics.pruning.surgeon import Surgeon
from graphc.numerics.pruning.surgical import Surgical
from graphc.numerics.pruning.units import lengths, totals
from graphc.numerics.vectors import Layout

SCHEDULES = ["one_shot", "gradual", "recompute", "geometric"]


# ------------------------------------------------------------------ schedules


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.integers(1, 5000),
    st.integers(0, 5000),
    st.sampled_from(SCHEDULES),
    st.none() | st.integers(1, 40),
)
def test_targets_fall_strictly_and_end_at_the_goal(left, goal, schedule, steps):
    found = targets(left, goal, schedule, steps)
    if goal >= left:
        assert found == []
        return
    assert found[-1] == goal
    assert all(after < before for before, after in itertools.pairwise([left, *found]))
    assert len(found) <= (1 if schedule == "one_shot" else steps or left)
    for before, after in itertools.pairwise([left, *found]):
        sizes = deletions(before - after, schedule)
        assert sum(sizes) == before - after
        assert min(sizes) >= 1


def test_schedules_by_hand():
    assert targets(100, 20, "recompute", 4) == [80, 60, 40, 20]
    assert targets(5, 2, "recompute", None) == [4, 3, 2]
    # 1 - (1 - t/4)³ of 64 weights: 37, 56, 63 and 64 are gone.
    assert targets(64, 0, "gradual", 4) == [27, 8, 1, 0]
    # Half of what is left in each of three rounds.
    assert targets(80, 10, "geometric", 3) == [40, 20, 10]
    assert deletions(25, "one_shot") == [2, 3, 2, 3, 2, 3, 2, 3, 2, 3]
    assert deletions(5, "gradual") == [2, 3]
    assert deletions(0, "one_shot") == []


# ------------------------------------------------------------------ layers


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(0, 99), st.data())
def test_shares_of_layers_come_to_the_count_and_leave_the_same_part_of_each(sizes, seed, data):
    total = sum(sizes)
    edges = np.cumsum([0, *sizes])
    layers = [np.arange(a, b) for a, b in itertools.pairwise(edges)]
    alive = np.random.default_rng(seed).random(total) < 0.8
    count = data.draw(st.integers(0, int(alive.sum())))
    candidates = Candidates(np.ones(total, bool), layers, each_layer=True)
    shares = candidates.shares(alive, count)
    left = [int(alive[layer].sum()) for layer in layers]
    assert sum(shares) == count
    assert all(0 <= share <= held for share, held in zip(shares, left, strict=True))
    chosen = candidates.lowest(np.arange(total, dtype=float), alive, count)
    assert len(set(chosen.tolist())) == count
    assert alive[chosen].all()
    if alive.all():
        after = [held - share for share, held in zip(shares, left, strict=True)]
        part = 1 - count / total
        assert all(abs(a - part * size) <= 1 for a, size in zip(after, sizes, strict=True))


def test_the_lowest_of_all_or_of_each_layer():
    saliency = np.array([5.0, 6.0, 7.0, 8.0, 1.0, 2.0, 3.0, 4.0])
    layers = [np.arange(4), np.arange(4, 8)]
    alive = np.ones(8, bool)
    everywhere = Candidates(np.ones(8, bool), layers)
    each = Candidates(np.ones(8, bool), layers, each_layer=True)
    assert everywhere.lowest(saliency, alive, 4).tolist() == [4, 5, 6, 7]
    assert each.lowest(saliency, alive, 4).tolist() == [0, 1, 4, 5]


def test_of_equal_saliencies_the_first_go():
    candidates = Candidates(np.ones(4, bool), [np.arange(4)])
    assert candidates.lowest(np.zeros(4), np.ones(4, bool), 2).tolist() == [0, 1]


def test_brain_surgery_takes_its_share_of_each_layer():
    hessian, theta = np.diag([9.0, 9, 9, 9, 1, 1, 1, 1]), np.ones(8)
    candidates = Candidates(np.ones(8, bool), [np.arange(4), np.arange(4, 8)], each_layer=True)
    method = Surgical(candidates, lambda theta, alive: (Surgeon(hessian, 0.0, alive), ()))
    method.prepare(theta, np.ones(8, bool))
    removal = method.remove(theta, np.ones(8, bool), 4)
    assert removal.alive.tolist() == [False, False, True, True] * 2
    assert removal.predicted == pytest.approx(0.5 * (9 + 9 + 1 + 1))


# ------------------------------------------------------------------ units

UNITS = [[np.array([0, 1, 6]), np.array([2, 3, 7]), np.array([4, 5, 8])]]
"""Of two weights and a bias each; biases are no candidates."""
WEIGHTS = np.arange(9) < 6


def whole(of_unit=lengths):
    return Ranked(Candidates(WEIGHTS, [np.arange(6)], units=UNITS), magnitudes, of_unit=of_unit)


def test_whole_units_go_with_their_biases_by_their_lengths():
    theta = np.array([3.0, 0, 2, 2, 9, 9, 0.1, 0.1, 0.1])
    for of_unit, first in ((lengths, [2, 3, 7]), (totals, [0, 1, 6])):
        method = whole(of_unit)
        method.prepare(theta, np.ones(9, bool))
        removal = method.remove(theta, np.ones(9, bool), 1)
        assert np.flatnonzero(~removal.alive).tolist() == first
        assert np.all(removal.theta[first] == 0)


def test_a_layer_keeps_a_unit():
    method = whole()
    theta = np.ones(9)
    method.prepare(theta, np.ones(9, bool))
    removal = method.remove(theta, np.ones(9, bool), 6)
    assert np.flatnonzero(removal.alive).tolist() == [4, 5, 8]
    again = method.remove(removal.theta, removal.alive, 1)
    assert np.array_equal(again.alive, removal.alive)


def test_units_by_brain_surgery_go_at_the_least_joint_rise():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(20, 9))
    hessian, theta = root.T @ root / 20, rng.normal(size=9)
    candidates = Candidates(WEIGHTS, [np.arange(6)], units=UNITS)
    build = lambda theta, alive: (Surgeon(hessian, 0.0, alive, candidates.removable), ())  # noqa: E731
    method = Surgical(candidates, build)
    method.prepare(theta, np.ones(9, bool))
    removal = method.remove(theta, np.ones(9, bool), 2)
    world = World(quadratic(hessian, theta))
    rises = []
    for unit in UNITS[0]:
        rest = np.setdiff1d(np.arange(9), unit)
        step = np.zeros(9)
        step[unit] = -theta[unit]
        step[rest] = np.linalg.solve(
            hessian[np.ix_(rest, rest)], hessian[np.ix_(rest, unit)] @ theta[unit]
        )
        rises.append(world.problem.value(theta + step) - 1.0)
    assert np.flatnonzero(~removal.alive).tolist() == UNITS[0][int(np.argmin(rises))].tolist()
    assert removal.predicted == pytest.approx(min(rises), rel=1e-9)
    assert world.problem.value(removal.theta) - 1.0 == pytest.approx(min(rises), rel=1e-9)


# ------------------------------------------------------------------ rows


def layered(x, curvatures):
    layout = Layout({"W": (x.shape[1], curvatures.shape[1])})
    nothing = dict.fromkeys(
        ("value", "gradient", "hessian", "gauss_newton", "example_gradients", "backpropagated")
    )
    sample = {"W": LayerSample(x, curvatures)}
    return Problem(layout=layout, examples=len(x), layers=lambda theta: iter([sample]), **nothing)


@pytest.mark.parametrize("each_layer", [False, True])
def test_rows_are_solved_by_least_squares_and_asked_again_go_on(each_layer):
    rng = np.random.default_rng(2)
    x, weights = rng.normal(size=(50, 6)), rng.normal(size=(6, 3))
    problem = layered(x, np.ones((50, 3)) / 50)
    theta, alive = weights.reshape(-1), np.ones(18, bool)
    candidates = Candidates(alive, [np.arange(18)], each_layer=each_layer)
    method = Layerwise(lambda: problem, candidates, ["W"], 0.0, 1 << 20)
    method.prepare(theta, alive)
    first = method.remove(theta, alive, 5)
    second = method.remove(first.theta, first.alive, 4)
    assert (np.count_nonzero(~first.alive), np.count_nonzero(~second.alive)) == (5, 9)
    assert np.all(first.alive[second.alive]), "what is gone stays gone"
    mask, solved = second.alive.reshape(6, 3), second.theta.reshape(6, 3)
    for column in range(3):
        kept = np.flatnonzero(mask[:, column])
        best = np.linalg.lstsq(x[:, kept], x @ weights[:, column], rcond=None)[0]
        assert solved[kept, column] == pytest.approx(best, rel=1e-8)
        assert np.all(solved[~mask[:, column], column] == 0)
    assert second.predicted is None
    assert np.array_equal(theta, weights.reshape(-1))
