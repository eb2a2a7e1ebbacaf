"""Training on a GPU from end to end, beside the CPU. Everything that prepared modules can show is
in ``tools/gpu_check``; this needs the compiler and the runtime where the GPU is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture
def graphc():
    """The compiler, which needs what such a machine may lack."""
    pytest.importorskip("lark")
    pytest.importorskip("networkx")
    pytest.importorskip("safetensors")
    import graphc

    return graphc


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["digits", "diabetes", "xor221"])
def test_a_run_is_that_of_the_cpu(graphc, name, here):
    """Epoch by epoch in f64; the run goes on, is evaluated and predicts on the other target."""
    path, epochs = MODELS / f"{name}.gc", 3
    own = graphc.compile(path, precision="f64").train(epochs=epochs, folder=here / "cpu")
    run = graphc.compile(path, precision="f64", target="cupy").train(
        epochs=epochs, folder=here / "gpu"
    )
    for ours, theirs in zip(own.history, run.history, strict=True):
        assert theirs["objective"] == pytest.approx(ours["objective"], rel=1e-8)
    for parameter, values in own.state.items():
        assert isinstance(run.state[parameter], np.ndarray)
        np.testing.assert_allclose(run.state[parameter], values, rtol=1e-6, atol=1e-9)
    part = "test" if name != "xor221" else "all"
    there = graphc.load(here / "gpu", target="numpy")
    scores = run.evaluate(part)
    assert there.evaluate(part)["objective"] == pytest.approx(scores["objective"], rel=1e-9)
