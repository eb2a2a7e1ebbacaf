"""Dimensions, types, graph, verifier and text form."""

from __future__ import annotations

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphc.ir import (
    Builder,
    Dim,
    Graph,
    Origin,
    Type,
    VerificationError,
    broadcast_shapes,
    divide_exactly,
    parse_graph,
    print_graph,
    symbol,
    verify,
)
from graphc.ir.dims import dim_from_text, dim_text
from graphc.ops.functions import Exp
from graphc.ops.leaves import Input

N, M = symbol("n"), symbol("m")

sizes = st.recursive(
    st.one_of(st.integers(0, 9), st.sampled_from([N, M])),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
    ),
    max_leaves=6,
)


def number(size, n: int, m: int) -> int:
    return size if isinstance(size, int) else size.bind({"n": n, "m": m})


@given(sizes, sizes, st.integers(1, 5), st.integers(1, 5))
def test_arithmetic_of_dimensions_is_that_of_their_values(a, b, n, m):
    assert number(a + b, n, m) == number(a, n, m) + number(b, n, m)
    assert number(a * b, n, m) == number(a, n, m) * number(b, n, m)
    assert a + b == b + a
    assert a * b == b * a
    assert (a + b) - b == a


@given(sizes)
def test_text_of_a_dimension_reads_back(size):
    assert dim_from_text(dim_text(size)) == size


@given(sizes, sizes)
def test_exact_division_undoes_a_product(a, b):
    if b in (0,) or (isinstance(b, Dim) and len(b.terms) > 1):
        return
    assert divide_exactly(a * b, b) == a


def test_division_that_is_not_exact():
    assert divide_exactly(7, 2) is None
    assert divide_exactly(N, 2) is None
    assert divide_exactly(N, M) is None
    assert divide_exactly(6 * N, 2 * N) == 3


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (((2, 3), (3,)), (2, 3)),
        (((2, 1), (1, 3)), (2, 3)),
        (((N, 3), (1, 3)), (N, 3)),
        (((N,), (M,)), None),
        (((2,), (3,)), None),
        (((), (N,)), (N,)),
    ],
)
def test_broadcasting(shapes, expected):
    assert broadcast_shapes(*shapes) == expected


def leaf(builder: Builder, name: str = "x"):
    return builder.place(Input(name), (), Type("real", (2, 3)), name)


def test_a_square_has_two_edges():
    builder = Builder(Graph())
    x = leaf(builder)
    y = x * x
    assert set(builder.graph.networkx.edges(keys=True)) == {(x.id, y.id, 0), (x.id, y.id, 1)}
    assert builder.graph.users(x.id) == [y.id]
    assert builder.graph.user_count(x.id) == 2


def test_order_is_by_id_among_the_ready():
    builder = Builder(Graph())
    x, z = leaf(builder), leaf(builder, "z")
    a, b = z.apply("exp"), x.apply("exp")
    builder.graph.set_inputs(a.id, (b.id,))
    assert [node.id for node in builder.graph.topological()] == [x.id, z.id, b.id, a.id]


@given(st.data())
def test_users_and_order_are_those_of_networkx_after_any_rewrites(data):
    graph = Graph()
    for id in range(data.draw(st.integers(2, 12))):
        inputs = data.draw(st.lists(st.integers(0, id - 1), max_size=3)) if id else []
        graph.add(Exp(), tuple(inputs), Type("real"), Origin())
    for _ in range(data.draw(st.integers(0, 6))):
        old = data.draw(st.sampled_from([node.id for node in graph]))
        above = reached_from(graph, old)
        match data.draw(st.sampled_from(["replace", "rewire", "remove", "keep", "copy"])):
            case "replace":
                new = data.draw(st.sampled_from([node.id for node in graph]))
                if new not in above:
                    graph.replace_uses(old, new)
            case "rewire":
                free = [node.id for node in graph if node.id not in above]
                inputs = data.draw(st.lists(st.sampled_from(free), max_size=3)) if free else []
                graph.set_inputs(old, tuple(inputs))
            case "remove":
                if not graph.user_count(old) and len(graph) > 1:
                    graph.remove(old)
            case "keep":
                graph.topological()
                graph.keep_only(graph.ancestors([old]))
            case "copy":
                graph = graph.copy()
        expected = graph.networkx
        order = [node.id for node in graph.topological()]
        assert order == list(networkx.lexicographical_topological_sort(expected))
        for id in order:
            assert graph.users(id) == sorted(expected.successors(id))
            assert graph.user_count(id) == expected.out_degree(id)
            assert all(graph.slots(id, u) == expected.number_of_edges(id, u) for u in order)


def reached_from(graph: Graph, id: int) -> set[int]:
    """The node and everything that depends on it."""
    return {id, *networkx.descendants(graph.networkx, id)}


def test_a_copy_is_independent():
    builder = Builder(Graph())
    y = leaf(builder).apply("exp")
    other = builder.graph.copy()
    other.replace_uses(y.id, 0)
    other.remove(y.id)
    assert y.id in builder.graph
    assert builder.graph.users(0) == [y.id]
    assert len(other) == 1


def test_removing_what_is_read_is_refused():
    builder = Builder(Graph())
    x = leaf(builder)
    x.apply("exp")
    with pytest.raises(ValueError, match="still read"):
        builder.graph.remove(x.id)


def test_the_verifier_finds_a_wrong_type():
    builder = Builder(Graph())
    x = leaf(builder)
    builder.graph.add(Exp(), (x.id,), Type("real", (3, 2)), Origin())
    with pytest.raises(VerificationError, match="type rule gives"):
        verify(builder.graph)


def test_the_verifier_finds_a_cycle_and_a_missing_root():
    builder = Builder(Graph())
    a = leaf(builder).apply("exp")
    b = a.apply("exp")
    builder.graph.set_inputs(a.id, (b.id,))
    with pytest.raises(VerificationError, match="cycle"):
        verify(builder.graph)
    with pytest.raises(VerificationError, match="root 99"):
        verify(Graph(), [99])


@pytest.mark.parametrize(
    ("users", "message"),
    [({}, "no user of"), ({1: 2}, "no user of"), ({1: 1, 0: 1}, "do not read")],
)
def test_the_verifier_finds_users_that_are_not_those_of_the_inputs(users, message):
    builder = Builder(Graph())
    leaf(builder).apply("exp")
    builder.graph._users[0] = users
    with pytest.raises(VerificationError, match=message):
        verify(builder.graph)


def test_the_verifier_looks_again_at_what_changed():
    builder = Builder(Graph())
    x = leaf(builder)
    y = x.apply("exp")
    verify(builder.graph)
    small = builder.constant(1.0)
    builder.graph.set_inputs(y.id, (small.id,))
    with pytest.raises(VerificationError):
        verify(builder.graph)


def test_text_form_reads_back():
    builder = Builder(Graph())
    x = builder.place(Input("x"), (), Type("real", (N, 3)), "x")
    y = builder.place(Input("y"), (), Type("label", (N,), 3), "y")
    picked = x.apply("pick", y).apply("sum", axis=(0,)) * 2.0
    flat = x.apply("reshape", shape=(3 * N,))
    text = print_graph(builder.graph, {("loss", "f"): picked.id, ("output", "flat"): flat.id})
    graph, roots = parse_graph(text)
    assert print_graph(graph, roots) == text
    assert set(roots) == {("loss", "f"), ("output", "flat")}


@pytest.mark.parametrize("text", ["nonsense", "%0 = exp(%0", "body x"])
def test_broken_text_form_is_an_error(text: str):
    with pytest.raises(ValueError, match="not a"):
        parse_graph(text)
