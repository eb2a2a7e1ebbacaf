"""Optimizers' rules as kernels: over the arrays themselves, as the reference evaluator has them."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_runs import host_module, source_of
from nvrtc import compiled

import graphc
from graphc.backends.kernels import Kernel, print_update
from graphc.ir import Group, NoKernel
from graphc.ops import evaluate
from graphc.ops.cumulative import CumSum
from graphc.ops.leaves import Clock
from graphc.schedule import UpdatePlan, plan_training, update_groups

MODELS = Path(__file__).resolve().parents[3] / "models"
MODEL = """model m
%s
input x: real[n, 4]
target y: real[n, 2]
z = x |> dense{3} |> dense{2}
loss se = squared_error(z, y)
%s
train { optimizer = %s }
"""
SWAP = """optimizer swap{}(w, g) {
  state a = 0
  state b = 1
  a' = b
  b' = a
  w' = g
}"""
NOTHING = "optimizer nothing{lr = 0.5}(w, g) {\n  state a = 0\n  a' = lr\n  w' = w\n}"
RULES = {
    "sgd": ("", "", "sgd{lr = 0.1}"),
    "momentum": ("", "regularize { l2{1e-2} on weights }", "momentum{lr = 0.1}"),
    "adam": ("", "", "adam{lr = 1e-2 * cosine(epoch / epochs)}"),
    "adam_with_decay": ("", "regularize { l2{1e-2} on weights }", "adam{}"),
    "rmsprop": ("", "", "rmsprop{}"),
    "swap": (SWAP, "", "swap{}"),
    "nothing": (NOTHING, "", "nothing{}"),
}
COUNT = 37


def update_of(name: str) -> UpdatePlan:
    model = graphc.compile(MODEL % RULES[name])
    training = model.generated.programs.training
    assert training is not None
    (update,) = plan_training(training, symbols=["n"]).updates
    return update


def kernel_of(update: UpdatePlan, name: str) -> Kernel:
    names = {label: label for label in update.labels}
    return print_update(update.body, update.labels, names=names, name=name)


@functools.cache
def everything() -> tuple[dict[str, UpdatePlan], dict[str, Kernel]]:
    """All rules, and their kernels."""
    updates = {name: update_of(name) for name in RULES}
    return updates, {name: kernel_of(update, name) for name, update in updates.items()}


def run(
    kernel: Kernel, update: UpdatePlan, real: Any, trouble: int = -1, host: Any = None
) -> tuple[Any, Any]:
    """The arrays after the kernel, by the operands' ids, and what they should be."""
    rng, body = np.random.default_rng(0), update.body
    before = {id: rng.uniform(0.1, 1, COUNT).astype(real) for id in body.operands}
    clocks = {node.op.which: 3.0 for node in body.graph if isinstance(node.op, Clock)}
    clocks |= {"epochs": 8.0} if "epochs" in clocks else {}
    numbers = evaluate(body.graph, kernel.main.numbers, clocks)
    arrays = {id: array.copy() for id, array in before.items()}
    args = [arrays[id] for id in (*kernel.main.inputs, *kernel.main.outputs)]
    args += [float(number) for number in numbers]
    args += [COUNT for _ in kernel.main.sizes]
    host = host or host_module([kernel], real)
    host.get(kernel.main.name)((3,), (64,), [*args, np.array([trouble, 0])])
    results = evaluate(
        body.graph, body.results, clocks, operands=before, dims={"size": COUNT}, real=real
    )
    count = len(body.results) + 1
    replaced = (body.operands[0], *body.operands[2:count])
    expected = before | dict(zip(replaced, results, strict=True))
    if trouble >= 0:
        expected = before
    return arrays, expected


@pytest.mark.parametrize("real", [np.float64, np.float32], ids=["f64", "f32"])
def test_the_arrays_are_updated_in_place(real: Any):
    updates, kernels = everything()
    host, few = host_module([*kernels.values()], real), 8 * float(np.finfo(real).eps)
    for name, update in updates.items():
        arrays, expected = run(kernels[name], update, real, host=host)
        for id, array in arrays.items():
            whole = np.broadcast_to(expected[id], array.shape)
            np.testing.assert_allclose(array, whole, rtol=few, err_msg=name)
        assert kernels[name].elements == update.body.graph[update.body.operands[0]].tensor.size


def test_nothing_is_done_after_trouble():
    updates, kernels = everything()
    arrays, expected = run(kernels["adam"], updates["adam"], np.float64, trouble=0)
    for id, array in arrays.items():
        np.testing.assert_array_equal(array, expected[id])


def test_cuda_compiles_every_rule():
    assert compiled(source_of([*everything()[1].values()]), "sm_80", "float")


def test_an_order_of_writing_that_is_wrong_is_found():
    """Two states that change places: each is read before either is written."""
    update, kernel = (part["swap"] for part in everything())
    lines = kernel.source.splitlines()
    early = next(line for line in lines if "const real b_next" in line)
    lines.remove(early)
    late = next(i for i, line in enumerate(lines) if line.strip().startswith("b[i] ="))
    text = "\n".join([*lines[:late], early, *lines[late:]])
    assert text != kernel.source
    wrong = Kernel(**{**vars(kernel), "source": text})
    arrays, expected = run(wrong, update, np.float64)
    assert any(not np.array_equal(array, expected[id]) for id, array in arrays.items())


def test_a_rule_that_is_not_element_wise_has_no_kernel():
    training = graphc.compile(MODELS / "digits.gc").generated.programs.training
    assert training is not None
    op = update_groups(training)[0].op
    assert isinstance(op, Group)
    body = op.body
    graph = body.graph.copy()
    source = body.results[0]
    id = graph.add(CumSum(0), (source,), graph[source].type, graph[source].origin)
    body = replace(body, graph=graph, results=(id, *body.results[1:]))
    names = [f"v{i}" for i in range(len(body.operands))]
    with pytest.raises(NoKernel, match="cumsum"):
        print_update(body, names, names={name: name for name in names}, name="no")
