import heapq
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphc.numerics.pruning.cost import trace_cost
from graphc.numerics.pruning.definite import NotPositiveDefinite
from graphc.numerics.pruning.gram import Gram, GramSum, gram
from graphc.numerics.pruning.rows import RowTraces, rise, select, solve, trace
from graphc.numerics.pruning.surgeon import Surgeon


def layer(inputs, outputs, seed=0, rows=60):
    """Correlated inputs [rows, d] and weights [d, o]."""
    generator = np.random.default_rng(seed)
    mixing = np.eye(inputs) + 0.4 * generator.standard_normal((inputs, inputs))
    block = generator.standard_normal((rows, inputs)) @ mixing
    return block, generator.standard_normal((inputs, outputs))


def damped(inputs, damping):
    hessian = inputs.T @ inputs / len(inputs)
    return hessian + damping * np.diagonal(hessian).mean() * np.eye(len(hessian))


def without(hessian, weights, left):
    """By plain NumPy: the best weights of one output that are zero outside of ``left``."""
    found = np.zeros(len(weights))
    found[left] = np.linalg.solve(hessian[np.ix_(left, left)], hessian[left] @ weights)
    return found


def height(hessian, change):
    return 0.5 * change @ hessian @ change


def exhaustive(hessian, weights, left, free):
    """Greedy deletion that solves anew for every weight that could go next."""
    order, rises = [], []
    while free:
        tried = []
        for index in free:
            rest = [i for i in left if i != index]
            tried.append((height(hessian, without(hessian, weights, rest) - weights), index))
        total, index = min(tried)
        order.append(index)
        rises.append(total)
        left = [i for i in left if i != index]
        free = [i for i in free if i != index]
    return order, rises


def test_traces_equal_solving_anew_after_each_deletion():
    block, weights = layer(7, 4)
    traces = trace(gram([block]), weights, damping=0.05)
    hessian, every = damped(block, 0.05), list(range(7))
    for output in range(4):
        order, rises = exhaustive(hessian, weights[:, output], every, every)
        assert traces.order[output].tolist() == order
        assert traces.rises[output] == pytest.approx(rises, rel=1e-9)
    assert traces.count == 28


def test_masks_and_kept_weights_hold():
    block, weights = layer(8, 5, seed=1)
    generator = np.random.default_rng(2)
    alive, candidates = generator.random((8, 5)) < 0.7, generator.random((8, 5)) < 0.7
    weights *= alive
    traces = trace(gram([block]), weights, 0.02, alive, candidates)
    hessian = damped(block, 0.02)
    for output in range(5):
        left = np.flatnonzero(alive[:, output]).tolist()
        free = np.flatnonzero((alive & candidates)[:, output]).tolist()
        order, rises = exhaustive(hessian, weights[:, output], left, free)
        assert traces.order[output, : len(order)].tolist() == order
        assert traces.rises[output, : len(order)] == pytest.approx(rises, rel=1e-9)
        assert (traces.order[output, len(order) :] == -1).all()
        assert np.isinf(traces.rises[output, len(order) :]).all()
    nothing = traces.mask(np.zeros(5, dtype=np.intp))
    assert np.array_equal(nothing, alive)
    everything = traces.mask((traces.order >= 0).sum(axis=1))
    assert np.array_equal(everything, alive & ~candidates)


def test_one_output_goes_as_the_surgeon_does():
    """150 weights, so that the inverse is brought up to date and cut twice."""
    block, weights = layer(150, 1, seed=3, rows=400)
    traces = trace(gram([block]), weights, damping=0.01)
    surgeon, theta, total = Surgeon(damped(block, 0.01)), weights[:, 0], 0.0
    for step in range(149):
        index = int(np.argmin(surgeon.saliencies(theta)))
        deletion = surgeon.delete(index, theta)
        theta, total = theta + deletion.step, total + deletion.rise
        assert traces.order[0, step] == index
        assert traces.rises[0, step] == pytest.approx(total, rel=1e-9)
        if step in (70, 140):
            mask = traces.mask(np.array([step + 1]))
            found = solve(gram([block]), weights, mask, damping=0.01)
            assert found[:, 0] == pytest.approx(theta, rel=1e-7, abs=1e-9)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 5), st.floats(0, 1))
def test_predicted_rises_are_the_actual_ones(seed, inputs, outputs, part):
    block, weights = layer(inputs, outputs, seed)
    matrix = gram([block])
    traces = trace(matrix, weights, damping=0.01)
    counts = np.full(outputs, int(part * inputs))
    mask = traces.mask(counts)
    change = solve(matrix, weights, mask, damping=0.01) - weights
    for output, count in enumerate(counts):
        predicted = traces.rises[output, count - 1] if count else 0.0
        actual = height(damped(block, 0.01), change[:, output])
        assert predicted == pytest.approx(actual, rel=1e-8, abs=1e-12)
    moved = 0.5 * np.square(block @ change).mean(axis=0)
    scale = np.arange(outputs) + 0.5
    assert rise(matrix, weights, weights + change) == pytest.approx(moved.sum(), rel=1e-9)
    assert rise(matrix, weights, weights + change, scale) == pytest.approx(moved @ scale, rel=1e-9)


def test_solutions_are_optimal():
    block, weights = layer(9, 6, seed=5)
    matrix, mask = gram([block]), np.random.default_rng(6).random((9, 6)) < 0.5
    mask[:, 0], mask[:, 1] = True, False
    found = solve(matrix, weights, mask, damping=0.03)
    slope = damped(block, 0.03) @ (found - weights)
    assert np.abs(slope[mask]).max() < 1e-12
    assert not found[~mask].any()
    assert np.array_equal(found[:, 0], weights[:, 0])
    for output in range(2, 6):
        left = np.flatnonzero(mask[:, output])
        expected = without(damped(block, 0.03), weights[:, output], left)
        assert found[:, output] == pytest.approx(expected, rel=1e-9)


def test_the_size_of_batches_does_not_matter():
    block, weights = layer(100, 13, seed=7, rows=300)
    alive = np.random.default_rng(8).random((100, 13)) < np.linspace(0.3, 1, 13)
    weights *= alive
    matrix = gram([block])
    one = trace(matrix, weights, alive=alive, memory=1)
    for memory in (3 * 8 * 100 * 100, 1 << 26):
        many = trace(matrix, weights, alive=alive, memory=memory)
        assert np.array_equal(one.order, many.order)
        assert many.rises[many.order >= 0] == pytest.approx(one.rises[one.order >= 0], rel=1e-10)


def test_memory_is_bounded_by_what_is_allowed():
    block, weights = layer(200, 12, seed=9, rows=400)
    matrix, square = gram([block]), 8 * 200 * 200
    peaks = []
    for memory in (square, 12 * square):
        tracemalloc.start()
        trace(matrix, weights, memory=memory)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        pending = memory * 64 / 200  # vectors that wait to be taken in
        assert peaks[-1] < trace_cost(200, 12, memory).bytes + pending
    assert peaks[1] > peaks[0] + 10 * square


def test_inputs_that_are_always_zero_go_first_and_for_nothing():
    block, weights = layer(8, 3, seed=10)
    block[:, [2, 5]] = 0.0
    live = [0, 1, 3, 4, 6, 7]
    traces = trace(gram([block]), weights, damping=0.02)
    rest = trace(gram([block[:, live]]), weights[live], damping=0.02)
    assert traces.order[:, :2].tolist() == [[2, 5]] * 3
    assert not traces.rises[:, :2].any()
    assert np.array_equal(traces.order[:, 2:], np.array(live)[rest.order])
    assert np.array_equal(traces.rises[:, 2:], rest.rises)
    mask = traces.mask(np.array([1, 2, 4]))
    found = solve(gram([block]), weights, mask, damping=0.02)
    assert found[5, 0] == weights[5, 0]
    assert not found[~mask].any()
    nothing = trace(gram([np.zeros((4, 3))]), np.ones((3, 2)))
    assert nothing.order.tolist() == [[0, 1, 2]] * 2
    assert not nothing.rises.any()


def by_heap(traces, count, scales):
    """One deletion after the other, the smallest next rise first."""
    taken = {name: np.zeros(len(each.order), dtype=np.intp) for name, each in traces.items()}

    def offer(name, output):
        each, step = traces[name], taken[name][output]
        if step < each.order.shape[1] and each.order[output, step] >= 0:
            before = each.rises[output, step - 1] if step else 0.0
            cost = (each.rises[output, step] - before) * scales[name][output]
            heapq.heappush(heap, (cost, name, output))

    heap = []
    for name, each in traces.items():
        for output in range(len(each.order)):
            offer(name, output)
    for _ in range(count):
        _, name, output = heapq.heappop(heap)
        taken[name][output] += 1
        offer(name, output)
    return {name: each.mask(taken[name]) for name, each in traces.items()}


def test_selection_takes_the_smallest_next_rise():
    traces, scales, generator = {}, {}, np.random.default_rng(11)
    for name, (inputs, outputs) in {"a": (9, 5), "b": (5, 7), "c": (7, 2)}.items():
        block, weights = layer(inputs, outputs, seed=outputs)
        block[:, 1] = block[:, 0] + 0.3 * block[:, 1]  # alike inputs with weights that cancel
        weights[1] = -weights[0]
        alive = generator.random(weights.shape) < 0.8
        traces[name] = trace(gram([block]), weights * alive, alive=alive)
        scales[name] = generator.exponential(size=outputs)
    ones = {name: np.ones(len(each)) for name, each in scales.items()}
    steps = np.diff(traces["b"].rises[np.isfinite(traces["b"].rises).all(axis=1)], axis=1)
    assert (np.diff(steps, axis=1) < 0).any()  # where one goes, the other follows at less
    most = sum(each.count for each in traces.values())
    for count in (0, 1, 20, 50, most - 1, most):
        for factors, plain in ((scales, scales), (None, ones)):
            found, expected = select(traces, count, factors), by_heap(traces, count, plain)
            for name, mask in found.items():
                assert np.array_equal(mask, expected[name])
            left = sum(np.count_nonzero(mask) for mask in found.values())
            assert left == most - count
    for count in (-1, most + 1):
        with pytest.raises(ValueError, match=f"there are {most} candidates"):
            select(traces, count)
    with pytest.raises(ValueError, match="none of them negative"):
        select(traces, 3, {"a": -scales["a"]})
    with pytest.raises(ValueError, match="no traces"):
        select({}, 0)


def test_weights_that_cost_nothing_go_whatever_the_ties():
    order = np.array([[0, 1], [1, 0]])
    traces = {"a": RowTraces(order, np.zeros((2, 2)), np.ones((2, 2), dtype=bool))}
    for count in range(5):
        mask = select(traces, count)["a"]
        assert np.count_nonzero(~mask) == count
        for output in range(2):  # a beginning of each trace
            gone = np.flatnonzero(~mask[:, output])
            assert set(gone) == set(order[output, : gone.size])


def test_a_gram_matrix_of_blocks():
    block, _ = layer(6, 1, seed=12)
    whole = gram([block])
    parts = gram(block[start : start + 7].astype(np.float32) for start in range(0, 60, 7))
    assert whole.rows == parts.rows == 60
    assert whole.matrix == pytest.approx(block.T @ block / 60)
    assert parts.matrix == pytest.approx(whole.matrix, rel=1e-5, abs=1e-5)
    assert whole.damped(0.1) == pytest.approx(damped(block, 0.1))


def test_inputs_that_depend_on_each_other_need_damping():
    block, weights = layer(5, 2, seed=13)
    block[:, 3] = 10 * block[:, 1]
    matrix = gram([block])
    with pytest.raises(NotPositiveDefinite) as caught:
        trace(matrix, weights, damping=0.0)
    assert abs(caught.value.smallest_eigenvalue) < 1e-10
    suggested = caught.value.suggested_damping
    assert trace(matrix, weights, damping=suggested).count == 10
    assert Gram(1e6 * matrix.matrix, 60).damped(suggested).shape == (5, 5)  # λ is relative


def test_bad_input():
    block, weights = layer(5, 2, seed=14)
    matrix = gram([block])
    with pytest.raises(ValueError, match="weights of 5 inputs"):
        trace(matrix, weights[:4])
    with pytest.raises(ValueError, match="masks of the shape"):
        trace(matrix, weights, alive=np.ones((2, 5), dtype=bool))
    with pytest.raises(ValueError, match="removed must be zero"):
        trace(matrix, weights, alive=np.zeros((5, 2), dtype=bool))
    with pytest.raises(ValueError, match="a mask of 5 inputs"):
        solve(matrix, weights, np.ones((5, 1), dtype=bool))
    with pytest.raises(ValueError, match="no inputs"):
        gram([])
    with pytest.raises(ValueError, match="no inputs"):
        GramSum(3).gram()
    with pytest.raises(ValueError, match="rows of 5"):
        gram([block, block[:, :4]])
    with pytest.raises(ValueError, match="finite"):
        gram([np.full((2, 2), np.inf)])
    with pytest.raises(ValueError, match="0 or more"):
        trace(matrix, weights, damping=-1.0)
