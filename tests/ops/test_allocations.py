"""What NumPy allocates while an operator writes into an array: no more than the operator says."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from allocations import counted_allocations
from in_place import DTYPES, in_place, plain
from test_registry import SAMPLES, arrays

from graphc.ir import OPERATORS, Sample, Type, symbol
from graphc.ops.arithmetic import Divide, Multiply
from graphc.ops.gathering import Gather, GatherAdjoint, Take, TakeAdjoint
from graphc.ops.labels import Pick, PickAdjoint
from graphc.ops.leaves import Positions
from graphc.ops.logic import Where
from graphc.ops.random import Bernoulli, Draw, Normal, Orthogonal, Uniform
from graphc.ops.reductions import Argmax, Sum
from graphc.ops.sorting import Argsort, Ranks

HIDDEN = {
    "draw_orthogonal": "QR factors come from LAPACK in arrays of their own",
    "einsum": "np.einsum contracts pair by pair; only three operands or more are left to it",
    "gather": "np.take_along_axis takes no array for its result",
    "gather_adjoint": "positions in a flat array, from those along each axis",
    "argsort": "np.argsort takes no array for its result",
    "ranks": "a helper function in plain NumPy, for metrics",
}
"""Operators for which NumPy makes arrays that no plan can give it, and why."""

REAL = Type("real", (40, 50))
LABEL = Type("label", (40,), 50)


def mixed(*shapes: tuple[int, ...]) -> list[Sample]:
    """A number times a truth value, and integers divided, of each shape."""
    kinds = [(Multiply(), "real", "bool"), (Divide(), "int", "int"), (Multiply(), "bool", "int")]
    return [
        Sample(op, (Type(a, shape), Type(b, shape)), 1.0, 2.0)
        for shape in shapes
        for op, a, b in kinds
    ]


LARGER = [
    *mixed((), (7,), (40, 50), (1, 50)),
    Sample(Multiply(), (REAL, Type("bool", (50,)))),
    Sample(Sum((0,)), (REAL,)),
    Sample(Sum((1,), True), (REAL,)),
    Sample(Sum((0,), True), (Type("real", (50,)),)),
    Sample(Sum((0, 1)), (REAL,)),
    Sample(Sum((0,)), (Type("bool", (40, 50)),)),
    Sample(Argmax(0), (REAL,)),
    Sample(Argmax(1), (REAL,)),
    Sample(Where(), (Type("bool", (40, 50)), REAL, REAL)),
    Sample(Where(), (Type("bool", (40, 1)), REAL, Type("real"))),
    Sample(Where(), (Type("bool", (50,)), REAL, REAL)),
    Sample(Where(), (Type("bool", (40, 50)), Type("bool", (40, 50)), REAL)),
    Sample(Where(), (Type("bool"), Type("real"), Type("real"))),
    Sample(Pick(), (REAL, LABEL)),
    Sample(PickAdjoint(50), (Type("real", (40,)), LABEL)),
    Sample(Take(), (REAL, Type("int", (30,)))),
    Sample(TakeAdjoint(40), (Type("real", (30, 50)), Type("int", (30,)))),
    Sample(Gather(1), (REAL, Type("int", (40, 70)))),
    Sample(GatherAdjoint(1, 50), (Type("real", (40, 70)), Type("int", (40, 70)))),
    Sample(Argsort(0), (REAL,)),
    Sample(Argsort(1, True), (REAL,)),
    Sample(Ranks(0), (REAL,)),
    Sample(Ranks(1), (Type("int", (40, 50)),)),
    Sample(Positions(50), ()),
    Sample(Positions(0), ()),
    Sample(Uniform((40, 50), "u"), ()),
    Sample(Normal((40, 50), "n"), ()),
    Sample(Bernoulli((40, 50), "b"), (Type("real"),), 0.1, 0.9),
    Sample(Orthogonal((40, 50), "o"), ()),
]
EVERY = [
    *SAMPLES,
    *(pytest.param(sample, id=f"larger-{i}") for i, sample in enumerate(LARGER)),
]


def operands(sample: Sample, real: type) -> list[object]:
    """As a trainer gives them: numbers to a draw, otherwise arrays, of no dimension too."""
    values = arrays(sample)
    if isinstance(sample.operator, Draw):
        return [float(value) for value in values]
    kinds = [DTYPES.get(type.kind, real) for type in sample.types]
    return [np.asarray(value, kind) for value, kind in zip(values, kinds, strict=True)]


def size(type: Type, real: type) -> int:
    return int(np.prod(type.shape)) * np.dtype(DTYPES.get(type.kind, real)).itemsize


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("sample", EVERY)
def test_no_more_is_allocated_than_the_operator_says(sample: Sample, real: type):
    result = sample.operator.infer(*sample.types)
    out = np.empty(result.shape, DTYPES.get(result.kind, real))
    run = in_place(sample, operands(sample, real), out, real)
    run()
    with counted_allocations() as found:
        run()
    hidden = sample.operator.hidden(sample.types, result)
    assert found.peak <= sum(size(type, real) for type in hidden)


@pytest.mark.parametrize("sample", LARGER)
def test_larger_arrays_are_written_right(sample: Sample):
    values = operands(sample, np.float64)
    expected = plain(sample, values)
    out = np.empty(expected.shape, expected.dtype)
    run = in_place(sample, values, out)
    for _ in range(2):
        np.testing.assert_allclose(run(), expected, rtol=1e-13)


def test_few_operators_need_arrays_that_no_plan_can_give():
    """Operands of another kind than a ufunc works on, with one axis or none, aside."""
    samples = [p.values[0] for p in EVERY]
    needing = {
        sample.operator.name
        for sample in samples
        if not sample.operator.elementwise
        and sample.operator.hidden(sample.types, sample.operator.infer(*sample.types))
    }
    assert needing == set(HIDDEN)


def test_what_a_ufunc_converts_is_found():
    """Not an empty test: NumPy does convert a small operand of another kind in one piece."""
    sample = mixed((7,))[0]
    run = in_place(sample, operands(sample, np.float64), np.empty(7))
    run()
    with counted_allocations() as found:
        run()
    assert found.peak == 7 * 8


def test_an_operand_of_one_kind_is_not_converted():
    multiply = OPERATORS["multiply"]()
    label, whole = Type("label", (3,), 2), Type("int", (3,))
    assert OPERATORS["equal"]().hidden((label, whole), Type("bool", (3,))) == ()
    real = Type("real", (symbol("n"),))
    assert multiply.hidden((real, Type("bool", real.shape)), real) == (real,)


# ------------------------------------------------------------------------------- the counter


def test_arrays_are_counted():
    before = np.ones(1000)
    with counted_allocations() as found:
        first = np.empty(100)
        assert (found.count, found.bytes, found.peak) == (1, 800, 800)
        second = np.zeros((10, 10), np.float32)
        assert (found.count, found.bytes, found.peak) == (2, 1200, 1200)
        del first, before
        assert (found.count, found.bytes, found.peak) == (2, 400, 1200)
        second.resize((20, 10))
        assert (found.count, found.bytes, found.peak) == (3, 800, 1200)
    np.empty(100)
    assert found.count == 3
    del second
    assert found.bytes == 0


def test_an_error_ends_the_counting():
    with pytest.raises(ZeroDivisionError), counted_allocations() as found:
        1 / 0  # noqa: B018
    np.empty(100)
    assert found.count == 0


def test_tracemalloc_counts_the_same():
    """NumPy tells tracemalloc of the data of arrays too, in a domain of its own."""
    domain = np.lib.tracemalloc_domain
    only_arrays = tracemalloc.DomainFilter(inclusive=True, domain=domain)
    tracemalloc.start()
    try:
        with counted_allocations() as found:
            kept = [np.empty(n) for n in (1, 10, 100)] + [np.arange(7)[::2].copy()]
            snapshot = tracemalloc.take_snapshot().filter_traces([only_arrays])
            traced = sum(trace.size for trace in snapshot.traces)
            assert traced == found.bytes == (1 + 10 + 100 + 4) * 8
        assert len(kept) == 4
    finally:
        tracemalloc.stop()
