import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphc.numerics.pruning.cost import exact_cost
from graphc.numerics.pruning.definite import NotPositiveDefinite
from graphc.numerics.pruning.surgeon import Surgeon

SMALL = np.array([[2.0, 0.5], [0.5, 1.0]])


def positive_definite(n, seed, spread=1.0):
    """A random matrix [n, n] whose rows and columns have scales e^-spread to e^spread."""
    generator = np.random.default_rng(seed)
    root = generator.standard_normal((n + n // 2 + 1, n))
    root *= np.exp(generator.uniform(-spread, spread, n))
    return root.T @ root / len(root) + 1e-3 * np.eye(n), generator.standard_normal(n)


def best_without(hessian, theta, gone):
    """δ by plain NumPy: the rest minimises ½ δᵀHδ when δ = -θ at ``gone``."""
    rest = np.setdiff1d(np.arange(len(theta)), gone)
    step = np.zeros(len(theta))
    step[gone] = -theta[gone]
    step[rest] = np.linalg.solve(
        hessian[np.ix_(rest, rest)], hessian[np.ix_(rest, gone)] @ theta[gone]
    )
    return step


@pytest.mark.parametrize(("index", "rise", "step"), [(0, 0.875, [-1, 0.5]), (1, 1.75, [-0.5, 2])])
def test_the_worked_example(index, rise, step):
    surgeon, theta = Surgeon(SMALL), np.array([1.0, -2.0])
    assert surgeon.saliencies(theta) == pytest.approx([0.875, 1.75], rel=1e-14)
    deletion = surgeon.delete(index, theta)
    assert deletion.index == index
    assert deletion.rise == pytest.approx(rise, rel=1e-14)
    assert deletion.step == pytest.approx(np.array(step), rel=1e-14)
    assert surgeon.saliencies(theta)[index] == np.inf


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(2, 9), st.integers(0, 10**6), st.data())
def test_a_set_goes_as_a_direct_solution_says(n, seed, data):
    hessian, theta = positive_definite(n, seed)
    gone = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n - 1, unique=True))
    surgeon = Surgeon(hessian)
    foreseen = surgeon.rise(gone, theta)
    deletion = surgeon.delete_set(gone, theta)
    step = best_without(hessian, theta, sorted(gone))
    assert deletion.indices == tuple(sorted(gone))
    assert deletion.step == pytest.approx(step, rel=1e-8, abs=1e-9)
    assert deletion.rise == pytest.approx(0.5 * step @ hessian @ step, rel=1e-9)
    assert foreseen == deletion.rise
    assert np.all((theta + deletion.step)[gone] == 0)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_one_after_the_other_comes_to_the_set(seed):
    hessian, start = positive_definite(8, seed)
    together, alone, theta, rise = Surgeon(hessian), Surgeon(hessian), start, 0.0
    for index in (5, 0, 3):
        assert alone.saliencies(theta)[index] == pytest.approx(alone.rise([index], theta))
        deletion = alone.delete(index, theta)
        theta, rise = theta + deletion.step, rise + deletion.rise
    joint = together.delete_set((0, 3, 5), start)
    assert start + joint.step == pytest.approx(theta, rel=1e-8, abs=1e-9)
    assert joint.rise == pytest.approx(rise, rel=1e-9)
    assert together.dense() == pytest.approx(alone.dense(), rel=1e-8, abs=1e-9)


def test_hundreds_of_downdates_equal_an_inversion():
    hessian, theta = positive_definite(600, 1, spread=2.0)
    surgeon = Surgeon(hessian)
    for count in range(500):
        if count % 50 == 49:  # a set among the single ones
            deletion = surgeon.delete_set(np.flatnonzero(surgeon.alive)[:3], theta)
        else:
            deletion = surgeon.delete(int(np.argmin(surgeon.saliencies(theta))), theta)
        theta = theta + deletion.step
    alive = np.flatnonzero(surgeon.alive)
    assert alive.size == 600 - 490 - 30
    inverse = np.linalg.inv(hessian[np.ix_(alive, alive)])
    downdated = surgeon.dense()
    assert np.abs(downdated[np.ix_(alive, alive)] - inverse).max() < 1e-10 * np.abs(inverse).max()
    assert not downdated[~surgeon.alive].any()
    assert not downdated[:, ~surgeon.alive].any()
    assert not theta[~surgeon.alive].any()
    assert np.abs(downdated - downdated.T).max() < 1e-12 * np.abs(inverse).max()
    assert surgeon.residual().max_norm < 1e-10
    assert 0 < surgeon.refresh() < 1e-10
    assert surgeon.dense()[np.ix_(alive, alive)] == pytest.approx(inverse, rel=1e-9, abs=1e-10)
    assert surgeon.residual().max_norm < 1e-10


def test_deletions_go_on_after_a_refresh():
    hessian, theta = positive_definite(7, 3)
    fresh, plain = Surgeon(hessian, damping=0.2), Surgeon(hessian, damping=0.2)
    for surgeon in (fresh, plain):
        surgeon.delete(2, theta)
    fresh.refresh()
    one, other = fresh.delete(4, theta), plain.delete(4, theta)
    assert one.step == pytest.approx(other.step, rel=1e-10)
    assert fresh.dense() == pytest.approx(plain.dense(), abs=1e-12)


def test_kept_weights_compensate_and_what_is_gone_does_not():
    hessian, theta = positive_definite(6, 4)
    alive = np.array([True, True, False, True, True, True])
    candidates = np.array([True, False, True, True, False, True])
    surgeon = Surgeon(hessian, alive=alive, candidates=candidates)
    assert np.isinf(surgeon.saliencies(theta)).tolist() == [False, True, True, False, True, False]
    deletion = surgeon.delete(3, theta)
    rest = np.flatnonzero(alive)
    step = best_without(hessian[np.ix_(rest, rest)], theta[rest], np.array([2]))
    assert deletion.step[rest] == pytest.approx(step, rel=1e-9)
    assert deletion.step[2] == 0
    assert deletion.step[1] != 0
    for index in (1, 2, 3, 6, -1):
        with pytest.raises(ValueError, match="may not be removed"):
            surgeon.delete(index, theta)
    with pytest.raises(ValueError, match="weight 4 may not be removed"):
        surgeon.delete_set([0, 4], theta)
    assert surgeon.delete_set([2, 3], theta).indices == ()
    surgeon.delete_set([0, 5], theta)
    assert np.isinf(surgeon.saliencies(theta)).all()


def test_the_last_weight_can_go():
    surgeon, theta = Surgeon(SMALL), np.array([1.0, -2.0])
    assert surgeon.delete_set([0, 1], theta).rise == pytest.approx(0.5 * theta @ SMALL @ theta)
    assert not surgeon.dense().any()
    assert surgeon.residual().two_norm == 0
    assert surgeon.refresh() == 0


def test_damping_is_part_of_the_hessian():
    hessian, theta = positive_definite(5, 6)
    damped = Surgeon(hessian, damping=0.3)
    plain = Surgeon(hessian + 0.3 * np.eye(5))
    assert damped.saliencies(theta) == pytest.approx(plain.saliencies(theta), rel=1e-12)
    assert damped.damping == 0.3
    assert damped.residual().max_norm < 1e-13


def test_the_residual_finds_a_hessian_that_the_inverse_is_not_of():
    hessian, _ = positive_definite(40, 7)
    surgeon = Surgeon(hessian, damping=0.1)
    inverse = surgeon.dense()
    hessian[3, 5] += 0.5
    hessian[5, 3] += 0.5
    expected = np.eye(40) - inverse @ (hessian + 0.1 * np.eye(40))
    residual = surgeon.residual()
    assert residual.max_norm == pytest.approx(np.abs(expected).max(), rel=1e-9)
    assert residual.two_norm == pytest.approx(np.linalg.norm(expected, 2), rel=1e-6)


@pytest.mark.parametrize(
    ("hessian", "smallest"),
    [
        (np.array([[1.0, 2.0], [2.0, 1.0]]), -1.0),
        (np.ones((3, 3)), 0.0),
        (np.zeros((2, 2)), 0.0),
        (np.diag([1.0, 1e-17]), 0.0),  # a factor exists, but of rounding
        (np.diag([1.0, -1e-3]), -1e-3),
    ],
)
def test_a_hessian_without_an_inverse(hessian, smallest):
    with pytest.raises(NotPositiveDefinite) as caught:
        Surgeon(hessian)
    assert caught.value.smallest_eigenvalue == pytest.approx(smallest, abs=1e-12)
    suggested = caught.value.suggested_damping
    assert f"{suggested:.3g}" in str(caught.value)
    auto = Surgeon(hessian, damping="auto")
    assert auto.damping == suggested
    assert Surgeon(hessian, damping=suggested).damping == suggested
    with pytest.raises(NotPositiveDefinite):  # it is the smallest of the ladder
        Surgeon(hessian, damping=0.0999 * suggested if suggested > 1e-9 else 0.0)


def test_automatic_damping_leaves_a_good_hessian_alone():
    assert Surgeon(SMALL, damping="auto").damping == 0


@pytest.mark.parametrize(
    ("hessian", "options", "message"),
    [
        (np.array([[1.0, 2.0], [0.0, 1.0]]), {}, "not symmetric"),
        (np.ones((2, 3)), {}, "square"),
        (np.array([[np.nan, 0.0], [0.0, 1.0]]), {}, "not finite"),
        (SMALL, {"damping": -1.0}, "0 or more"),
        (SMALL, {"damping": np.inf}, "0 or more"),
        (SMALL, {"alive": np.ones(3, dtype=bool)}, "masks of 2"),
    ],
)
def test_bad_input(hessian, options, message):
    with pytest.raises(ValueError, match=message):
        Surgeon(hessian, **options)


def test_the_callers_hessian_stays_as_it_is():
    hessian = SMALL.copy()
    Surgeon(hessian, damping=1.0).delete(0, np.ones(2))
    assert np.array_equal(hessian, SMALL)


def test_the_cost_covers_what_is_allocated():
    """LAPACK's own work is not counted here: two of the five matrices."""
    hessian, _ = positive_definite(300, 8)
    tracemalloc.start()
    Surgeon(hessian, damping=0.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak + hessian.nbytes < exact_cost(300).bytes
    assert exact_cost(300).bytes < 4 * peak
    assert exact_cost(600).seconds == pytest.approx(8 * exact_cost(300).seconds)
