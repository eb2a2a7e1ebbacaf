"""Definitions found without reading, and parts of a text read as if the whole were."""

from __future__ import annotations

from graphc.diagnostics import Diagnostics, Source
from graphc.language import outline, parse, tree

TEXT = """\
# What stands above.

# The first.
def first(x) = x

# Not a head: def in a comment, and a name that begins like one.
layer second{units}(x) {
  define = x  # def inside
  return define
}
optimizer third{lr = 0.1}(g) {
  return g +
}
def fourth(x) = sum(
  x
)
  derivative 1
"""


def test_definitions_are_found_in_order_each_up_to_the_next() -> None:
    found = outline(Source("text", TEXT))
    assert list(found) == ["first", "second", "third", "fourth"]
    starts = [TEXT[start:].split()[:2] for start, _ in found.values()]
    assert [kind for kind, _ in starts] == ["def", "layer", "optimizer", "def"]
    ends = [end for _, end in found.values()]
    assert ends == [*(start for start, _ in list(found.values())[1:]), len(TEXT)]
    assert outline(Source("none", "x = 1\n")) == {}


def test_a_part_keeps_the_places_of_the_whole_text() -> None:
    source = Source("text", TEXT)
    bounds = outline(source)
    whole, parts = Diagnostics(), Diagnostics()
    expected = [each.span for each in parse(source, whole).statements]
    found = [
        statement
        for start, end in bounds.values()
        for statement in parse(source, parts, start=start, end=end).statements
    ]
    assert [each.span for each in found] == expected
    assert len(expected) == 4
    assert list(parts) == list(whole)
    assert [item.span.line for item in parts.errors if item.span] == [12]


def test_the_comment_above_a_part_is_its_documentation() -> None:
    source = Source("text", TEXT)
    start, end = outline(source)["first"]
    (first,) = parse(source, Diagnostics(), start=start, end=end).statements
    assert isinstance(first, tree.Definition)
    assert (first.doc, first.span.line) == ("The first.", 4)
