from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from graphc.runtime import RunError, epoch_order, make_split, ordered, shuffled, stratified

sizes = st.one_of(st.just(0), st.integers(1, 40), st.floats(0, 0.99, allow_nan=False))


def expected(wanted, n):
    return wanted if wanted >= 1 else int(np.floor(wanted * n + 0.5))


def check_parts(split, n, validation, test):
    rows = np.concatenate([split.train, split.validation, split.test])
    assert sorted(rows.tolist()) == list(range(n))
    assert len(split.validation) == expected(validation, n)
    assert len(split.test) == expected(test, n)
    assert len(split.train) > 0


@given(
    st.sampled_from(["shuffled", "ordered"]),
    st.integers(1, 200),
    sizes,
    sizes,
    st.integers(0, 2**64),
)
def test_parts_are_disjoint_and_cover(kind, n, validation, test, seed):
    try:
        split = make_split(kind, n, validation=validation, test=test, seed=seed)
    except RunError:
        held, tested = expected(validation, n), expected(test, n)
        assert held + tested >= n or (validation and not held) or (test and not tested)
        return
    check_parts(split, n, validation, test)


@given(st.lists(st.integers(3, 60), min_size=1, max_size=6), sizes, sizes, st.integers(0, 9))
def test_stratified_parts_keep_proportions(counts, validation, test, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    n = len(labels)
    labels = labels[np.random.default_rng(0).permutation(n)]
    try:
        split = stratified(labels, validation, test, seed)
    except RunError:
        held, tested = expected(validation, n), expected(test, n)
        assume(held + tested + len(counts) <= n)
        assert (validation and not held) or (test and not tested)
        return
    check_parts(split, n, validation, test)
    for part, share in ((split.validation, validation), (split.test, test)):
        total = expected(share, n)
        for k, size in enumerate(counts):
            assert (labels[split.train] == k).any()
            # Whole rows, and a row left in training, move a share by little.
            assert (labels[part] == k).sum() >= size * total // n


def test_stratified_is_exact_where_it_can_be():
    labels = np.array(["a"] * 80 + ["b"] * 20)
    split = stratified(labels, 0.1, 0.2, seed=4)
    assert (labels[split.validation] == "b").sum() == 2
    assert (labels[split.test] == "b").sum() == 4
    assert len(split.validation) == 10


def test_a_seed_decides_all():
    np.random.seed(1)
    one = shuffled(100, 0.1, 0.1, seed=5)
    np.random.seed(2)
    two = shuffled(100, 0.1, 0.1, seed=5)
    np.testing.assert_array_equal(one.validation, two.validation)
    assert shuffled(100, 0.1, 0.1, seed=6).validation.tolist() != one.validation.tolist()


def test_ordered_keeps_the_order():
    split = ordered(10, 2, 0.3)
    assert split.train.tolist() == [0, 1, 2, 3, 4]
    assert split.validation.tolist() == [5, 6]
    assert split.test.tolist() == [7, 8, 9]


def test_the_streams_never_change():
    """Values written down: another version of NumPy or of graphc must resume old runs."""
    assert epoch_order(8, seed=0, epoch=0).tolist() == [5, 7, 3, 2, 4, 0, 6, 1]
    assert shuffled(8, 2, 0, seed=0).validation.tolist() == [1, 3]


def test_epoch_orders_are_permutations_of_their_own():
    orders = {tuple(epoch_order(20, 1, epoch)) for epoch in range(50)}
    assert len(orders) == 50
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert tuple(epoch_order(20, 2, 0)) not in orders


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shuffled(10, 0.5, 0.5), "nothing is left to train on"),
        (lambda: shuffled(10, 10), "nothing is left"),
        (lambda: shuffled(10, -0.1), "neither"),
        (lambda: shuffled(10, 1.5), "neither"),
        (lambda: shuffled(10, float("nan")), "neither"),
        (lambda: shuffled(10, float("inf")), "neither"),
        (lambda: shuffled(4, 0.1), "no row at all"),
        (lambda: make_split("stratified", 10, validation=0.2), "needs a label"),
        (lambda: stratified(np.array([0] * 9 + [1]), 0.2), "class 1 has only 1 row"),
        (lambda: stratified(np.array([0, 0, 0, 1, 1, 1]), 3, 2), "too small"),
        (lambda: stratified(np.zeros((4, 2)), 1), "one label a row"),
    ],
)
def test_errors(call, message):
    with pytest.raises(RunError, match=message):
        call()
