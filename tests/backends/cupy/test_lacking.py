"""Which way each operator is written on the device, and what is said where there is none: computed
from what operators are, no list of names."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from device_runs import SAMPLES, STRUCTURE, device_body, samples_of
from shorter_models import MODELS

import graphc
from graphc.backends.cupy.respelling import lacking
from graphc.backends.cupy.table import KernelTable
from graphc.backends.targets import LackingError
from graphc.ir import (
    OPERATORS,
    Builder,
    Graph,
    NoKernel,
    Operator,
    Sample,
    Type,
    WriteContext,
)
from graphc.ops.functions import Function
from graphc.ops.leaves import Input

KERNELS = {"draw_bernoulli", "draw_normal", "draw_uniform", "erf"}
"""What CuPy has no call for: a kernel of its own wherever it is not in a group."""
OWN_HELPERS = {
    "_add_along": {"gather_adjoint"},
    "_add_rows": {"take_adjoint"},
    "_orthogonal": {"draw_orthogonal"},
    "_product_before": {"cumprod"},
    "_ranks": {"ranks"},
    "_recurrence": {"recurrence"},
    "_windows": {"windows"},
}
"""Functions that are written for the device, and whose they are."""


# ------------------------------------------------------------------------------ which way


def written(sample: Sample) -> str:
    """How an operator is written where it is alone: ``call``, ``kernel`` or what is lacking."""
    builder, inputs = Builder(Graph()), []
    for i, type in enumerate(sample.types):
        inputs.append(builder.place(Input(f"x{i}"), (), type, f"x{i}"))
    result = builder.emit(sample.operator, *inputs)
    table = KernelTable()
    try:
        device_body((builder.graph, [result.id]), table)
    except LackingError as problem:
        return f"lacks: {problem.why}"
    return "kernel" if table.names else "call"


def test_the_way_of_every_operator_is_known():
    """A new operator that CuPy has no call for shows here, and one that gets another way."""
    ways = {name: {written(s) for s in samples_of(op)} for name, op in OPERATORS.items()}
    assert {name for name, found in ways.items() if not found} == STRUCTURE
    assert {name for name, found in ways.items() if "kernel" in found} == KERNELS
    others = ways.keys() - STRUCTURE - KERNELS
    assert {name: ways[name] for name in others} == {name: {"call"} for name in others}


def test_no_operator_is_lacking():
    assert not {key: why for key, sample in SAMPLES.items() if (why := lacked(sample))}


def lacked(sample: Sample) -> str:
    """What CuPy lacks of an operator that has no kernel either."""
    found = written(sample)
    return found if found.startswith("lacks") else ""


def text_of(sample: Sample) -> str:
    context = WriteContext(
        sample.types, sample.operator.infer(*sample.types), real="real", seed="seed", step="step"
    )
    return sample.operator.numpy(context, *(f"x{i}" for i in range(len(sample.types))))


def test_functions_for_the_device_are_called_by_those_that_need_them():
    callers: dict[str, set[str]] = {name: set() for name in OWN_HELPERS}
    for sample in SAMPLES.values():
        for name in OWN_HELPERS:
            if f"{name}(" in text_of(sample):
                callers[name].add(sample.operator.name)
    assert {name: found for name, found in callers.items() if OWN_HELPERS[name] - found} == {}


# ------------------------------------------------------------------------------ what is lacking


@pytest.fixture
def made_for_a_test():
    """Takes operators that a test registered out again."""
    before = dict(OPERATORS)
    yield
    OPERATORS.clear()
    OPERATORS.update(before)


def rare_operator(text: str, kernel: str | None = None) -> Operator:
    """An element-wise operator whose source is given, and its kernel if there is one."""

    @dataclass(frozen=True)
    class Rare(Function):
        """Made for a test."""

        name = "rare"
        ufunc = "exp"

        def numpy(self, w, x):
            return text.format(x=x)

        def kernel(self, w, x):
            if kernel is None:
                raise NoKernel("rare")
            return kernel.format(x=x)

        def partial(self, i, xs, y):
            return y

    return Rare()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("np.bessel({x})", "CuPy has no np.bessel that means the same"),
        ("np.add.accumulate(np.sinc({x}))", "CuPy has no np.sinc that means the same"),
        ("_erf({x})", "CuPy has no np.empty that means the same"),
    ],
)
def test_an_operator_that_neither_a_call_nor_a_kernel_gives_is_named(made_for_a_test, text, why):
    rare = rare_operator(text)
    assert written(Sample(rare, (Type("real", (3,)),))) == f"lacks: {why}"


def test_what_cupy_lacks_may_be_a_kernel(made_for_a_test):
    rare = rare_operator("np.bessel({x})", kernel="exp({x})")
    assert written(Sample(rare, (Type("real", (3,)),))) == "kernel"


def test_a_method_of_an_array_is_no_call_of_numpy():
    assert lacking("x0.sum(axis=1) @ np.exp(x1)") == ""
    assert lacking("_ranks(x0, 1, real)") == ""


def test_a_program_with_an_operator_that_is_lacking_is_an_error_at_its_place(
    made_for_a_test, monkeypatch
):
    """Computed when a module is printed, from what the operator is: no list of names."""
    exp = OPERATORS["exp"]
    monkeypatch.setattr(exp, "numpy", lambda self, w, x: f"np.bessel({x})")
    monkeypatch.setattr(exp, "kernel", lambda self, w, x: no_kernel())
    model = graphc.compile(
        "model m\ninput x: real[n]\nparam w: real = 1\nloss f = mean(exp(w * x))\n",
        target="cupy",
    )
    with pytest.raises(graphc.CompileError) as found:
        _ = model.source
    (error,) = found.value.diagnostics.errors
    assert (error.code, error.title) == ("E701", "the target cupy has no operator exp")
    assert error.span is not None
    assert error.span.source.text[error.span.start : error.span.end] == "exp(w * x)"
    assert error.notes == ("CuPy has no np.bessel that means the same",)
    assert graphc.compile(MODELS / "circuit.gc", target="cupy").source, "others are what they were"


def no_kernel() -> str:
    raise NoKernel("exp")
