"""An element of every operator in C is NumPy's, in f32 and f64, on special values too.

An operator that a group may hold and that has no kernel fails here the moment it exists.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from kernel_host import HostModule
from kernel_runs import Run, host_module, kernel_of, source_of
from nvrtc import ARCHITECTURES, compiled
from operator_cases import GROUPED, Case, cases

from graphc.backends.kernels import Kernel
from graphc.ir import Graph, KernelContext, NoKernel
from graphc.ops import evaluate
from graphc.ops.matmul import Matmul

CASES = cases()
SEED, STEP = 11, 5


@functools.cache
def kernels() -> tuple[dict[str, Graph], dict[str, Kernel]]:
    graphs, found = {}, {}
    for key, case in CASES.items():
        graphs[key], result = case.build()
        found[key] = kernel_of(graphs[key], [result.id], [result.id], key)
    return graphs, found


@functools.cache
def module(real: Any) -> Any:
    return host_module(list(kernels()[1].values()), real)


def outcome(key: str, real: Any, host: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """What the kernel of a case gives, and the reference."""
    graph, kernel, case = kernels()[0][key], kernels()[1][key], CASES[key]
    run = Run(host or module(real), graph, {}, real, seed=SEED, step=STEP)
    values = {node.id: case.leaves[node.name] for node in graph if node.name in case.leaves}
    (found,) = run(kernel, values).items()
    id, actual = found
    (expected,) = evaluate(graph, [id], case.leaves, real=real, seed=SEED, step=STEP)
    return actual, np.broadcast_to(np.asarray(expected), actual.shape)


def expect_equal(key: str, actual: np.ndarray, expected: np.ndarray, real: Any) -> None:
    """Up to rounding; what is not rounded is equal, NaN and infinities in the same places."""
    operator = CASES[key].operator
    assert actual.dtype.kind == expected.dtype.kind
    if actual.dtype.kind != "f" or key.startswith("uniform"):
        np.testing.assert_array_equal(actual, expected)
        return
    few = 16 * float(np.finfo(real).eps)
    np.testing.assert_allclose(actual, expected, rtol=few, atol=float(np.finfo(real).tiny))
    if operator.elementwise and operator.name not in ("maximum", "minimum"):
        zero = expected == 0  # of 0 and -0 either may be the larger
        np.testing.assert_array_equal(np.signbit(actual[zero]), np.signbit(expected[zero]))


@pytest.mark.parametrize("real", [np.float64, np.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("name", sorted(GROUPED))
def test_an_element_is_numpys(name: str, real: Any):
    own = [key for key, case in CASES.items() if case.operator.name == name]
    assert own, f"{name} has no sample"
    for key in own:
        actual, expected = outcome(key, real)
        try:
            expect_equal(key, actual, expected, real)
        except AssertionError as error:
            raise AssertionError(f"{key}: {error}\n{kernels()[1][key].source}") from None


def test_cuda_compiles_every_operator():
    chosen = {case.operator.name: kernels()[1][key] for key, case in CASES.items()}
    assert len(chosen) == len(GROUPED)
    assert compiled(source_of(list(chosen.values())), "sm_80", "float")


@pytest.mark.slow
def test_cuda_compiles_every_case():
    for architecture, real in zip(ARCHITECTURES, ("double", "float"), strict=True):
        assert compiled(source_of(list(kernels()[1].values())), architecture, real)


def test_what_works_on_more_than_elements_has_none():
    with pytest.raises(NoKernel, match="matmul"):
        Matmul().kernel(KernelContext(), "x", "y")


# ------------------------------------------------------------------------------- wrong ones

WRONG = {
    "maximum_of_real_real": ("x > y || x != x ? x : y", "x > y ? x : y"),
    "sign_of_real": ("x == 0 ? (real)0 : x", "(real)0"),
    "bernoulli_of_all_thirds": ("third == 1 ? 16 : 0", "third == 1 ? 0 : 16"),
    "normal_4": ("index % 2 ? words[2]", "index % 2 ? words[1]"),
}


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_helper_is_found(key: str):
    right, wrong = WRONG[key]
    source = source_of([kernels()[1][key]])
    assert right in source
    host = HostModule(source.replace(right, wrong), ("-DREAL=double",))
    with pytest.raises(AssertionError):
        expect_equal(key, *outcome(key, np.float64, host), np.float64)


def case_is_wrong(case: Case, wrong: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether an operator that gives ``wrong`` is found out."""
    monkeypatch.setattr(type(case.operator), "kernel", lambda self, k, *args: wrong)
    graph, result = case.build()
    kernel = kernel_of(graph, [result.id], [result.id], "wrong")
    run = Run(host_module([kernel], np.float64), graph, {}, np.float64, SEED, STEP)
    values = {node.id: case.leaves[node.name] for node in graph if node.name in case.leaves}
    actual = run(kernel, values)[result.id]
    (expected,) = evaluate(graph, [result.id], case.leaves, seed=SEED, step=STEP)
    return not np.array_equal(actual, np.asarray(expected), equal_nan=True)


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("round_of_real", "floor(x0[i] + (real)0.5)"),
        ("power_by_literal_2", "pow(x0[i], (real)0.5)"),
    ],
)
def test_a_wrong_expression_is_found(key: str, wrong: str, monkeypatch: pytest.MonkeyPatch):
    assert case_is_wrong(CASES[key], wrong, monkeypatch)
