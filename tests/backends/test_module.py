"""A printed module computes what the graph means."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import handmade
import numpy as np
import pytest
from handmade import Sheet, data, logistic, n, random_batch, scheduled, spec

from graphc.backends.numpy import print_module
from graphc.ir import Type
from graphc.model.program import Programs, TrainPlan
from graphc.ops import evaluate


def leaves_of(module: Any, state: Any, batch: Any) -> dict[str, Any]:
    return {**state, **batch}


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_plain_functions_equal_the_reference(real: Any) -> None:
    programs = handmade.mlp((6, 5, 4))
    module = handmade.module_of(programs)
    state, batch = module.init(3, real), random_batch(module, 7)
    tolerance = 1e-5 if real is np.float32 else 1e-12
    leaves = leaves_of(module, state, batch)
    dims = {"n": 7}

    def reference(program: Any, key: tuple[str, str]) -> Any:
        return evaluate(program.graph, [program.roots[key]], leaves, dims=dims, real=real)[0]

    outputs = module.predict(state, {"x": batch["x"]})
    assert outputs["probs"].dtype == real
    np.testing.assert_allclose(
        outputs["probs"], reference(programs.prediction, ("output", "probs")), rtol=tolerance
    )
    objective, losses = module.losses(state, batch)
    assert objective == losses["ce"]
    assert objective == pytest.approx(reference(programs.losses, ("loss", "ce")), rel=tolerance)
    found, gradients = module.loss_and_gradients(state, batch)
    assert found == pytest.approx(objective, rel=tolerance)
    for name, gradient in gradients.items():
        assert gradient.dtype == real
        assert gradient.shape == state[name].shape
        wanted = reference(programs.evaluation, ("gradient", name))
        np.testing.assert_allclose(gradient, wanted, rtol=tolerance, atol=tolerance)
    assert set(module.evaluate(state, batch)) == {"ce", "accuracy"}


@pytest.mark.parametrize(
    "programs",
    [handmade.mlp((4, 3, 3)), handmade.mlp((4, 3, 3), dropout=0.3), logistic(), scheduled()],
    ids=["mlp", "dropout", "logistic", "scheduled"],
)
def test_selftest_passes(programs: Programs, tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(print_module(programs, classes={}, version="1"), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-W", "error", str(path), "--selftest"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.rstrip().endswith("passed")
    assert "finite differences: ok" in run.stdout


def test_selftest_finds_a_wrong_gradient(tmp_path: Path) -> None:
    source = print_module(logistic(), classes={}, version="1")
    wrong = source.replace('"w": np.asarray(', '"w": 1.001 * np.asarray(')
    assert wrong != source
    path = tmp_path / "model.py"
    path.write_text(wrong, encoding="utf-8")
    run = subprocess.run([sys.executable, str(path), "--selftest"], capture_output=True, text=True)
    assert run.returncode == 1
    assert "finite differences: WRONG" in run.stdout


def test_usage(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(print_module(logistic(), classes={}, version="1"), encoding="utf-8")
    run = subprocess.run([sys.executable, str(path)], capture_output=True, text=True)
    assert run.returncode == 0
    assert "--selftest" in run.stdout


def test_text_is_deterministic_and_narrow() -> None:
    first, second = (print_module(handmade.mlp(dropout=0.5), classes={}, version="1") for _ in "ab")
    assert first == second
    assert max(map(len, first.splitlines())) <= 100
    assert first.count("# forward") == 3
    assert "hand.gc:1" in first


def test_one_function_where_training_is_evaluation() -> None:
    assert "def _training" not in handmade.module_of(handmade.mlp((4, 3))).source
    assert "def _training" in handmade.module_of(handmade.mlp((4, 3, 3), dropout=0.5)).source


def test_training_differs_by_draws() -> None:
    module = handmade.module_of(handmade.mlp((4, 30, 3), dropout=0.5))
    state, batch = module.init(), random_batch(module, 5)
    training = module.loss_and_gradients(state, batch, training=True)[0]
    assert training != module.loss_and_gradients(state, batch)[0]
    assert training == module.loss_and_gradients(state, batch, training=True)[0]
    later = {**state, "step": np.array(1)}
    assert training != module.loss_and_gradients(later, batch, training=True)[0]


def test_init_depends_on_the_seed_only() -> None:
    module = handmade.module_of(handmade.mlp((4, 3)))
    for name, value in module.init(5).items():
        assert np.array_equal(value, module.init(5)[name])
    weight = "h1.dense1.W"
    assert not np.array_equal(module.init(5)[weight], module.init(6)[weight])
    assert module.init(2**63 - 1)["seed"] == 2**63 - 1
    assert module.init()[weight].dtype == np.float32
    assert module.init(dtype=np.float64)[weight].dtype == np.float64
    with pytest.raises(ValueError, match="seed"):
        module.init(-1)


def test_signature() -> None:
    module = handmade.module_of(handmade.mlp((4, 3)), classes={"y": ["a", "b", "c"]})
    assert module.signature["batch"] == "n"
    assert module.signature["inputs"] == {"x": {"kind": "real", "shape": ["n", 4]}}
    assert module.signature["targets"]["y"] == {"kind": "label", "shape": ["n"], "classes": 3}
    assert module.signature["outputs"]["probs"]["target"] == "y"
    assert module.signature["state"]["h1.dense1.W:m"] == {"shape": [4, 3], "kind": "real"}
    assert module.classes == {"y": ["a", "b", "c"]}
    assert module.example is None
    assert handmade.module_of(logistic()).example == {"x": 1.5, "t": 1.0}


def test_wrong_batches_are_refused() -> None:
    module = handmade.module_of(handmade.mlp((4, 3)))
    state, batch = module.init(), random_batch(module, 5)
    with pytest.raises(ValueError, match="y is missing"):
        module.losses(state, {"x": batch["x"]})
    with pytest.raises(ValueError, match="x has shape"):
        module.predict(state, {"x": batch["x"][:, :3]})
    with pytest.raises(ValueError, match="y has shape"):
        module.losses(state, {**batch, "y": batch["y"][:4]})
    with pytest.raises(ValueError, match=r"labels are 0\.\.2"):
        module.losses(state, {**batch, "y": batch["y"] + 3})


def test_untrainable_models() -> None:
    programs = handmade.programs(
        spec([data("x", "input", Type("real", (n, 2)))]),
        lambda s, _: {("output", "twice"): s.input("x", Type("real", (n, 2))) * 2.0},
    )
    module = handmade.module_of(programs)
    x = np.ones((3, 2))
    assert module.predict(module.init(), {"x": x})["twice"].dtype == np.float32
    assert np.isnan(module.losses(module.init(), {"x": x})[0])
    with pytest.raises(ValueError, match="cannot be trained"):
        module.loss_and_gradients(module.init(), {"x": x})
    with pytest.raises(ValueError, match="cannot be trained"):
        module.Trainer(module.init(), 3)
    assert module._selftest() == 0


def test_precision_of_the_file() -> None:
    train = TrainPlan(precision="f64")
    module = handmade.module_of(handmade.mlp((4, 3), train=train))
    assert module.init()["h1.dense1.W"].dtype == np.float64


def test_numbers_and_truth_values_keep_the_precision() -> None:
    kind = Type("real", (n, 2))

    def build(s: Sheet, training: bool) -> Any:
        x = s.input("x", kind)
        positive = x.apply("greater", 0.0)
        return {
            ("output", "chosen"): positive.apply("where", 1.0, 0.5),
            ("output", "scaled"): positive * 2.0,
            ("output", "root"): s.builder.constant(2.0).apply("sqrt") * x,
            ("output", "rows"): x / s.size(),
            ("output", "wide"): s.builder.constant(1.5).apply("reshape", shape=(1,)) + x,
            ("output", "number"): s.builder.constant(1.5) / s.size(),
        }

    module = handmade.module_of(handmade.programs(spec([data("x", "input", kind)]), build))
    outputs = module.predict(module.init(), {"x": np.array([[1.0, -1.0]])})
    assert {name: value.dtype for name, value in outputs.items()} == dict.fromkeys(
        outputs, np.dtype(np.float32)
    )
    assert outputs["chosen"].tolist() == [[1.0, 0.5]]
    assert outputs["number"] == 1.5


def test_many_layers_print_in_linear_time() -> None:
    """Counted in calls of functions, which is the same on every machine."""

    def calls(depth: int) -> int:
        programs, count = handmade.mlp((2,) * (depth + 1)), 0

        def profile(frame: Any, event: str, argument: Any) -> None:
            nonlocal count
            count += event == "call"

        sys.setprofile(profile)
        try:
            print_module(programs, classes={}, version="1")
        finally:
            sys.setprofile(None)
        return count

    calls(3)
    assert calls(160) < 10 * calls(20)
