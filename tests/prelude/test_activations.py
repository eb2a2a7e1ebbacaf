"""Every activation, as `activations.gc` lists them: a new line there is tested with no other edit.

Its derivatives are tested with those of all definitions, and against PyTorch in `tests/peers`.
"""

from __future__ import annotations

import numpy as np
import pytest
from prelude_uses import names

import graphc
from graphc.diagnostics import Diagnostics, Source
from graphc.ir import LATEX, UNICODE, Formula, Graph, Notation
from graphc.model import elaborate
from graphc.ops import evaluate
from graphc.passes import lower

ACTIVATIONS = names("def", file="activations")
FAR = [-1e4, -100.0, -1.0, -1e-4, 0.0, 1e-4, 1.0, 100.0, 1e4]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value_and_gradient_are_finite_far_out_in_f32(name: str) -> None:
    text = f"model m\nparam x: real[{len(FAR)}] = {FAR}\nloss f = sum({name}(x))\n"
    module = graphc.compile(text, precision="f32").module
    value, gradients = module.loss_and_gradients(module.init(0), {})
    assert np.isfinite(value)
    assert gradients["x"].dtype == np.float32
    assert np.isfinite(gradients["x"]).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_second_derivatives_are_finite_far_out(name: str) -> None:
    far = [-800.0, -2.0, -0.5, 0.0, 0.5, 2.0, 800.0]
    text = f"model m\nparam x: real[7] = {far}\nloss f = sum({name}(x)^2)\n"
    program = lower(elaborate(Source("m.gc", text), Diagnostics()), fuse=False).evaluation
    assert program is not None
    results = evaluate(program.graph, program.roots.values(), {"x": np.array(far)})
    assert all(np.isfinite(result).all() for result in results)


def formula(graph: Graph, id: int, notation: Notation) -> Formula:
    """The formula of a node, with those of its operands written into it."""
    node = graph[id]
    return node.op.formula(notation, *(formula(graph, i, notation) for i in node.inputs))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_formula(name: str) -> None:
    text = f"model m\ninput x: real[4]\noutput y = {name}(x)\n"
    program = elaborate(Source("m.gc", text), Diagnostics())
    (call,) = (node.op for node in program.graph if node.op.name == "call")
    operand = call.body.operands[0]  # type: ignore[attr-defined]
    for notation in (UNICODE, LATEX):
        written = formula(call.body.graph, call.body.results[0], notation)  # type: ignore[attr-defined]
        letter = formula(call.body.graph, operand, notation)  # type: ignore[attr-defined]
        assert letter.text in written.text
        assert written.text != letter.text


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_model_with_it_trains(name: str) -> None:
    text = f"""model m
input x: real[n, 6]
target y: real[n]
h = x |> dense{{8}} |> {name}
out = sum{{axis = 1}}(reshape{{[dim{{0}}(x), -1]}}(h) |> dense{{3}})
loss f = squared_error(out, y)
train {{ optimizer = sgd{{1e-3}} }}
"""
    module = graphc.compile(text, precision="f32").module
    random = np.random.default_rng(0)
    batch = {"x": random.normal(size=(8, 6)), "y": random.normal(size=8)}
    trainer = module.Trainer(module.init(0), 8)
    first, second = trainer.step(batch), trainer.step(batch)
    assert np.isfinite(second)
    assert second < first
