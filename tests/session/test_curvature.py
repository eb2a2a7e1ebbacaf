"""Curvature of runs and models: against finite differences, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.linalg import cg, eigsh

import graphc
from graphc.numerics.hessian import dense
from graphc.session.curvature import Curvature
from graphc.session.matrices import KINDS
from graphc.session.problem import make_problem

TEXT = """
model mixed
hyper loss = 0
input  x: real[n, 3]
target y: label{3}[n]
param  s: real[4] = 1
h = x |> dense{4} |> tanh
g = (h * s) |> dense{4} |> softplus
z = concat(g, h) |> dense{3, bias = false}
loss ce = cross_entropy(z, y)
regularize { l2{0.1} on weights }
train { epochs = 2 }
"""


def batch(rows: int = 24, classes: int = 3, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(size=(rows, 3)), "y": rng.integers(0, classes, rows)}


@pytest.fixture(scope="module")
def found() -> Curvature:
    model = graphc.compile(TEXT)
    return graphc.curvature(model, state=model.init(), data=batch())


def differences(found: Curvature, size: float = 1e-5) -> np.ndarray:
    """Central differences of the gradient."""
    gradient, steps = found.problem.gradient, size * np.eye(found.size)
    rows = [
        (gradient(found.point + step)[1] - gradient(found.point - step)[1]) / (2 * size)
        for step in steps
    ]
    return np.stack(rows)


def test_the_hessian_is_the_slope_of_the_gradient(found: Curvature) -> None:
    numeric = differences(found)
    whole = found.hessian()
    np.testing.assert_allclose(whole, numeric, atol=1e-8)
    np.testing.assert_array_equal(whole, whole.T)
    np.testing.assert_allclose(found.diagonal(), numeric.diagonal(), atol=1e-8)
    for name, block in found.blocks().items():
        part = found.layout.slices[name]
        np.testing.assert_allclose(block, numeric[part, part], atol=1e-8)
    tangents = np.random.default_rng(1).standard_normal((3, found.size))
    np.testing.assert_allclose(found.products(tangents), tangents @ whole, atol=1e-12)
    np.testing.assert_allclose(found.products(tangents[0]), whole @ tangents[0], atol=1e-12)


def test_the_gradient_is_the_slope_of_the_value(found: Curvature) -> None:
    value, direction = found.problem.value, np.random.default_rng(2).standard_normal(found.size)
    slope = value(found.point + 1e-6 * direction) - value(found.point - 1e-6 * direction)
    assert slope / 2e-6 == pytest.approx(found.gradient @ direction, rel=1e-6)
    assert found.objective == pytest.approx(value(found.point))


def test_layers_that_hang_together_are_what_unit_tangents_give(found: Curvature) -> None:
    links = found.problem.links
    assert links is not None
    assert links(found.point) is not None
    plain = dense(lambda rows: found.problem.hessian(found.point, rows), found.size)
    np.testing.assert_allclose(found.hessian(), plain, atol=1e-15)
    np.testing.assert_allclose(found.diagonal(), plain.diagonal(), atol=1e-15)


def test_an_objective_that_is_no_sum_over_examples_takes_unit_tangents() -> None:
    text = TEXT.replace("cross_entropy(z, y)", "cross_entropy{weights = [1, 2, 3]}(z, y)")
    model = graphc.compile(text)
    one = graphc.curvature(model, state=model.init(), data=batch())
    assert one.problem.links is not None
    assert one.problem.links(one.point) is None
    np.testing.assert_allclose(one.hessian(), differences(one), atol=1e-8)


def test_blocks_of_any_memory_give_the_same(found: Curvature) -> None:
    model = graphc.compile(TEXT)
    small = graphc.curvature(model, state=model.init(), data=batch(), memory=20_000)
    objective = small.problem.value.__self__  # type: ignore[attr-defined]
    assert 1 <= objective.batch_size < 24
    for of in KINDS:
        np.testing.assert_allclose(small.matrix(of), found.matrix(of), atol=1e-14)
    np.testing.assert_allclose(small.diagonal(), found.diagonal(), atol=1e-14)
    assert small.objective == pytest.approx(found.objective, rel=1e-13)
    np.testing.assert_allclose(small.gradient, found.gradient, atol=1e-15)


# ------------------------------------------------------------------ Fisher

CLASSES = {
    "cross_entropy": ("label{3}[n]", "dense{3}", "cross_entropy(z, y)", 3),
    "binary_cross_entropy": ("real[n, 1]", "dense{1}", "binary_cross_entropy(z, y)", 2),
}


def plain_network(name: str) -> Curvature:
    kind, layer, loss, classes = CLASSES[name]
    model = graphc.compile(
        f"model likely\ninput x: real[n, 3]\ntarget y: {kind}\n"
        f"z = x |> dense{{4}} |> tanh |> {layer}\nloss l = {loss}\n"
        "regularize {\n  l2{0.1} on weights\n}\n"
    )
    data = batch(classes=classes)
    if classes == 2:
        data["y"] = data["y"][:, None].astype(float)
    return graphc.curvature(model, state=model.init(), data=data)


@pytest.mark.parametrize("name", CLASSES)
def test_the_exact_fisher_matrix_is_gauss_newton_for_natural_parameters(name: str) -> None:
    """Martens (2020): of the objective without penalties."""
    one = plain_network(name)
    exact = one.fisher("exact")
    penalty = np.zeros(one.size)
    for weight, part in one.layout.slices.items():
        penalty[part] = 0.1 if weight.endswith("W") else 0
    np.testing.assert_allclose(exact + np.diag(penalty), one.gauss_newton(), atol=1e-13)
    assert np.linalg.eigvalsh(exact).min() > -1e-15
    np.testing.assert_allclose(one.diagonal("exact_fisher"), exact.diagonal(), atol=1e-15)


def test_the_empirical_fisher_matrix_is_that_of_the_examples() -> None:
    one = plain_network("cross_entropy")
    text = one.subject.model.checked.request.source.text.split("regularize")[0]
    model = graphc.compile(text, precision="f64")
    gradients = model.per_example_gradients(model.init() | one.layout.unpack(one.point), batch())
    rows = one.layout.pack_rows(gradients)
    np.testing.assert_allclose(one.fisher(), rows.T @ rows / 24, atol=1e-14)
    np.testing.assert_allclose(one.diagonal("fisher"), (rows**2).mean(axis=0), atol=1e-14)
    assert np.abs(one.fisher() - one.fisher("exact")).max() > 1e-2


def test_of_a_squared_error_it_is_gauss_newton_by_convention() -> None:
    text = "model line\ninput x: real[n, 3]\ntarget y: real[n, 2]\n"
    model = graphc.compile(text + "z = x |> dense{2}\nloss l = squared_error(z, y)\n")
    data = {"x": batch()["x"], "y": np.random.default_rng(0).normal(size=(24, 2))}
    one = graphc.curvature(model, state=model.init(), data=data)
    np.testing.assert_allclose(one.fisher("exact"), one.gauss_newton(), atol=1e-15)
    np.testing.assert_allclose(one.hessian(), one.gauss_newton(), atol=1e-13)


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        ("cross_entropy{smoothing = 0.2}(z, y)", "sums to"),
        ("cross_entropy(z, y) / 2", "sums to"),
        ("multiclass_hinge(z, y)", "sums to"),
    ],
)
def test_what_is_no_likelihood_is_said(loss: str, why: str) -> None:
    model = graphc.compile(TEXT.replace("cross_entropy(z, y)", loss))
    one = graphc.curvature(model, state=model.init(), data=batch())
    with pytest.raises(graphc.RunError, match=why) as refused:
        one.fisher("exact")
    assert "empirical" in refused.value.help


def test_targets_that_cannot_be_enumerated() -> None:
    text = "model line\ninput x: real[n, 3]\ntarget y: real[n, 1]\n"
    model = graphc.compile(text + "z = x |> dense{1}\nloss l = absolute_error(z, y)\n")
    data = {"x": batch()["x"], "y": np.random.default_rng(0).normal(size=(24, 1))}
    with pytest.raises(graphc.RunError, match="neither a label nor 0 or 1"):
        graphc.curvature(model, state=model.init(), data=data).fisher("exact")


# ------------------------------------------------------------------ spectra and operators


def test_spectra_estimates_and_operators_agree(found: Curvature) -> None:
    whole = found.hessian()
    values, vectors = found.spectrum()
    np.testing.assert_allclose(values, np.linalg.eigvalsh(whole), atol=1e-13)
    pairs = found.eigenpairs(3)
    largest = values[np.sort(np.argsort(np.abs(values))[-3:])][::-1]
    np.testing.assert_allclose(pairs.values, largest, atol=1e-9)
    density = found.density(probes=40, steps=15)
    assert abs(density.moment(1).value - values.mean()) < 4 * density.moment(1).error
    probed = found.hutchinson(200)
    assert abs(probed.trace.value - values.sum()) < 4 * probed.trace.error
    sizes = np.sort(np.abs(eigsh(found.operator(), k=2, return_eigenvectors=False)))
    np.testing.assert_allclose(sizes, np.sort(np.abs(values))[-2:], rtol=1e-9)
    newton = found.gauss_newton() + 0.1 * np.eye(found.size)
    damped = found.inverse(0.1, "gauss_newton")
    np.testing.assert_allclose(damped @ newton, np.eye(found.size), atol=1e-11)
    solution, status = cg(found.operator("fisher") + 0.1 * _identity(found), found.gradient)
    assert status == 0
    expected = np.linalg.solve(found.fisher() + 0.1 * np.eye(found.size), found.gradient)
    np.testing.assert_allclose(solution, expected, atol=1e-4)
    assert vectors.shape == whole.shape


def _identity(found: Curvature):
    from scipy.sparse.linalg import LinearOperator

    return LinearOperator((found.size,) * 2, matvec=lambda v: v, dtype=np.float64)


def test_the_report_of_a_whole_spectrum(found: Curvature) -> None:
    report = found.report(top=4)
    values = np.linalg.eigvalsh(found.hessian())
    assert report.exact
    assert report.largest.value == pytest.approx(values[-1])
    assert report.smallest.value == pytest.approx(values[0])
    assert report.condition == pytest.approx(np.abs(values).max() / np.abs(values).min())
    assert report.negative.value == pytest.approx(np.mean(values < 0))
    assert report.trace.value == pytest.approx(values.sum())
    assert report.sharpness == report.largest.value
    assert not report.converged
    assert len(report.values) == 4
    assert max(report.residuals) < 1e-12
    assert report.as_json()["how"]


def test_the_report_of_a_sampled_spectrum_covers_the_whole_one(found: Curvature) -> None:
    whole, sampled = found.report(top=3), found.report(top=3, limit=0, probes=40)
    np.testing.assert_allclose(sampled.values, whole.values, atol=1e-8)
    assert sampled.largest.value == pytest.approx(whole.largest.value, rel=1e-5)
    assert abs(sampled.trace.value - whole.trace.value) < 4 * sampled.trace.error
    assert abs(sampled.negative.value - whole.negative.value) < 4 * sampled.negative.error + 0.02
    assert sampled.condition is None


def test_sharpness_in_a_box_is_a_rise_in_it(found: Curvature) -> None:
    """Along a linear objective the corner is the maximum, exactly."""
    model = graphc.compile("model flat\nparam w: real[3] = [1, 2, 3]\nloss l = sum(w)\n")
    flat = graphc.curvature(model, state=model.init())
    rise = 1e-3 * (2 + 3 + 4)
    assert flat.report().box.percent == pytest.approx(100 * rise / 7)
    small, large = (found.report(epsilon=e).box.percent for e in (1e-4, 1e-2))
    assert 0 < small < large


# ------------------------------------------------------------------ subjects


def test_a_run_its_model_and_its_states(kinds) -> None:
    run = graphc.compile(kinds.path).train()
    by_run, by_file = graphc.curvature(run), graphc.curvature(kinds.path, part="train")
    np.testing.assert_array_equal(by_run.point, by_file.point)
    assert by_run.problem.examples == 54
    assert by_file.report().origin == f"best state of {run.path}"
    assert graphc.curvature(run, part="test").problem.examples == 18
    assert graphc.curvature(run, rows=7).problem.examples == 7
    last = graphc.curvature(run, at="last")
    np.testing.assert_array_equal(last.point, last.layout.pack(run.last))
    fresh = graphc.curvature(kinds.path, at="init")
    np.testing.assert_array_equal(fresh.point, fresh.layout.pack(run.model.init()))
    assert graphc.curvature(run, data=kinds.data).problem.examples == 90
    scored = run.evaluate("train")["objective"]
    assert by_run.objective == pytest.approx(scored, rel=1e-5)


def test_a_model_of_one_example_at_a_time(models) -> None:
    """mathematics.md: H of the logistic model by hand."""
    one = graphc.curvature(models / "logistic.gc", at="init")
    assert one.objective == pytest.approx(0.0681647, abs=1e-7)
    np.testing.assert_allclose(one.hessian(), differences(one), atol=1e-9)
    assert one.report().n == 2
    with pytest.raises(graphc.RunError, match="no loss of the prelude"):
        one.gauss_newton()


def test_what_is_refused(found: Curvature, here) -> None:
    model = graphc.compile(TEXT)
    with pytest.raises(graphc.RunError, match="no finished run of mixed"):
        graphc.curvature(model, data=batch())
    frozen = graphc.compile("model fixed\ninput x: real[n]\nloss l = mean(x^2)\n")
    with pytest.raises(graphc.RunError, match="learns nothing"):
        graphc.curvature(frozen, state=frozen.init(), data={"x": np.ones(3)})
    with pytest.raises(graphc.RunError, match="too large for this: 64 parameters"):
        found.hessian(limit=10)
    with pytest.raises(graphc.RunError, match="too large"):
        found.blocks(limit=3)
    with pytest.raises(graphc.RunError, match="no matrix hesse"):
        found.matrix("hesse")  # type: ignore[arg-type]
    with pytest.raises(graphc.RunError, match=r"not \[k, "):
        found.products(np.ones(3))
    with pytest.raises(graphc.RunError, match="eigenpairs, not 0"):
        found.eigenpairs(0)
    with pytest.raises(graphc.RunError, match="two probes"):
        found.hutchinson(1)
    with pytest.raises(graphc.RunError, match="no part"):
        graphc.curvature(model, state=model.init(), data=batch(), part="some")  # type: ignore[arg-type]
    with pytest.raises(graphc.RunError, match="no state first"):
        graphc.curvature(model, at="first")  # type: ignore[arg-type]


def test_diagonals_and_layers_for_pruning(found: Curvature) -> None:
    """LeCun's diagonal is that of the layers' samples, and penalties."""
    problem, layout = found.problem, found.layout
    own = np.zeros(found.size)
    for block in problem.layers(found.point):
        for name, sample in block.items():
            squares = np.square(sample.inputs).T @ sample.curvatures
            own[layout.slices[name]] += squares.reshape(-1) + 0.1
    whole = problem.backpropagated(found.point)
    for name, part in layout.slices.items():
        if name.endswith("W"):
            np.testing.assert_allclose(own[part], whole[part], atol=1e-13)
    last = layout.slices["z.dense1.W"]
    np.testing.assert_allclose(whole[last], found.diagonal()[last], atol=1e-13)


def test_a_problem_of_a_model(found: Curvature) -> None:
    model = graphc.compile(TEXT)
    problem = make_problem(model, model.init(), batch(), penalties=False)
    inside = sum(np.sum(found.point[p] ** 2) for n, p in found.layout.slices.items() if ".W" in n)
    assert found.objective - problem.value(found.point) == pytest.approx(0.05 * inside)
