"""What a target cannot write is an error of the text: which operator, and where the model needs it.

No target lacks anything that a program here could show, so one is made up for these tests.
"""

from __future__ import annotations

import pytest
from toy_target import toy_target

import graphc
from graphc.backends.targets import LackingError
from graphc.session.targets import lacking_errors

TEXT = """model m
input  x: real[n]
target y: real[n]
param  a: real = 1
guess = a * abs(x)
loss  error = mean((guess - y)^2)
train {
  batch     = 4
  optimizer = sgd{0.1}
}
"""


@pytest.mark.parametrize("stage", ["source", "module"])
def test_an_operator_that_a_target_lacks_is_shown_where_it_is_needed(monkeypatch, stage):
    toy_target(monkeypatch).lacks = "abs"
    with pytest.raises(graphc.CompileError) as found:
        getattr(graphc.compile(TEXT, target="toy"), stage)
    assert str(found.value) == (
        "error[E701]: the target toy has no operator abs\n"
        "  --> <text>:5:13\n"
        "   |\n"
        " 5 | guess = a * abs(x)\n"
        "   |             ^^^^^^ needed here\n"
        "   = help: compile it for another target: --target numpy\n"
        "\n"
        "1 error"
    )
    assert graphc.compile(TEXT).source, "another target is not asked"


def test_one_that_the_prelude_needs_is_shown_at_the_line_of_the_model(monkeypatch):
    toy_target(monkeypatch).lacks = "erf"
    with pytest.raises(graphc.CompileError) as found:
        _ = graphc.compile(TEXT.replace("abs(x)", "gelu(x)"), target="toy").source
    assert " 5 | guess = a * gelu(x)\n   |             ^^^^ needed here\n" in str(found.value)


def test_what_is_lacking_may_be_more_than_the_operator_and_have_no_place():
    with pytest.raises(graphc.CompileError) as found, lacking_errors():
        raise LackingError("sort", "toy", why="arrays of more than 2**31 elements")
    assert str(found.value) == (
        "error[E701]: the target toy has no operator sort\n"
        "  = note: arrays of more than 2**31 elements\n"
        "  = help: compile it for another target: --target numpy\n"
        "\n"
        "1 error"
    )
