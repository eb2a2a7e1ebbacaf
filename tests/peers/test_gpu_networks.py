"""The benchmarks of ``tools/gpu_check`` do the same work on both sides: PyTorch's networks, from
graphc's initial values, have graphc's losses step by step. Tried on the CPU, with few examples."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))

from gpu_check.benchmarks import AGREE, COMPARED, check_network
from gpu_check.inputs import batch_for
from gpu_check.peers import NETWORKS, torch_step
from gpu_check.prepared import NETWORKS as FOLDER

import graphc

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("name", NETWORKS)
def test_same_losses(name):
    import torch

    network = replace(NETWORKS[name], batch=8)
    module = graphc.compile(FOLDER / f"{name}.gc").module
    state, batch = module.init(seed=0), batch_for(module, network.batch)
    trainer = module.Trainer(state, network.batch)
    names = list(module.signature["parameters"])
    step = torch_step(torch, network, state, names, batch, device="cpu")
    for _ in range(COMPARED):
        assert float(step()) == pytest.approx(float(trainer.step(batch)), rel=AGREE)


def test_rows_of_a_network():
    """Every figure of the report is told, and a peer that does other work is found."""
    import torch

    network = NETWORKS["64-32-10"]
    module = SimpleNamespace(**vars(graphc.compile(FOLDER / "64-32-10.gc").module), place=dict)
    told = {}

    def emit(what, status, detail="", **values):
        told[what] = (status, detail, values)

    options = {"seconds": 1.0, "rounds": 2, "round_of": 0.01, "device": "cpu"}
    check_network(module, network, emit, torch, lambda: None, **options)
    assert told["graphc"][2]["times"]
    assert len(told["PyTorch eager"][2]["ratios"]) == 2
    assert told["PyTorch eager: same losses"][0] == "ok"
    assert told["torch.compile"][:2] == ("left out", "no time was left")
    narrower = replace(network, layers=network.layers[1:])  # without its first layer
    check_network(module, narrower, emit, torch, lambda: None, **options)
    assert told["PyTorch eager"][0] == "failed"
    smooth = SimpleNamespace(**{**vars(module), "init": lambda seed: module.init(seed=seed + 1)})
    smooth.Trainer = lambda state, rows: module.Trainer(module.init(seed=0), rows)
    check_network(smooth, network, emit, torch, lambda: None, **options)
    assert told["PyTorch eager: same losses"][0] == "failed"
