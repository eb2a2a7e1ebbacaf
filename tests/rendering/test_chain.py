"""Which graphs are chains of layers, and what the entries of a row are called."""

from __future__ import annotations

import pytest

import graphc
from graphc.passes import run_passes
from graphc.passes.cleanup import DeadCode
from graphc.passes.inline import Inline
from graphc.rendering.chain import find_chain
from graphc.rendering.entries import entry_names
from graphc.session.explaining import evaluated


def found(lines: str):
    """The chain of a model whose outputs are compared with zeros, and its graph."""
    text = f"model m\ninput x: real[n, 3]\n{lines}\nloss f = mean(z^2)\n"
    model = graphc.compile(text)
    program, _ = evaluated(model, ("loss", "output"))
    program = run_passes(program, (Inline(), DeadCode()))
    return find_chain(program.graph, program.roots.values(), model.spec.learned), program.graph


def test_layers_with_and_without_biases():
    chain, graph = found("param V: real[3, 4] = 1\nz = tanh(x @ V) |> dense{2} |> sigmoid")
    first, second = chain.layers
    assert (first.weight, first.bias, first.inputs, first.units) == ("V", "", 3, 4)
    assert (second.weight, second.bias) == ("z.dense1.W", "z.dense1.b")
    assert graph[chain.source].name == "x"


@pytest.mark.parametrize(
    "lines",
    [
        "h = x |> dense{3}\nz = (h + (h |> dense{3})) |> dense{2}",  # a skip
        "param W: real[3, 3] = 1\nz = (x @ W |> tanh) @ W",  # shared
        "param W: real[3, 2] = 1\nparam g: real[2] = 1\nz = g * (x @ W)",  # a gain is no bias
        "z = x |> dense{3} |> softmax |> dense{2}",  # not element by element
        "param a: real[3] = 1\nz = (a * x) |> dense{2}",  # the inputs are scaled by what is learned
    ],
)
def test_what_is_no_chain(lines):
    assert found(lines)[0] is None


def test_dropout_is_not_in_the_way():
    chain, _ = found("z = x |> dense{4} |> relu |> dropout{0.5} |> dense{2}")
    assert [layer.units for layer in chain.layers] == [4, 2]


def test_entries_of_joined_values():
    text = """
model m
input a: label{2}[n]
input b: real[n, 2]
z = concat{axis = 1}(one_hot(a), 2 * b) |> dense{1}
loss f = mean(z^2)
"""
    model = graphc.compile(text)
    program, _ = evaluated(model, ("loss",))
    program = run_passes(program, (Inline(), DeadCode()))
    graph = program.graph
    (joined,) = [node.id for node in graph if node.op.name == "concat"]
    assert entry_names(graph, joined) == ["a=0", "a=1", "b1", "b2"]
    assert entry_names(graph, joined, {"a": ("no", "yes")})[:2] == ["a=no", "a=yes"]
    (read,) = [node.id for node in graph if node.name == "b"]
    assert entry_names(graph, read) is None
