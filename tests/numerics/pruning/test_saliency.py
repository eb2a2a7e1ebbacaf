import numpy as np
import pytest

from graphc.numerics.pruning.saliency import magnitude, movement, obd, random
from graphc.numerics.pruning.surgeon import Surgeon
from graphc.numerics.pruning.units import joint_rises, lengths, totals

WEIGHTS = np.array([1.0, -2.0])
HESSIAN = np.array([[2.0, 0.5], [0.5, 1.0]])


def test_saliencies_of_the_worked_example():
    assert magnitude(WEIGHTS).tolist() == [1, 2]
    assert obd(WEIGHTS, np.diagonal(HESSIAN)).tolist() == [1, 2]


def test_a_negative_curvature_gives_a_negative_saliency():
    assert obd(WEIGHTS, np.array([-2.0, 1.0])).tolist() == [-1, 2]


def test_movement_sums_over_training_what_gradient_descent_moved():
    """For plain gradient descent, -w·g is the change of w²/2 by a step over the rate, to first
    order: a weight that grows scores above zero, one that shrinks below."""
    curvature, target, rate = np.array([1.0, 2.0]), np.array([3.0, 0.0]), 0.01
    theta, scores = np.array([1.0, 1.0]), np.zeros(2)
    for _ in range(100):
        gradient = curvature * (theta - target)
        scores += movement(theta, gradient)
        before, theta = theta, theta - rate * gradient
        assert movement(before, gradient) == pytest.approx(before * (theta - before) / rate)
    assert scores[0] > 0 > scores[1]
    assert movement(WEIGHTS, np.array([3.0, 5.0])).tolist() == [-3, 10]


def test_random_scores_depend_on_the_seed_alone():
    np.random.seed(0)
    first = random(50, 7)
    np.random.seed(1)
    assert np.array_equal(first, random(50, 7))
    assert not np.array_equal(first, random(50, 8))
    assert len(set(first)) == 50
    assert first.min() >= 0
    assert first.max() < 1


def test_scores_of_groups():
    groups = [np.array([0, 2]), np.array([1])]
    scores = np.array([3.0, -1.0, 4.0])
    assert totals(groups, scores).tolist() == [7, -1]
    assert lengths(groups, scores).tolist() == [5, 1]
    assert totals([], scores).shape == (0,)


def test_joint_rises_are_what_deleting_the_group_takes():
    generator = np.random.default_rng(0)
    root = generator.standard_normal((9, 6))
    theta = generator.standard_normal(6)
    groups = [np.array([0, 1]), np.array([1, 4, 5]), np.array([3])]
    surgeon = Surgeon(root.T @ root)
    rises = joint_rises(surgeon, groups, theta)
    for group, rise in zip(groups, rises, strict=True):
        fresh = Surgeon(root.T @ root)
        assert rise == pytest.approx(fresh.delete_set(group, theta).rise, rel=1e-12)
    surgeon.delete(1, theta)
    rest = Surgeon(root.T @ root, alive=np.arange(6) != 1)
    assert joint_rises(surgeon, groups, theta) == pytest.approx(joint_rises(rest, groups, theta))
    surgeon.delete(0, theta)
    assert joint_rises(surgeon, groups, theta)[0] == 0
