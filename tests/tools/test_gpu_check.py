"""The check of a GPU, as far as it can be tried without one.

Its judgement (errors, parity) and its processes are tried here with modules for the CPU
on both sides, spoilt on one where it must find something.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gpu_check import parity, prepare, prepared, rows, running
from gpu_check.errors import ROUNDINGS, compare, compare_rounded
from gpu_check.rows import Row

TOOL = Path(parity.__file__).parent


class TestErrors:
    def test_relative_to_the_largest_number(self):
        expected = {"a": np.array([1000.0, 1e-3])}
        assert compare({"a": expected["a"] + 9e-8}, expected).good
        found = compare({"a": expected["a"] + 2e-7}, expected)
        assert not found.good
        assert (found.where, found.error) == ("a", pytest.approx(2e-10))

    def test_a_gradient_that_is_only_rounding(self):
        """It is held to the size of the others of its sort, and to that alone."""
        expected = {"a": np.array([1.0]), "b": np.array([1e-17])}
        assert compare({**expected, "b": np.array([-3e-17])}, expected).good
        assert not compare({**expected, "b": np.array([1e-12])}, expected).good
        moments = {"a": np.array([1.0]), "b:v": np.array([1e-6])}
        assert not compare({**moments, "b:v": np.array([1.01e-6])}, moments).good

    @pytest.mark.parametrize(
        "actual",
        [
            {},
            {"a": np.zeros(3)},
            {"a": np.array([1, 2])},
            {"a": np.array([1.0, np.nan])},
            {"a": np.array([np.inf, 2.0])},
            {"a": np.array([1.0, 2.0]), "b": np.zeros(1)},
        ],
    )
    def test_what_is_no_rounding(self, actual):
        assert compare(actual, {"a": np.array([1.0, 2.0])}).error == np.inf

    def test_equal(self):
        odd = {"a": np.array([np.nan, np.inf, 2.0]), "b": np.array([True]), "c": np.array(3)}
        assert compare(odd, odd).error == 0
        assert compare({**odd, "c": np.array(4)}, odd).error == np.inf

    def test_f32_may_err_as_the_cpu_does(self):
        truth = {"a": np.array([1.0])}
        usual = {"a": np.array([1 + 1e-4])}
        assert compare_rounded({"a": np.array([1 - 7e-4])}, usual, truth).good
        assert not compare_rounded({"a": np.array([1 - 9e-4])}, usual, truth).good
        assert compare_rounded({"a": np.array([1 + ROUNDINGS / 2])}, truth, truth).good
        assert not compare_rounded({"a": np.array([1 + ROUNDINGS * 2])}, truth, truth).good


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two models, with modules for the CPU in place of those for a GPU."""
    made = tmp_path_factory.mktemp("prepared")
    prepare.prepare(made, ["xor", "draws"], target="numpy", workers=1)
    return made


def entries(folder: Path, name: str) -> dict[str, prepared.Entry]:
    return {e.precision: e for e in prepared.read_manifest(folder) if e.name == name}


def check(folder: Path, name: str, spoil=lambda module: None) -> list[Row]:
    """The rows of a model whose second module is spoilt."""
    found: list[Row] = []

    def emit(what, status, detail="", **values):
        found.append(Row("parity", name, what, status, detail, values))

    def device(module):
        spoil(module)
        return parity.host_side(module)

    parity.check_model(folder, entries(folder, name), emit, device)
    return found


def failed(found: list[Row]) -> set[str]:
    return {row.what for row in found if row.status == "failed"}


class TestParity:
    def test_alike(self, folder):
        found = check(folder, "xor")
        assert not failed(found)
        told = {row.what for row in found if row.status == "ok"}
        quantities = [name for name in parity.QUANTITIES if name not in ("face", "metrics")]
        for precision in ("f64", "f32"):
            assert {f"{precision} {name}" for name in quantities} <= told
            assert f"{precision} hessian_vector_products" in told

    def test_a_gradient_that_is_a_little_wrong(self, folder):
        def spoil(module):
            right = module.loss_and_gradients

            def wrong(state, batch, training=False):
                objective, gradients = right(state, batch, training=training)
                factor = 1 + (1e-9 if module.REAL is np.float64 else 1e-4)
                return objective, {name: g * g.dtype.type(factor) for name, g in gradients.items()}

            module.loss_and_gradients = wrong

        wrong = failed(check(folder, "xor", spoil))
        assert {"f64 gradients", "f64 gradients in training", "f32 gradients"} <= wrong
        assert "f64 outputs" not in wrong

    def test_a_trainer_that_forgets_the_short_batch(self, folder):
        def spoil(module):
            right = module.Trainer

            class Wrong(right):
                def step(self, batch):
                    return super().step(batch) if len(batch["x"]) == parity.ROWS else 0.0

            module.Trainer = Wrong

        assert failed(check(folder, "xor", spoil)) == {"f64 three steps", "f32 three steps"}

    def test_draws_are_equal_bit_for_bit(self, folder):
        assert not failed(check(folder, "draws"))

        def spoil(module):
            right = module.loss_and_gradients

            def wrong(state, batch, training=False):
                objective, gradients = right(state, batch, training=training)
                return objective, {**gradients, "u": np.nextafter(gradients["u"], 1)}

            module.loss_and_gradients = wrong

        assert failed(check(folder, "draws", spoil)) == {"f64 draws", "f32 draws"}

    def test_a_function_that_raises_hides_no_other(self, folder):
        def spoil(module):
            def refuse(state, inputs):
                raise MemoryError("no room\nat all")

            module.predict = refuse

        found = check(folder, "xor", spoil)
        assert failed(found) == {"f64 outputs", "f32 outputs"}
        assert {row.detail for row in found if row.status == "failed"} == {"MemoryError: no room"}

    def test_another_initial_state(self, folder):
        def spoil(module):
            right = module.init
            module.init = lambda seed=0: right(seed + 1)

        assert failed(check(folder, "xor", spoil)) == {"f64 initial state", "f32 initial state"}

    def test_a_model_that_cannot_be_compiled(self, folder):
        both = entries(folder, "xor")
        both["f64"] = replace(both["f64"], problem="LackingError: cupy lacks sort")
        found: list[tuple[str, str, str]] = []

        def emit(what, status, detail="", **values):
            found.append((what, status, detail))

        parity.check_model(folder, dict.fromkeys(both, both["f64"]), emit, parity.host_side)
        assert found == [(p, "failed", "LackingError: cupy lacks sort") for p in ("f64", "f32")]


class TestPrepared:
    def test_of_another_checkout(self, folder, tmp_path):
        with pytest.raises(prepared.StaleError, match="no modules are prepared"):
            prepared.read_manifest(tmp_path)
        content = json.loads((folder / prepared.MANIFEST).read_text())
        (tmp_path / prepared.MANIFEST).write_text(json.dumps({**content, "fingerprint": "0"}))
        with pytest.raises(prepared.StaleError, match="another state of the checkout"):
            prepared.read_manifest(tmp_path)

    def test_the_fingerprint_sees_compiler_and_models(self, tmp_path):
        for name in ("graphc/a.py", "models/b.gc", "tools/gpu_check/prepare.py"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("old")
        seen = {prepared.fingerprint(tmp_path)}
        for name in ("graphc/a.py", "models/b.gc", "tools/gpu_check/prepare.py"):
            (tmp_path / name).write_text("new")
            seen.add(prepared.fingerprint(tmp_path))
        assert len(seen) == 4

    def test_what_a_model_has_no_function_for(self, folder):
        entry = entries(folder, "draws")["f32"]
        assert "per_example_gradients" in entry.lacking
        assert "hessian_vector_products" in entry.products

    def test_every_model_and_benchmark_is_a_job(self):
        found = {(Path(path).stem, precision, kind) for path, precision, kind in prepare.jobs()}
        for path in (prepared.ROOT / "models").glob("*.gc"):
            assert {(path.stem, "f32", "model"), (path.stem, "f64", "model")} <= found
        assert {name for name, _, kind in found if kind == "benchmark"} == set(prepare.BATCHES)


CHILD = """
import subprocess, sys, time
sys.path.insert(0, {tools!r})
from pathlib import Path
from gpu_check.rows import writing
emit = writing(Path(sys.argv[2]), "part", sys.argv[1])
emit("first", "ok")
if sys.argv[1] == "hangs":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    time.sleep(60)
if sys.argv[1] == "dies":
    sys.exit("CUDA is spoilt")
"""


class TestProcesses:
    def run(self, part: running.Part, seconds: float) -> list[Row]:
        code = CHILD.format(tools=str(TOOL.parent))
        found: list[Row] = []

        def command(part, item, path, seconds):
            return [sys.executable, "-c", code, item, str(path)]

        running.run_part(part, seconds, command, found.extend)
        return found

    def test_what_ends_early_is_told_and_the_others_go_on(self):
        part = running.Part("part", ("dies", "fine"), 1, workers=2)
        found = {(row.item, row.what): row for row in self.run(part, 20)}
        assert found.keys() == {("dies", "first"), ("dies", "the rest"), ("fine", "first")}
        assert found["dies", "the rest"].detail == "exit status 1: CUDA is spoilt"
        assert found["dies", "the rest"].status == "failed"

    def test_time(self, monkeypatch):
        """One that hangs is stopped; nothing is started that has no time."""
        monkeypatch.setattr(running, "LEAST", 1.0)
        start = time.monotonic()
        part = running.Part("part", ("hangs", "fine"), 1, limit=1.5)
        found = self.run(part, 4)
        assert time.monotonic() - start < 10
        assert [(row.item, row.what, row.status) for row in found] == [
            ("hangs", "first", "ok"),
            ("hangs", "the rest", "left out"),
            ("fine", "first", "ok"),
        ]
        assert found[1].detail == "not finished after 2 s"
        assert [row.detail for row in self.run(part, 0.5)] == ["no time was left"] * 2

    def test_time_that_is_not_needed_goes_on(self):
        parts = [running.Part("a", ("x",), 1), running.Part("b", ("x",), 3)]
        assert running.shares(parts, 100) == 25
        assert running.shares(parts[1:], 90) == 90

    def test_a_row_that_is_cut_off(self, tmp_path):
        emit = rows.writing(tmp_path / "rows", "part", "item")
        emit("one", "ok", error=1e-12)
        with (tmp_path / "rows").open("a") as file:
            file.write('{"part": "part", "it')
        assert rows.read_rows(tmp_path / "rows") == [
            Row("part", "item", "one", "ok", "", {"error": 1e-12})
        ]
