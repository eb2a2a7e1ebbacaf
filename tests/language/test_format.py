"""What is formatted parses to the same tree, and formatting it again changes nothing."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphc.diagnostics import Diagnostics, Source, Span
from graphc.diagnostics.render import render_text
from graphc.language import format_expr, format_file, parse, tree

NOWHERE = Source("nowhere", "")
SPAN = Span(NOWHERE, 0, 0)


def read(text: str) -> tree.File:
    found = Diagnostics()
    file = parse(Source("test.gc", text), found)
    assert not found.items, render_text(found) + "\n" + text
    return file


def shape(node: Any) -> Any:
    """What a tree says, without where it was read."""
    if isinstance(node, (Span, Source)):
        return None
    if is_dataclass(node):
        parts = [(item.name, shape(getattr(node, item.name))) for item in fields(node)]
        return (type(node).__name__, *parts)
    if isinstance(node, tuple):
        return tuple(shape(item) for item in node)
    return (type(node).__name__, node)


# ----------------------------------------------------------------------------------- strategies

names = st.sampled_from(["x", "loss", "data", "on", "lambda", "μ", "h1", "in", "derivative", "f"])
idents = st.builds(tree.Ident, st.just(SPAN), names)
numbers = st.builds(
    tree.Number,
    st.just(SPAN),
    st.integers(0, 2**63 - 1) | st.floats(0, 1e300, allow_nan=False, allow_infinity=False),
)
sizes = st.builds(
    tree.Number, st.just(SPAN), st.integers(0, 999).map(lambda n: n * 1024**2), st.just("MiB")
)
texts = st.builds(
    tree.Text, st.just(SPAN), st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)
)
leaves = (
    numbers
    | sizes
    | texts
    | st.builds(tree.Bool, st.just(SPAN), st.booleans())
    | st.builds(tree.Name, st.just(SPAN), names, st.booleans())
)
BINARY = ["+", "-", "*", "/", "//", "@", "^", "and", "or", "==", "!=", "<", "<=", ">", ">="]


def arguments(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    positional = st.lists(st.builds(tree.Argument, st.just(SPAN), values), max_size=2)
    named = st.lists(st.builds(tree.Argument, st.just(SPAN), values, names), max_size=2)
    return st.tuples(positional, named).map(lambda both: (*both[0], *both[1]))


def applies(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = arguments(values)
    heads = st.tuples(some, st.none()) | st.tuples(st.none(), some) | st.tuples(some, some)
    return st.tuples(names, heads).map(
        lambda both: tree.Apply(SPAN, both[0], SPAN, both[1][0], both[1][1])
    )


def composites(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    here = st.just(SPAN)
    maybe = st.none() | values
    slices = st.builds(tree.Slice, here, maybe, maybe, maybe)
    items = st.lists(values | slices | st.builds(tree.Ellipsis_, here), min_size=1, max_size=3)
    members = st.builds(tree.Member, here, values, names)
    plain_names = st.builds(tree.Name, here, names)
    return (
        st.builds(tree.ListExpr, here, st.lists(values, max_size=3).map(tuple))
        | st.builds(tree.Unary, here, st.sampled_from(["-", "not"]), values)
        | st.builds(tree.Binary, here, st.sampled_from(BINARY), values, values, here)
        | st.builds(tree.Conditional, here, values, values, values)
        | applies(values)
        | st.builds(tree.Pipe, here, values, plain_names | applies(values) | members)
        | st.builds(tree.Index, here, values, items.map(tuple))
        | members
    )


# Deferred strategies keep the descriptions of what is built from them short.
exprs = st.deferred(lambda: st.recursive(leaves, composites, max_leaves=12))
types = st.deferred(
    lambda: st.builds(
        tree.TypeExpr,
        st.just(SPAN),
        st.sampled_from(["real", "int", "bool", "label"]),
        st.none() | exprs,
        st.none() | st.lists(exprs, min_size=1, max_size=2).map(tuple),
    )
)
selectors = st.builds(
    tree.Selector, st.just(SPAN), st.sampled_from(["weights", "h.*", "*.W", "b[1].h", "b[*].h.W"])
)
placed = st.builds(
    tree.Placed, st.just(SPAN), exprs, st.sampled_from(["on", "after", "before"]), selectors
)
docs = st.lists(st.text("ab #é", max_size=4).map(str.rstrip), min_size=1, max_size=3).map("\n".join)


def statements() -> st.SearchStrategy[Any]:
    here = st.just(SPAN)
    targets = st.builds(tree.Ident, here, names, st.booleans())
    simple = (
        st.builds(tree.Assign, here, st.lists(targets, min_size=1, max_size=2).map(tuple), exprs)
        | st.builds(tree.Param, here, idents, types, exprs, st.booleans())
        | st.builds(tree.State, here, idents, st.none() | types, exprs)
        | st.builds(tree.Report, here, st.sampled_from(["loss", "metric", "output"]), idents, exprs)
        | st.builds(tree.Minimize, here, exprs)
    )

    def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        body = st.lists(inner, max_size=3).map(tuple)
        return st.builds(tree.If, here, exprs, body, body) | st.builds(
            tree.Repeat, here, idents, exprs, exprs, body
        )

    return st.recursive(st.deferred(lambda: simple), nested, max_leaves=4)


def top_statements() -> st.SearchStrategy[Any]:
    here = st.just(SPAN)
    entries = st.builds(tree.Entry, here, idents, exprs | placed) | st.builds(
        tree.Rule, here, placed
    )
    returns = st.builds(tree.Return, here, st.lists(exprs, min_size=1, max_size=2).map(tuple))
    bodies = st.tuples(st.lists(statements(), max_size=2), returns).map(
        lambda both: (*both[0], both[1])
    )
    attributes = st.lists(st.builds(tree.AttributeDecl, idents, st.none() | exprs), max_size=2)
    parameters = st.lists(idents, max_size=2).map(tuple)
    head = (idents, attributes.map(tuple), parameters, bodies)
    return (
        statements()
        | st.builds(tree.ModelStatement, here, idents)
        | st.builds(tree.Use, here, texts)
        | st.builds(tree.Hyper, here, idents, exprs, st.text("ab \n\"'", max_size=4))
        | st.builds(
            tree.Data, here, st.sampled_from(["input", "target"]), idents, types, st.none() | exprs
        )
        | st.builds(tree.Definition, here, st.just("def"), *head, st.none() | exprs, docs)
        | st.builds(tree.Definition, here, st.sampled_from(["layer", "optimizer"]), *head)
        | st.builds(
            tree.Section,
            here,
            st.sampled_from(["data", "train", "regularize", "prune"]),
            here,
            st.lists(entries, max_size=3).map(tuple),
        )
    )


# ---------------------------------------------------------------------------------- properties


@settings(max_examples=300, deadline=None)
@given(exprs)
def test_an_expression_survives(expr: tree.Expr) -> None:
    statement = read(f"y = {format_expr(expr)}\n").statements[0]
    assert isinstance(statement, tree.Assign)
    assert shape(statement.value) == shape(expr)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.deferred(top_statements), max_size=3))
def test_a_file_survives(items: list[Any]) -> None:
    file = tree.File(NOWHERE, tuple(items))
    text = format_file(file)
    again = read(text)
    assert shape(again) == shape(file)
    assert format_file(again) == text


# ------------------------------------------------------------------------------------- examples


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("((a)+((b*c)))", "a + b * c"),
        ("(a+b)*c-(d-e)", "(a + b) * c - (d - e)"),
        ("(-x)^2", "(-x)^2"),
        ("-(x^2)", "-x^2"),
        ("2^(-1)", "2^-1"),
        ("(a^b)^c", "(a^b)^c"),
        ("a^(b^c)", "a^b^c"),
        ("(a if b else c)+1", "(a if b else c) + 1"),
        ("f{ a=1,b }( x )[ 0 , : ]", "f{a = 1, b}(x)[0, :]"),
        ("(1e-3)*80%+200MB", "1e-3 * 80% + 200 MB"),
        ("(x|>f)|>g", "x |> f |> g"),
        ("[a,[ b ],]", "[a, [b]]"),
        ("(a<b)==c", "(a < b) == c"),
        ("not(a and b)", "not (a and b)"),
    ],
)
def test_expressions(text: str, formatted: str) -> None:
    text = text.replace("f{ a=1,b }", "f{ b, a=1 }")
    formatted = formatted.replace("f{a = 1, b}", "f{b, a = 1}")
    statement = read(f"y={text}\n").statements[0]
    assert isinstance(statement, tree.Assign)
    assert format_expr(statement.value) == formatted


MESSY = """\
# of the file


# Of f.
def f( x )=x  # behind
     # between
     derivative 1   # last

if a {   # at the brace

  # first
  y=1


  # last of then
} else if b {
} else {
  y = ( 1+ # inside
        2 )
  # last of else
}
h = x   # one
  |> dense{ 64 }
  |> relu
train {
epochs=3
}
#end
"""

NEAT = """\
# of the file

# Of f.
def f(x) = x  # behind
  derivative 1  # between  # last

if a {  # at the brace
  # first
  y = 1

  # last of then
} else if b {
} else {
  y = 1 + 2  # inside
  # last of else
}
h = x
  |> dense{64}
  |> relu  # one
train {
  epochs = 3
}
#end
"""


def test_comments_and_blank_lines_stay() -> None:
    assert format_file(read(MESSY)) == NEAT
    assert format_file(read(NEAT)) == NEAT
    assert shape(read(NEAT)) == shape(read(MESSY))


def test_a_long_chain_takes_a_line_a_link() -> None:
    text = "h = x" + " |> dense{64}" * 10 + "\n"
    formatted = format_file(read(text))
    assert formatted == "h = x\n" + "  |> dense{64}\n" * 10
    assert shape(read(formatted)) == shape(read(text))


def test_the_longest_chains_are_formatted() -> None:
    text = "y = " + " + ".join(["a"] * 1000) + "\n"
    assert format_file(read(text)) == text
    assert format_file(read("")) == ""
