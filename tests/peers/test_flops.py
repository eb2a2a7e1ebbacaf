"""Operations in matrix products and convolutions against PyTorch's own count.

PyTorch counts 2 for a multiplication and an addition, products and convolutions only, and a
convolution as a product with every window, those in the padding included: so is it lowered here.
Neither side computes the gradient by the data, so the first layer takes two products, not three.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import graphc
from graphc.ir import Dim
from graphc.schedule.costs import flops

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install graphc[peers]")
pytestmark = pytest.mark.peers

nn = torch.nn
MODELS = Path(__file__).resolve().parents[2] / "models"
BATCH = 64


def digits() -> tuple[Any, Any]:
    """The network of models/digits.gc without dropout, and a batch for it."""
    layers = [nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)]
    return nn.Sequential(*layers), torch.rand(BATCH, 64)


def lenet5() -> tuple[Any, Any]:
    """The network of models/lenet5.gc, and a batch for it."""
    convolutions = [
        *(nn.Conv2d(1, 6, 5, padding="same"), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
    ]
    dense = [nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    return nn.Sequential(*convolutions, nn.Flatten(), *dense), torch.rand(BATCH, 1, 28, 28)


def products(program: Any) -> int:
    """Operations of all matrix products of a program, for that batch."""
    total = 0
    for node in program.graph:
        if node.op.name in ("matmul", "einsum"):
            work = flops(node, program.graph, "compute")
            bound = work.bind({"n": BATCH}) if isinstance(work, Dim) else work
            assert isinstance(bound, int)
            total += bound
    return total


@pytest.mark.parametrize("build", [digits, lenet5])
def test_a_model_takes_the_operations_that_pytorch_counts(
    build: Callable[[], tuple[Any, Any]],
) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model = graphc.compile(MODELS / f"{build.__name__}.gc")
    programs = model.generated.programs
    network, x = build()
    assert model.parameter_count == sum(p.numel() for p in network.parameters())
    with FlopCounterMode(display=False) as forward:
        logits = network(x)
    assert products(programs.prediction) == forward.get_total_flops()
    with FlopCounterMode(display=False) as backward:
        nn.functional.cross_entropy(logits, torch.zeros(BATCH, dtype=torch.int64)).backward()
    both = forward.get_total_flops() + backward.get_total_flops()
    assert products(programs.training) == both
