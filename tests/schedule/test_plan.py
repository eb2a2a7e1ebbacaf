"""Order, kinds of work, slots and lifetimes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "backends"))

import handmade
from handmade import Sheet, n, rule

from graphc.ir import Graph, Type, Workspace, symbol
from graphc.model.program import Program
from graphc.schedule import Plan, classify, ordered, plan, plan_update
from graphc.schedule.memory import Arena

KIND = Type("real", (n, 4))


def program(sheet: Sheet, roots: dict[tuple[str, str], Any]) -> Program:
    return Program(handmade.spec(), sheet.graph, {key: v.id for key, v in roots.items()})


def how_of(graph: Graph, *roots: Any) -> dict[str, str]:
    order = ordered(graph, [r.id for r in roots])
    how = classify(order)
    return {node.name: how[node.id] for node in order if node.name}


def test_kinds() -> None:
    s = Sheet()
    x, t = s.input("x", KIND), s.clock("t")
    two = s.named(s.builder.constant(2.0), "two")
    rows = s.named(s.size(), "rows")
    static = s.named(two / rows, "static")
    table = s.named(static.apply("broadcast", shape=(n, 4)), "table")
    rate = s.named(two * t, "rate")
    turned = s.named(x.apply("transpose", axes=(1, 0)), "turned")
    corner = s.named(s.builder.constant(((1.0, 2.0),)), "corner")
    draw = s.named(s.builder.op("draw_uniform", shape=(), place="p"), "draw")
    y = s.named(x * rate * table, "y")
    wide = s.named(t.apply("broadcast", shape=(3,)), "wide")
    assert how_of(s.graph, turned, y, corner, draw, wide) == {
        "x": "leaf",
        "t": "scalar",
        "two": "literal",
        "rows": "literal",
        "static": "static",
        "table": "static",
        "rate": "scalar",
        "turned": "view",
        "corner": "static",
        "draw": "compute",
        "y": "compute",
        "wide": "compute",
    }


def test_an_element_is_no_view() -> None:
    s = Sheet()
    x = s.input("x", Type("real", (4,)))
    element = s.named(x.apply("index", items=(1,)), "element")
    part = s.named(x.apply("index", items=((1, 3, None),)), "part")
    assert how_of(s.graph, element, part) == {"x": "leaf", "element": "compute", "part": "view"}


def test_forward_comes_before_backward() -> None:
    p = handmade.mlp((4, 3, 2)).training
    assert p is not None
    order = ordered(p.graph, (id for (role, _), id in p.roots.items() if role != "update"))
    backward = [node.origin.made_by == "differentiate" for node in order]
    assert backward == sorted(backward)
    seen: set[int] = set()
    for node in order:
        assert seen.issuperset(node.inputs)
        seen.add(node.id)


def check(result: Plan) -> None:
    """No array is written over while it is still needed, and roots keep theirs."""
    owner: dict[int, int] = {}
    written: dict[int, int] = {}
    contents: dict[int, object] = {}
    for step in result.steps:
        node = step.node
        owner[node.id] = owner[node.inputs[0]] if step.how == "view" else node.id
        for source in node.inputs:
            held = owner[source]
            if held in written:
                assert contents[written[held]] == held, (
                    f"%{source} is gone when %{node.id} reads it"
                )
        keeps = step.how == "static" and step.slot is not None
        if step.how == "compute" or keeps:
            assert step.slot is not None
            slot = result.slots[step.slot]
            assert (node.tensor.kind, node.tensor.size) in slot.residents
            assert not isinstance(contents.get(step.slot), Workspace)
            written[node.id] = step.slot
        types = tuple(result.graph[i].tensor for i in node.inputs)
        wanted = node.op.workspace(types, node.tensor) if step.how == "compute" else ()
        for workspace, place in zip(wanted, step.workspace, strict=True):
            reads = [contents.get(written[owner[i]]) for i in node.inputs if owner[i] in written]
            assert contents.get(place) not in reads or workspace.start is not None
            assert place != step.slot
            assert (workspace.type.kind, workspace.type.size) in result.slots[place].residents
            contents[place] = workspace if workspace.start is not None else None
        if step.how == "compute" or keeps:
            contents[step.slot] = node.id  # type: ignore[index]
    for workspace, place in result.filled.items():
        assert contents[place] == workspace
    for id in result.roots.values():
        held = owner[id]
        if held in written:
            assert contents[written[held]] == held


@pytest.mark.parametrize("sizes", [(4, 3), (5, 4, 3), (3, 3, 3, 3, 3)])
def test_lifetimes(sizes: tuple[int, ...]) -> None:
    p = handmade.mlp(sizes, dropout=0.5).training
    assert p is not None
    before = len(p.graph)
    result = plan(p, symbols=["n"])
    check(result)
    assert len(p.graph) == before
    targets = {slot.target for slot in result.slots if slot.target}
    assert targets == set(p.spec.learned)
    assert not result.finals


def test_memory_is_reused() -> None:
    s = Sheet()
    x = s.input("x", KIND)
    for _ in range(20):
        x = x.apply("tanh")
    total = x.apply("sum", axis=(0, 1))
    result = plan(program(s, {("objective", ""): total}), symbols=["n"])
    assert len(result.slots) == 2
    apart = plan(program(s, {("objective", ""): total}), symbols=["n"], reuse=False)
    assert len(apart.slots) == 21
    s = Sheet()
    x = s.input("x", Type("real", (4, 4)))
    for _ in range(20):
        x = x @ x
    result = plan(program(s, {("objective", ""): x}), symbols=[])
    assert len(result.slots) == 2


def test_arrays_of_other_sizes_share_a_slot() -> None:
    """The free slot that fits best is taken; the longest grows where none is long enough."""
    arena = Arena("f32", {"n": 10})
    long, short = arena.take(Type("real", (n, 8))), arena.take(Type("real", (n,)))
    arena.free(long)
    arena.free(short)
    assert arena.take(Type("bool", (n,))) == short
    assert arena.take(Type("real", (n, 9))) == long
    first, second = arena.slots()
    assert first.residents == (("real", 8 * n), ("real", 9 * n))
    assert (first.bytes("f64", {"n": 3}), second.bytes("f32", {"n": 3})) == (216, 12)
    with pytest.raises(ValueError, match="nothing gives the dimension n"):
        first.bytes("f32", {})


def test_a_view_keeps_its_memory_alive() -> None:
    s = Sheet()
    a = s.input("x", KIND).apply("exp")
    turned = a.apply("transpose", axes=(1, 0))
    b = a.apply("exp")
    product = turned @ b
    result = plan(program(s, {("objective", ""): product}), symbols=["n"])
    check(result)
    place = {step.node.id: step.slot for step in result.steps}
    assert place[a.id] == place[turned.id] != place[b.id]


def test_a_reshape_of_what_lies_out_of_order_is_a_copy() -> None:
    s = Sheet()
    turned = s.input("x", KIND).apply("exp").apply("transpose", axes=(1, 0))
    flat = turned.apply("reshape", shape=(4 * n,))
    straight = turned.apply("exp").apply("reshape", shape=(4 * n,))
    both = flat * straight
    how = plan(program(s, {("objective", ""): both}), symbols=["n"]).how
    assert (how[flat.id], how[straight.id], how[turned.id]) == ("compute", "view", "view")


def test_gradients_get_memory_of_their_own() -> None:
    s = Sheet()
    kind = Type("real", (3,))
    x = s.input("x", kind)
    y = x.apply("exp")
    column = y.apply("reshape", shape=(3,))
    zero = s.builder.zeros(kind)
    roots = {
        ("objective", ""): y.apply("sum", axis=(0,)),
        ("gradient", "leaf"): x,
        ("gradient", "first"): column,
        ("gradient", "second"): y,
        ("gradient", "zero"): zero,
        ("gradient", "number"): s.builder.constant(1.0),
        ("gradient", "scalar"): s.clock("t"),
    }
    result = plan(program(s, roots), symbols=[])
    slots = {slot.target: slot.id for slot in result.slots if slot.target}
    assert set(slots) == {name for role, name in roots if role == "gradient"}
    place = {step.node.id: step.slot for step in result.steps}
    for name, slot in slots.items():
        assert place[result.roots["gradient", name]] == slot
    assert result.roots["gradient", "first"] == column.id
    assert not result.finals


def test_the_update_happens_in_place() -> None:
    group = handmade.adam(("w",))
    result = plan_update(group.body, ("w", "g", "m", "v"), "f32")
    assert not result.finals
    assert [slot.target for slot in result.slots] == ["w", "g", "m", "v", "", ""]


def test_an_update_that_cannot_be_in_place_ends_with_copies() -> None:
    body = rule("w g m", lambda s, w, g, m: (w - m, w * m + g))
    result = plan_update(body, ("w", "g", "m"), "f32")
    names = {slot.id: slot.target for slot in result.slots}
    place = {step.node.id: names[step.slot] for step in result.steps if step.slot is not None}
    copied = {names[slot] for _, slot in result.finals}
    for name in ("w", "m"):
        assert name in copied or place[result.roots["next", name]] == name


def test_unknown_dimensions_are_an_error() -> None:
    s = Sheet()
    x = s.input("x", Type("real", (symbol("k"),))).apply("exp")
    with pytest.raises(ValueError, match="nothing gives the dimension k"):
        plan(program(s, {("objective", ""): x}), symbols=["n"])
