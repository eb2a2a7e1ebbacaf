import numpy as np
import pytest

from graphc.numerics.pruning.definite import NotPositiveDefinite
from graphc.numerics.pruning.surgeon import Surgeon
from graphc.numerics.pruning.woodbury import FisherInverse


def gradients(examples, n, seed=0):
    generator = np.random.default_rng(seed)
    return generator.standard_normal((examples, n)) * np.exp(generator.uniform(-1, 1, n))


def chunks(rows, size):
    return (rows[start : start + size] for start in range(0, len(rows), size))


def fisher(rows, damping, block=None):
    n = rows.shape[1]
    whole = rows.T @ rows / len(rows)
    parts = np.arange(n) // (block or n)
    return np.where(parts[:, None] == parts, whole, 0.0) + damping * np.eye(n)


@pytest.mark.parametrize("examples", [1, 12, 90])  # 12 by the recursion, 90 by the sum
@pytest.mark.parametrize("block", [None, 40, 16, 7, 1])
def test_it_is_the_inverse_of_the_fisher_matrix(examples, block):
    rows = gradients(examples, 40)
    found = FisherInverse(chunks(rows, 5), 40, examples, 1e-2, block).dense()
    expected = np.linalg.inv(fisher(rows, 1e-2, block))
    assert np.abs(found - expected).max() < 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize("size", [1, 2, 20])
def test_the_size_of_chunks_does_not_matter(size):
    rows = gradients(20, 50)
    found = FisherInverse(chunks(rows, size), 50, 20, 1e-2).dense()
    assert found == pytest.approx(np.linalg.inv(fisher(rows, 1e-2)), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("examples", [6, 60])
def test_deletions_compensate_within_a_block_as_an_exact_inverse_does(examples):
    rows, theta = gradients(examples, 23), np.random.default_rng(1).standard_normal(23)
    alive = np.arange(23) != 4
    candidates = np.arange(23) != 9
    living = rows[:, alive]
    hessian = np.zeros((23, 23))
    hessian[np.ix_(alive, alive)] = fisher(living, 0.05, 6)
    exact = Surgeon(hessian, alive=alive, candidates=candidates)
    blocked = FisherInverse(chunks(rows, 8), 23, examples, 0.05, 6, alive, candidates)
    for _ in range(15):
        saliencies = blocked.saliencies(theta)
        assert saliencies == pytest.approx(exact.saliencies(theta), rel=1e-8)
        index = int(np.argmin(saliencies))
        one, other = blocked.delete(index, theta), exact.delete(index, theta)
        assert one.rise == pytest.approx(other.rise, rel=1e-8)
        assert one.step == pytest.approx(other.step, rel=1e-7, abs=1e-9)
        theta = theta + one.step
    across = np.flatnonzero(blocked.candidates)
    assert blocked.rise(across, theta) == pytest.approx(exact.rise(across, theta), rel=1e-8)
    one, other = blocked.delete_set(across, theta), exact.delete_set(across, theta)
    assert one.step == pytest.approx(other.step, rel=1e-7, abs=1e-9)
    assert blocked.alive.tolist() == (np.arange(23) == 9).tolist()


def test_blocks_take_a_part_of_the_memory_of_a_whole_inverse():
    rows = gradients(30, 400)
    inverse = FisherInverse(chunks(rows, 10), 400, 30, 0.1, 20)
    assert inverse._blocks.nbytes == 400 * 20 * 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"damping": 0.0}, "above 0"),
        ({"damping": np.nan}, "above 0"),
        ({"block_size": 0}, "1 weight"),
        ({"examples": 5}, "6 gradients came for 5"),
        ({"n": 4}, "rows of 4"),
        ({"candidates": np.ones(2, dtype=bool)}, "masks of 3"),
    ],
)
def test_bad_input(options, message):
    given = {"n": 3, "examples": 6, "damping": 0.1} | options
    with pytest.raises(ValueError, match=message):
        FisherInverse([gradients(6, 3)], **given)


def test_gradients_that_are_not_finite():
    with pytest.raises(ValueError, match="finite"):
        FisherInverse([np.full((2, 3), np.nan)], 3, 2, 0.1)


@pytest.mark.parametrize("examples", [1, 9])
def test_damping_that_rounding_loses(examples):
    rows = np.ones((examples, 3))
    with pytest.raises(NotPositiveDefinite) as caught:
        FisherInverse([rows], 3, examples, 1e-30)
    suggested = caught.value.suggested_damping
    found = FisherInverse([rows], 3, examples, suggested).dense()
    assert suggested * found.max() == pytest.approx(2 / 3, rel=1e-3)
