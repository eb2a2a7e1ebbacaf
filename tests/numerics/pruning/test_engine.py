"""The loop of pruning over quadratics: predictions, ways to stop, what is undone, who is told."""

import numpy as np
import pytest
from quadratic import World, quadratic

from graphc.numerics.pruning.choosing import Candidates
from graphc.numerics.pruning.engine import Check, Limits, Removal, prune
from graphc.numerics.pruning.methods import Ranked, damage, magnitudes
from graphc.numerics.pruning.surgeon import Surgeon
from graphc.numerics.pruning.surgical import Surgical

SMALL = np.array([[2.0, 0.5], [0.5, 1.0]])
THETA = np.array([1.0, -2.0])
DIAGONAL = np.diag([2.0, 4.0, 6.0, 8.0, 10.0])
FIVE = np.array([0.1, -0.2, 0.3, -0.4, 0.5])
RISES = 0.5 * np.diag(DIAGONAL) * FIVE**2  # 0.01, 0.08, 0.27, 0.64, 1.25


def everything(n):
    return Candidates(np.ones(n, bool), [np.arange(n)])


def by_magnitude(n=5, candidates=None):
    return Ranked(candidates or everything(n), magnitudes)


def surgeon(hessian, checks=()):
    return Surgical(
        everything(len(hessian)), lambda theta, alive: (Surgeon(hessian, 0.0, alive), checks)
    )


def run(world, method, theta, *, goal=0, schedule="recompute", alive=None, candidates=None, **more):
    limits = {
        key: more.pop(key) for key in ("max_rise", "worse", "max_move", "strict") if key in more
    }
    n = len(theta)
    return prune(
        world,
        method,
        theta,
        np.ones(n, bool) if alive is None else alive,
        np.ones(n, bool) if candidates is None else candidates,
        Limits(goal, **limits),
        schedule=schedule,
        **more,
    )


def counts(outcome, undone=False):
    return [len(each.removed) for each in outcome.events if each.undone == undone]


# ------------------------------------------------------------------ what is predicted


def test_the_worked_example_of_brain_surgery_and_brain_damage():
    """H = [[2, ½], [½, 1]], w = (1, -2): on paper OBS rises by 0.875 with δ = (-1, ½), OBD foresees
    ½·2·1² = 1, and without compensation that is what it costs."""
    world = World(quadratic(SMALL, THETA))
    found = run(world, surgeon(SMALL), THETA, goal=1)
    assert found.theta == pytest.approx(np.array([0, -1.5]), rel=1e-14)
    (event,) = found.events
    assert event.predicted == pytest.approx(0.875, rel=1e-14)
    assert event.measured == pytest.approx(0.875, rel=1e-14)
    assert event.objective == pytest.approx(1.875, rel=1e-14)
    assert (event.removed.tolist(), event.values.tolist(), event.left) == ([0], [1.0], 1)
    obd = Ranked(
        everything(2), damage(lambda: world.problem, lambda _: np.diag(SMALL)), predicts=True
    )
    found = run(world, obd, THETA, goal=1)
    assert found.theta.tolist() == [0, -2]
    assert (found.events[0].predicted, found.events[0].measured) == (1.0, 1.0)


@pytest.mark.parametrize("schedule", ["one_shot", "gradual", "recompute", "geometric"])
def test_of_a_quadratic_brain_surgery_predicts_every_rise(schedule):
    rng = np.random.default_rng(3)
    root = rng.normal(size=(30, 20))
    hessian, theta = root.T @ root / 30, rng.normal(size=20)
    world = World(quadratic(hessian, theta))
    found = run(world, surgeon(hessian), theta, goal=5, schedule=schedule)
    assert found.stopped == "sparsity"
    assert np.count_nonzero(found.alive) == 5
    assert np.array_equal(found.theta != 0, found.alive)
    for event in found.events:
        assert event.predicted == pytest.approx(event.measured, rel=1e-8)
    # Deleted one by one with compensation, the rest is the minimum over what is left.
    rest, gone = np.flatnonzero(found.alive), np.flatnonzero(~found.alive)
    best = theta[rest] + np.linalg.solve(
        hessian[np.ix_(rest, rest)], hessian[np.ix_(rest, gone)] @ theta[gone]
    )
    assert found.theta[rest] == pytest.approx(best, rel=1e-8)


def test_where_a_method_predicts_nothing_the_expansion_at_the_weights_does():
    """Away from the minimum too: gᵀδ + ½ δᵀHδ is exact of a quadratic."""
    world = World(quadratic(SMALL, np.array([0.3, 0.4])))
    found = run(world, by_magnitude(2), THETA, goal=1)
    assert found.events[0].predicted == pytest.approx(found.events[0].measured, rel=1e-14)
    assert found.events[0].measured != pytest.approx(0.5 * SMALL[0, 0] * THETA[0] ** 2)


# ------------------------------------------------------------------ how it ends


def test_it_ends_at_the_goal_and_never_below():
    found = run(World(quadratic(DIAGONAL, FIVE)), by_magnitude(), FIVE, goal=2)
    assert found.stopped == "sparsity"
    assert found.alive.tolist() == [False, False, False, True, True]
    assert (found.start, found.start_scores) == (1.0, {"train": {"accuracy": 0.0}})
    assert [event.left for event in found.events] == [4, 3, 2]
    assert [event.round for event in found.events] == [1, 2, 3]
    assert [event.measured for event in found.events] == pytest.approx(RISES[:3])


def test_a_goal_that_is_reached_already_changes_nothing():
    found = run(World(quadratic(DIAGONAL, FIVE)), by_magnitude(), FIVE, goal=5)
    assert (found.stopped, found.events) == ("sparsity", ())
    assert np.array_equal(found.theta, FIVE)


def test_the_bound_on_the_rise_is_of_all_deletions_together():
    world = World(quadratic(DIAGONAL, FIVE))
    found = run(world, by_magnitude(), FIVE, max_rise=0.4)  # 0.01 + 0.08 + 0.27 = 0.36
    assert found.stopped == "max_rise"
    assert (counts(found), counts(found, undone=True)) == ([1, 1, 1], [1])
    assert found.alive.tolist() == [False, False, False, True, True]
    assert found.theta.tolist() == [0, 0, 0, -0.4, 0.5]
    assert found.events[-1].objective == pytest.approx(2.0)


def test_an_objective_that_is_no_number_breaks_every_bound():
    problem = quadratic(DIAGONAL, FIVE)
    broken = World(
        type(problem)(
            **{**vars(problem), "value": lambda t: np.nan if t[1] == 0 else problem.value(t)}
        )
    )
    found = run(broken, by_magnitude(), FIVE)
    assert (found.stopped, counts(found), counts(found, undone=True)) == ("max_rise", [1], [1])


def test_a_worse_score_undoes_the_deletion():
    world = World(quadratic(DIAGONAL, FIVE), score=lambda theta: float(theta[2] != 0))
    found = run(
        world,
        by_magnitude(),
        FIVE,
        worse=lambda start, now: now["train"]["accuracy"] < start["train"]["accuracy"],
    )
    assert (found.stopped, counts(found), counts(found, undone=True)) == ("score", [1, 1], [1])
    assert found.theta.tolist() == [0, 0, 0.3, -0.4, 0.5]


def test_a_check_that_fails_is_told_and_stops_only_where_it_is_strict():
    bad = (Check("gradient", 2.0, 1.0),)
    world = World(quadratic(DIAGONAL, FIVE))
    told = run(world, surgeon(DIAGONAL, bad), FIVE, goal=3)
    assert told.stopped == "sparsity"
    assert [event.checks[0] for event in told.events] == [*bad, *bad]
    strict = run(world, surgeon(DIAGONAL, bad), FIVE, goal=3, strict=True)
    assert (strict.stopped, counts(strict), counts(strict, undone=True)) == ("check", [], [0])
    assert strict.events[0].checks == bad
    assert np.array_equal(strict.theta, FIVE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_check_without_a_number_fails(value):
    assert not Check("inverse", value, 1.0).holds


def test_a_weight_that_moves_too_far_stops_a_strict_pruning():
    found = run(
        World(quadratic(SMALL, THETA)), surgeon(SMALL), THETA, goal=1, max_move=0.4, strict=True
    )
    assert (found.stopped, counts(found, undone=True)) == ("check", [1])
    assert found.events[0].checks[-1] == Check("move", 0.5, 0.4)
    assert np.array_equal(found.theta, THETA)
    lenient = run(World(quadratic(SMALL, THETA)), surgeon(SMALL), THETA, goal=1, max_move=0.4)
    assert (lenient.stopped, counts(lenient)) == ("sparsity", [1])


class Stuck:
    """Removes one weight, then none."""

    def __init__(self):
        self.removed = False

    def prepare(self, theta, alive):
        return ()

    def remove(self, theta, alive, count):
        theta, alive = theta.copy(), alive.copy()
        if not self.removed:
            theta[0], alive[0] = 0.0, False
        self.removed = True
        return Removal(theta, alive, None)


@pytest.mark.parametrize("schedule", ["recompute", "one_shot"])
def test_where_nothing_more_can_go_that_is_the_end(schedule):
    world = World(quadratic(DIAGONAL, FIVE))
    found = run(world, Stuck(), FIVE, schedule=schedule)
    assert (found.stopped, counts(found), counts(found, undone=True)) == ("exhausted", [1], [])
    assert found.alive.tolist() == [False, True, True, True, True]


def test_where_nothing_more_can_go_the_rest_is_trained_all_the_same():
    world = World(quadratic(DIAGONAL, FIVE))
    found = run(world, Stuck(), FIVE, schedule="one_shot", retraining=True)
    assert (found.stopped, [each.kind for each in found.events]) == (
        "exhausted", ["deletion", "retraining"],
    )  # fmt: skip
    assert len(world.trained) == 1
    bounded = run(world, Stuck(), FIVE, schedule="one_shot", retraining=True, max_rise=1e-3)
    assert (bounded.stopped, counts(bounded)) == ("max_rise", [])
    assert np.array_equal(bounded.theta, FIVE)


# ------------------------------------------------------------------ retraining


def test_a_round_ends_with_training_and_its_deletions_may_rise_in_between():
    world = World(quadratic(DIAGONAL, FIVE), train=lambda theta, alive: theta)
    found = run(world, by_magnitude(), FIVE, goal=1, schedule="gradual", steps=2, retraining=True)
    kinds = [(each.round, each.kind, len(each.removed)) for each in found.events]
    assert kinds == [(1, "deletion", 2), (1, "deletion", 2), (1, "retraining", 0)]
    assert [alive.tolist() for alive in world.trained] == [[False] * 4 + [True]]


def recovering(share):
    """Training that takes away a part of what is lost, by weights that are left: the last one."""

    def train(theta, alive):
        return np.where(alive, FIVE + share * (theta - FIVE), 0.0)

    return train


def test_a_limit_holds_after_training_and_a_broken_one_undoes_the_whole_round():
    """Each deletion moves all weights to half of their size; training brings them back."""

    class Halving:
        def prepare(self, theta, alive):
            return ()

        def remove(self, theta, alive, count):
            gone = np.flatnonzero(alive)[:count]
            theta, alive = theta / 2, alive.copy()
            theta[gone], alive[gone] = 0.0, False
            return Removal(theta, alive, None)

    world = World(quadratic(DIAGONAL, FIVE), train=recovering(0.0))
    halved = RISES[0] + RISES[1:].sum() / 4
    assert halved > 0.4
    found = run(world, Halving(), FIVE, max_rise=0.4, retraining=True)
    kept = [each for each in found.events if not each.undone]
    assert found.stopped == "max_rise"
    assert [each.kind for each in kept] == ["deletion", "retraining"] * 3
    assert kept[0].measured == pytest.approx(halved)
    assert kept[1].measured == pytest.approx(RISES[0] - halved)
    assert [each.kind for each in found.events if each.undone] == ["deletion", "retraining"]
    assert found.theta.tolist() == [0, 0, 0, -0.4, 0.5]
    without = run(World(quadratic(DIAGONAL, FIVE)), Halving(), FIVE, max_rise=0.4)
    assert (without.stopped, counts(without)) == ("max_rise", [])


def test_a_strict_check_in_a_round_undoes_what_was_not_trained_yet():
    class Jumping(Stuck):
        def remove(self, theta, alive, count):
            gone = np.flatnonzero(alive)[:count]
            theta, alive = theta.copy(), alive.copy()
            theta[4] += 10.0 if self.removed else 0.0
            theta[gone], alive[gone], self.removed = 0.0, False, True
            return Removal(theta, alive, None)

    world = World(quadratic(DIAGONAL, FIVE))
    found = run(
        world,
        Jumping(),
        FIVE,
        goal=1,
        schedule="one_shot",
        retraining=True,
        max_move=1.0,
        strict=True,
    )
    assert (found.stopped, counts(found), counts(found, undone=True)) == ("check", [], [1, 1])
    assert np.array_equal(found.theta, FIVE)
    assert found.alive.all()
    assert world.trained == []


# ------------------------------------------------------------------ interruption


def interrupting(after, then):
    """A function that raises KeyboardInterrupt when it has been called so often."""
    calls = iter(range(after))

    def call(*arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return then(*arguments)

    return call


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_ctrl_c_in_a_deletion_ends_after_the_last_whole_one(calls):
    world = World(quadratic(DIAGONAL, FIVE), score=interrupting(calls, lambda theta: 0.0))
    found = run(world, by_magnitude(), FIVE)
    assert (found.stopped, counts(found)) == ("interrupted", [1] * (calls - 1))
    assert np.count_nonzero(~found.alive) == calls - 1


def test_ctrl_c_in_a_training_ends_after_the_last_whole_round():
    world = World(quadratic(DIAGONAL, FIVE), train=interrupting(1, lambda theta, alive: theta))
    found = run(world, by_magnitude(), FIVE, goal=1, retraining=True)
    assert found.stopped == "interrupted"
    assert [each.kind for each in found.events] == ["deletion", "retraining"]
    assert found.theta.tolist() == [0, -0.2, 0.3, -0.4, 0.5]


@pytest.mark.parametrize("what", ["tell", "keep"])
def test_ctrl_c_while_something_is_told_or_kept_leaves_events_that_are_the_result(what):
    callback = {what: interrupting(2, lambda *_: None)}
    found = run(World(quadratic(DIAGONAL, FIVE)), by_magnitude(), FIVE, **callback)
    assert found.stopped == "interrupted"
    assert sum(counts(found)) == np.count_nonzero(~found.alive)
    assert sum(counts(found)) == (3 if what == "tell" else 2)


# ------------------------------------------------------------------ who is told


def test_what_is_told_has_been_kept():
    happened = []
    run(
        World(quadratic(DIAGONAL, FIVE)),
        by_magnitude(),
        FIVE,
        max_rise=0.1,
        keep=lambda theta, alive: happened.append(("keep", int(alive.sum()))),
        tell=lambda event: happened.append(("undone" if event.undone else "tell", event.left)),
    )
    assert happened == [("keep", 4), ("tell", 4), ("keep", 3), ("tell", 3), ("undone", 2)]


def test_with_training_a_round_is_kept_once_and_then_told():
    happened = []
    run(
        World(quadratic(DIAGONAL, FIVE)),
        by_magnitude(),
        FIVE,
        goal=3,
        schedule="one_shot",
        retraining=True,
        keep=lambda theta, alive: happened.append("keep"),
        tell=lambda event: happened.append(event.kind),
    )
    assert happened == ["keep", "deletion", "deletion", "retraining"]


def test_only_candidates_go_and_what_is_gone_stays_gone():
    candidates = np.array([True, True, False, True, True])
    alive = np.array([True, False, True, True, True])
    theta = np.where(alive, FIVE, 0.0)
    chosen = Candidates(candidates, [np.flatnonzero(candidates)])
    found = run(
        World(quadratic(DIAGONAL, FIVE)), by_magnitude(candidates=chosen), theta,
        alive=alive, candidates=candidates, goal=1,
    )  # fmt: skip
    assert found.alive.tolist() == [False, False, True, False, True]
    assert [each.left for each in found.events] == [2, 1]
    assert [each.removed.tolist() for each in found.events] == [[0], [3]]
    assert np.array_equal(theta, np.where(alive, FIVE, 0.0)), "what was given is not changed"
