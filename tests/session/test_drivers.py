"""Training by L-BFGS and damped Newton: where they end, how runs end, resume and compile."""

from __future__ import annotations

import itertools
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import graphc
from graphc.cli.costs import report_text
from graphc.runtime import DivergedError
from graphc.session.documenting import contents, page

DRIVERS = ("lbfgs{}", "newton{}", "newton{exact = 0}")
EACH = pytest.mark.parametrize("driver", DRIVERS)
TRAIN = """train {
  optimizer = DRIVER
  batch     = all
  precision = f64
  epochs    = 3000
}
"""
LOGISTIC = """model logistic
input  x: real[n, 30]
target y: real[n]
z = x |> dense{1} |> sum{axis = 1}
loss bce = binary_cross_entropy(z, y)
output z = z
regularize { l2{1e-3} on params }
"""
MONKS = """model monks
input  x: real[n, 17]
target y: real[n, 1]
p = x |> dense{3} |> sigmoid |> dense{1} |> sigmoid
loss e = half_squared_error(p, y)
regularize { l2{1e-4} on params }
"""
XOR = """model xor
input  x: real[n, 2]
target y: real[n, 1]
p = x |> dense{2} |> tanh |> dense{1}
loss e = mean(sum{axis = 1}((p - y)^2))
regularize { l2{1e-4} on params }
"""
XOR_DATA = {
    "x": np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
    "y": np.array([[0.0], [1.0], [1.0], [0.0]]),
}


@cache
def compiled(text: str, driver: str, precision: Any = "f64") -> graphc.Model:
    return graphc.compile(text + TRAIN.replace("DRIVER", driver), precision=precision)


@cache
def short(driver: str, precision: Any = "f64") -> graphc.Model:
    """Exclusive or for 20 iterations."""
    text = XOR + TRAIN.replace("DRIVER", driver).replace("3000", "20")
    return graphc.compile(text, precision=precision)


def tumours() -> dict[str, np.ndarray]:
    """Two overlapping classes in 30 correlated columns, as in the breast cancer data."""
    random = np.random.default_rng(7)
    y = (random.random(569) < 0.63).astype(float)
    mix = random.standard_normal((6, 30))
    x = (random.standard_normal((569, 6)) + 0.8 * y[:, None]) @ mix
    x += 0.3 * random.standard_normal(x.shape)
    return {"x": (x - x.mean(0)) / x.std(0), "y": y}


def monks() -> dict[str, np.ndarray]:
    """124 of the 432 cases of MONK's problem 1, its attributes as 17 columns of 0 and 1."""
    sizes = (3, 3, 2, 3, 4, 2)
    cases = np.array(list(itertools.product(*map(range, sizes))))
    cases = np.random.default_rng(0).permutation(cases)[:124]
    x = np.concatenate([np.eye(size)[cases[:, i]] for i, size in enumerate(sizes)], axis=1)
    y = (cases[:, 0] == cases[:, 1]) | (cases[:, 4] == 0)
    return {"x": x, "y": y[:, None].astype(float)}


def descended(
    model: graphc.Model, data: dict[str, np.ndarray], seed: int = 0
) -> tuple[dict[str, np.ndarray], list[float]]:
    """State where the trainer has converged, and the gradient norms on the way."""
    trainer = model.module.Trainer(model.init(seed), len(data["y"]))
    norms = []
    while not getattr(trainer, "converged", False) and len(norms) < 3000:
        trainer.step(data)
        norms.append(trainer.gradient_norm)  # type: ignore[attr-defined]
    return trainer.state(), norms


def gradient_norm(
    model: graphc.Model, state: dict[str, np.ndarray], data: dict[str, np.ndarray]
) -> float:
    _, gradients = model.loss_and_gradients(state, data)
    return float(np.sqrt(sum((gradient**2).sum() for gradient in gradients.values())))


# ------------------------------------------------------------------------ where they end


@EACH
@pytest.mark.parametrize(("text", "data"), [(LOGISTIC, tumours()), (MONKS, monks())])
def test_the_gradient_is_zero_in_the_end(
    driver: str, text: str, data: dict[str, np.ndarray]
) -> None:
    model = compiled(text, driver)
    state, norms = descended(model, data)
    assert norms[0] > 1e-3
    assert gradient_norm(model, state, data) == pytest.approx(norms[-1], rel=1e-6, abs=1e-15)
    assert norms[-1] <= 1e-8


@EACH
def test_the_minimum_is_that_of_scipy(driver: str) -> None:
    data, model = tumours(), compiled(LOGISTIC, driver)
    state, names = model.init(), model.spec.learned

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        pieces = np.split(flat, np.cumsum([state[name].size for name in names])[:-1])
        shaped = [p.reshape(state[n].shape) for n, p in zip(names, pieces, strict=True)]
        value, slopes = model.loss_and_gradients({**state, **dict(zip(names, shaped))}, data)  # noqa: B905
        return value, np.concatenate([slopes[name].ravel() for name in names])

    start = np.concatenate([state[name].ravel() for name in names])
    options = {"ftol": 0.0, "gtol": 1e-10, "maxiter": 2000, "maxfun": 5000}
    theirs = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    found, _ = descended(model, data)
    ours = np.concatenate([found[name].ravel() for name in names])
    np.testing.assert_allclose(ours, theirs.x, atol=1e-5)
    assert objective(ours)[0] == pytest.approx(theirs.fun, rel=1e-12)


def quadratic(norms: list[float]) -> bool:
    """Whether each norm near the end is at most a multiple of the square of the one before."""
    near = [(a, b) for a, b in itertools.pairwise(norms[:-1]) if a < 1e-3]
    return len(near) >= 2 and all(b <= 100 * a**2 + 1e-14 for a, b in near)


def test_newton_converges_quadratically() -> None:
    assert quadratic(descended(compiled(LOGISTIC, "newton{}"), tumours())[1])
    assert not quadratic(descended(compiled(LOGISTIC, "lbfgs{}"), tumours())[1])


@EACH
def test_an_indefinite_hessian_at_the_start(driver: str) -> None:
    model = compiled(XOR, driver)
    state = model.init(4)
    parts = np.split(
        np.eye(9), np.cumsum([state[name].size for name in model.spec.learned])[:-1], 1
    )
    tangents = {
        name: part.reshape(9, *state[name].shape)
        for name, part in zip(model.spec.learned, parts, strict=True)
    }
    product = model.hessian_vector_products(state, XOR_DATA, tangents)
    hessian = np.concatenate([p.reshape(9, -1) for p in product.values()], axis=1)
    assert np.linalg.eigvalsh(hessian)[0] < -0.01
    found, norms = descended(model, XOR_DATA, 4)
    assert norms[-1] <= 1e-8
    objective = model.loss_and_gradients(found, XOR_DATA)[0]
    assert objective < 1e-3 < model.loss_and_gradients(state, XOR_DATA)[0]


@EACH
def test_in_f32_they_end_where_rounding_does(driver: str) -> None:
    model = compiled(LOGISTIC, driver, "f32")
    state, norms = descended(model, tumours())
    assert len(norms) < 300
    assert 1e-8 < norms[-1] < 1e-4
    assert all(state[name].dtype == np.float32 for name in model.spec.learned)


def test_at_the_minimum_a_step_changes_nothing_but_its_number() -> None:
    model = compiled(XOR, "newton{}")
    state, _ = descended(model, XOR_DATA)
    trainer = model.module.Trainer(state, 4)
    trainer.step(XOR_DATA)
    after = trainer.state()
    assert trainer.converged  # type: ignore[attr-defined]
    assert after.pop("step") == state.pop("step") + 1
    assert all(np.array_equal(after[name], state[name]) for name in state)


def test_options_are_heard() -> None:
    model = compiled(XOR, "lbfgs{memory = 3, tolerance = 1e-3}")
    assert [name for name in model.init() if name.startswith("p.dense1.b:")] == [
        f"p.dense1.b:{kind}{i}" for kind in "sy" for i in (1, 2, 3)
    ]
    norms = descended(model, XOR_DATA)[1]
    assert 1e-8 < norms[-1] <= 1e-3 < norms[-3]
    assert compiled(XOR, "lbfgs{4}").spec.driver.options["memory"] == 4  # type: ignore[union-attr]


def test_frozen_parameters_stay() -> None:
    text = XOR + TRAIN.replace("DRIVER", "newton{}").replace("\n}", "\n  frozen on p.dense1.*\n}")
    model = graphc.compile(text)
    before, (after, norms) = model.init(), descended(model, XOR_DATA)
    assert norms[-1] <= 1e-8
    same = {name for name in model.spec.parameters if np.array_equal(after[name], before[name])}
    assert same == {"p.dense1.W", "p.dense1.b"}


def test_a_file_may_define_an_optimizer_of_that_name() -> None:
    own = "optimizer newton{lr = 0.5}(w, g) {\n  w' = w - lr * g\n}\n"
    model = compiled(XOR.replace("\n", f"\n{own}", 1), "newton{0.25}")
    assert model.spec.driver is None
    assert model.spec.groups[0].title == "newton{0.25}"


# -------------------------------------------------------------------------------- runs


@EACH
def test_a_run_ends_where_it_has_converged(driver: str, tmp_path: Path) -> None:
    run = compiled(XOR, driver).train(folder=tmp_path / "run", **XOR_DATA)
    assert run.summary is not None
    assert run.stopped == "finished"
    assert run.summary["converged"]
    assert run.summary["gradient_norm"] <= 1e-8
    assert run.summary["epochs"] == len(run.history) < 3000
    assert run.summary["best_epoch"] == len(run.history)
    assert gradient_norm(run.model, run.state, XOR_DATA) <= 1.01e-8
    kept = graphc.load(tmp_path / "run")
    for found, expected in ((kept.state, run.state), (kept.last, run.last)):
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
    objectives = [record["objective"] for record in run.history]
    assert all(b <= a + 1e-14 for a, b in itertools.pairwise(objectives))


def test_a_run_that_has_not_converged_says_how_far_it_is() -> None:
    run = short("lbfgs{}").train(folder=False, **XOR_DATA)
    assert run.summary is not None
    assert (run.stopped, run.summary["converged"]) == ("finished", False)
    norm = gradient_norm(run.model, run.state, XOR_DATA)
    assert run.summary["gradient_norm"] == pytest.approx(norm)
    plain = graphc.compile(XOR + "train { epochs = 2 }\n").train(folder=False, **XOR_DATA)
    assert plain.summary is not None
    assert "gradient_norm" not in plain.summary


@pytest.mark.parametrize(
    ("driver", "precision"),
    [("lbfgs{}", "f32"), ("lbfgs{}", "f64"), *((d, "f64") for d in DRIVERS[1:])],
)
def test_a_resumed_run_is_the_same_to_the_bit(driver: str, precision: Any, tmp_path: Path) -> None:
    """Checkpoints of short epochs are not written at once, but none is lost."""

    def stop(record: Any) -> None:
        if record.epoch == 13:
            raise KeyboardInterrupt

    model = short(driver, precision)
    run = model.train(folder=tmp_path / "run", report=stop, **XOR_DATA)
    assert run.stopped == "interrupted"
    stored = graphc.load(run.path)
    assert stored.last["step"] == 13
    resumed = stored.resume(**XOR_DATA)
    whole = model.train(folder=False, **XOR_DATA)
    assert [r["objective"] for r in resumed.history] == [r["objective"] for r in whole.history]
    for name, value in whole.last.items():
        assert np.array_equal(resumed.last[name], value), name


def test_with_a_validation_part_the_best_is_the_best_there() -> None:
    split = "data {\n  split = ordered{validation = 0.3}\n}\n"
    data = tumours()
    run = compiled(LOGISTIC + split, "newton{}").train(folder=False, **data)
    values = [record["watch"] for record in run.history]
    assert run.summary is not None
    assert run.summary["best_epoch"] == 1 + int(np.argmin(values))


def test_an_objective_without_a_value_is_an_error() -> None:
    text = XOR.replace("loss e = mean", "loss e = log(-1 - y[0, 0]) * mean")
    with pytest.raises(DivergedError, match="NaN or infinite in epoch 1, step 1 of 1"):
        compiled(text, "lbfgs{}").train(folder=False, **XOR_DATA)


# ---------------------------------------------------------------------- modules, reports


@pytest.mark.parametrize("driver", ["lbfgs{}", "newton{}"])
def test_a_module_trains_alone(driver: str, tmp_path: Path) -> None:
    path = tmp_path / "xor.py"
    model = compiled(XOR.replace("regularize", "output p = p\nregularize"), driver)
    path.write_text(model.source, encoding="utf-8")
    np.savez(path.with_suffix(".batch.npz"), **XOR_DATA)
    alone = Path(__file__).parents[1] / "models" / "only_numpy.py"
    for command in ([str(alone), str(path)], [str(path), "--selftest"]):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "steps go down: ok" in done.stdout
    assert ("Hessian = finite differences: ok" in done.stdout) == (driver == "newton{}")


def test_the_self_test_finds_a_wrong_product(capsys: pytest.CaptureFixture[str]) -> None:
    source = compiled(XOR, "newton{}").source
    wrong: dict[str, Any] = {"__name__": "wrong"}
    exec(source, wrong)
    right = wrong["hessian_vector_products"]
    wrong["hessian_vector_products"] = lambda *given: {n: h / 2 for n, h in right(*given).items()}
    assert wrong["_selftest"]() == 1
    assert "Hessian = finite differences: WRONG" in capsys.readouterr().out


def test_the_self_test_finds_steps_that_go_up(capsys: pytest.CaptureFixture[str]) -> None:
    source = compiled(XOR, "lbfgs{}").source
    wrong: dict[str, Any] = {"__name__": "wrong"}
    exec(source, wrong)
    wrong["_descended"] = lambda at, here, value, slopes, way: (here - way, at(here - way)[1])
    assert wrong["_selftest"]() == 1
    assert "steps go down: WRONG" in capsys.readouterr().out


def test_the_report_counts_one_evaluation_and_says_so() -> None:
    report = compiled(XOR, "lbfgs{}").report(4)
    assert (report.driver, report.peak) == ("lbfgs", None)
    assert "update" not in report.parts
    assert "as often as its line search asks for them" in report_text(report)
    assert graphc.compile(XOR).report(4).driver == ""


def test_drivers_have_pages() -> None:
    listed = {entry.signature for entry in contents() if entry.place == "drivers"}
    assert listed == {page("lbfgs").signature, page("newton").signature}
    assert "strong-Wolfe" in page("newton").doc
