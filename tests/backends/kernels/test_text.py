"""The text of kernels: goldens to read, names that are safe, comments that end nothing.

``pytest tests/backends/kernels --update-goldens`` rewrites the goldens; read the diff.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from kernel_runs import host_module, kernels_of, source_of
from nvrtc import compiled

import graphc
from graphc.backends.kernels import Kernel, helpers_used, kernel_name, prelude, print_update
from graphc.backends.kernels.names import CNames
from graphc.backends.kernels.prelude import HELPERS
from graphc.backends.kernels.printing import print_kernel
from graphc.diagnostics import Source, Span
from graphc.ir import Builder, Graph, NoKernel, Origin, Type, symbol
from graphc.ops.leaves import Input
from graphc.schedule import classify, ordered, plan_training

HERE = Path(__file__).resolve().parent
MODELS = HERE.parents[2] / "models"
GOLDEN = {
    "dense_relu_dropout": ("digits", "training", "dense, relu, dropout"),
    "cross_entropy": ("digits", "training", "logits, s, ce, objective: dense, cross_entropy"),
    "cross_entropy_backward": (
        "digits", "training", "gradient of ce, logits: cross_entropy",
    ),
    "softmax": ("digits", "prediction", "logits, e, probs: dense, softmax"),
    "penalty": ("digits", "training", "l2"),
}  # fmt: skip


def kernels_by_title(model: str, part: str) -> dict[str, Kernel]:
    program = getattr(graphc.compile(MODELS / f"{model}.gc").generated.programs, part)
    return {kernel.title: kernel for kernel in reversed(kernels_of(program).kernels)}


def expect_golden(name: str, source: str, request: pytest.FixtureRequest) -> None:
    path = HERE / "golden" / f"{name}.cu"
    if request.config.getoption("--update-goldens"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, encoding="utf-8")
    assert path.exists(), f"no golden of {name}: make it by --update-goldens, and read it"
    assert source == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", GOLDEN)
def test_kernel(name: str, request: pytest.FixtureRequest):
    model, part, title = GOLDEN[name]
    kernels = kernels_by_title(model, part)
    assert title in kernels, f"titles: {', '.join(kernels)}"
    expect_golden(name, kernels[title].source, request)


def test_layer_norm(request: pytest.FixtureRequest):
    kernels = kernels_by_title("transformer", "training")
    (title,) = [t for t in kernels if t.endswith("layer_norm") and "gradient" not in t][:1]
    expect_golden("layer_norm", kernels[title].source, request)


def test_adam(request: pytest.FixtureRequest):
    training = graphc.compile(MODELS / "digits.gc").generated.programs.training
    assert training is not None
    (update,) = plan_training(training, symbols=["n"]).updates
    names = {label: label for label in update.labels}
    kernel = print_update(update.body, update.labels, names=names, name="adam")
    expect_golden("adam", kernel.source, request)


def test_helpers(request: pytest.FixtureRequest):
    """All of them: what a module's kernels call stands before them."""
    expect_golden("prelude", prelude(" ".join(f"{name}(" for name in HELPERS)), request)


def test_every_golden_is_of_something_there_is():
    named = {*GOLDEN, "layer_norm", "adam", "prelude"}
    assert {path.stem for path in (HERE / "golden").iterdir()} == named


def test_helpers_that_are_used_come_with_those_that_they_use():
    assert helpers_used("x = maximum(y, z);") == ["maximum"]
    used = helpers_used("draw_bernoulli(p, seed, 0, step, i, n)")
    assert used == ["philox", "draw_word", "unit", "draw_bernoulli"]
    assert prelude("x + y").strip() == "typedef REAL real;"
    order = [*HELPERS]
    for name, text in HELPERS.items():
        assert all(order.index(other) <= order.index(name) for other in helpers_used(text))


# ------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("x", "x"),
        ("h.dense1.W", "h_dense1_W"),
        ("μ", "mu"),
        ("Σ", "Sigma"),
        ("é", "e"),
        ("模", "u6a21"),
        ("float", "float_"),
        ("threadIdx", "threadIdx_"),
        ("exp", "exp_"),
        ("maximum", "maximum_"),
        ("real", "real_"),
        ("i", "i_"),
        ("NAN", "NAN_"),
        ("linux", "linux_"),
        ("3", "v3"),
        ("", "v"),
        ("__global__", "global"),
    ],
)
def test_a_name_is_safe_in_c(wanted: str, name: str):
    assert CNames().fresh(wanted) == name


def test_names_are_never_twice_the_same():
    names = CNames()
    wanted = ["x", "x", "x_2", "x", "μ", "mu", "x__2"]
    found = [names.fresh(each) for each in wanted]
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) for name in found)


def test_a_kernel_is_named_by_its_title():
    assert kernel_name("h: dense, relu, dropout") == "h_dense_relu_dropout"
    assert len(kernel_name(", ".join(["definition"] * 9))) <= 40
    assert kernel_name("") == "v"
    assert kernel_name("double") == "double_"


# ------------------------------------------------------------------------------- hostile text

HOSTILE = [
    '"""', "*/ int x; /*", "\\", "ends in a backslash \\", "??/", "new\nline", "//", "'", "\u2028",
    "#define real int", "{}", "%s", "μ ∂ 模", "\x00",
]  # fmt: skip


def hostile_kernel(text: str, name: str) -> Kernel:
    """Of tanh(x)·exp(tanh(x)), with the text as title, as the name of file, values, dimensions."""
    shape = (symbol(text), symbol(f"{text} "))
    source = Source(f"{text}.gc", "y = tanh(x)\n")
    builder = Builder(Graph(), Origin(Span(source, 0, 3)))
    x = builder.place(Input(text), (), Type("real", shape), text)
    y = x.apply("tanh")
    y = y * y.apply("exp")
    graph = builder.graph
    graph[y.id].name = text
    how = classify(ordered(graph, [y.id]))
    members = [node.id for node in graph if node.inputs]
    names = {node.id: node.name for node in graph if node.name}
    return print_kernel(graph, members, [y.id], how=how, names=names, name=name, title=text)


def test_text_of_a_model_stays_in_comments():
    kernels = {text: hostile_kernel(text, f"k{i}") for i, text in enumerate(HOSTILE)}
    for kernel in kernels.values():
        assert '"' not in kernel.source.replace('extern "C"', "")
        assert "\\" not in kernel.source
        assert "??" not in kernel.source
    assert compiled(source_of([*kernels.values()]), "sm_80", "float")
    host = host_module([*kernels.values()], np.float64)
    values = np.linspace(-1, 1, 6).reshape(2, 3)
    for text, kernel in kernels.items():
        out = np.empty((2, 3))
        host.get(kernel.main.name)((1,), (1,), [values, out, 3, 2])
        expected = np.tanh(values) * np.exp(np.tanh(values))
        np.testing.assert_allclose(out, expected, rtol=1e-14, err_msg=repr(text))


# ------------------------------------------------------------------------------- what has none


def print_all(builder: Builder, result: int) -> Kernel:
    graph = builder.graph
    how = classify(ordered(graph, [result]))
    members = [node.id for node in graph if node.inputs]
    return print_kernel(graph, members, [result], how=how, names={}, name="k", title="k")


def test_shapes_that_do_not_go_together_have_no_kernel():
    builder = Builder(Graph())
    x = builder.place(Input("x"), (), Type("real", (4, 3)), "x")
    y = builder.place(Input("y"), (), Type("real", (5,)), "y")
    result = (x.apply("tanh").apply("sum", axis=(0, 1)) + y.apply("exp")).apply("tanh")
    with pytest.raises(NoKernel, match="shapes"):
        print_all(builder, result.id)


def test_what_waits_for_a_total_has_no_kernel():
    builder = Builder(Graph())
    x = builder.place(Input("x"), (), Type("real", (4, 3)), "x")
    result = x.apply("exp") / x.apply("exp").apply("sum", axis=(0, 1))
    with pytest.raises(NoKernel, match="behind a total"):
        print_all(builder, result.id)


def test_an_operator_without_an_element_has_no_kernel():
    builder = Builder(Graph())
    x = builder.place(Input("x"), (), Type("real", (4, 3)), "x")
    result = x.apply("cumsum", axis=0).apply("tanh")
    with pytest.raises(NoKernel, match="cumsum"):
        print_all(builder, result.id)
