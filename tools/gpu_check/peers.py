"""The same networks in PyTorch, from the same initial values, and their training step.

Matrix products and convolutions are strict f32 (no TF32), Adam is the fused one, and a step reads
nothing back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

__all__ = ["NETWORKS", "Network", "torch_step"]

Step = Callable[[], Any]
"""Trains on the batch once; the loss before it, still on the device."""


@dataclass(frozen=True)
class Network:
    """Layers in order; ``image`` is the shape of the maps that are flattened, rows first."""

    name: str
    batch: int
    layers: tuple[Any, ...]
    image: tuple[int, int, int] | None = None


def _dense(*sizes: int) -> tuple[Any, ...]:
    layers: list[Any] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [("dense", fan_in, fan_out), "relu"]
    return tuple(layers[:-1])


NETWORKS = {
    network.name: network
    for network in (
        Network("784-1024-1024-10", 256, _dense(784, 1024, 1024, 10)),
        Network("784-4096-4096-10", 8192, _dense(784, 4096, 4096, 10)),
        Network("64-32-10", 32, _dense(64, 32, 10)),
        Network(
            "lenet5",
            256,
            (
                ("conv", 1, 6, 5, 2), "relu", "pool",
                ("conv", 6, 16, 5, 0), "relu", "pool",
                "flatten", *_dense(400, 120, 84, 10),
            ),
            image=(5, 5, 16),
        ),
    )
}  # fmt: skip
"""The benchmarks, by the names of their model files."""


def strict(torch: Any) -> None:
    """f32 products in f32, and the fastest convolutions of it."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True


def build(torch: Any, network: Network, state: Mapping[str, Any], names: list[str]) -> Any:
    """The network with the values of a state; ``names`` are its parameters in order of layers."""
    layers = [_layer(torch, layer) for layer in network.layers]
    learned = [layer for layer in layers if hasattr(layer, "weight")]
    if len(names) != 2 * len(learned):
        raise ValueError(f"{network.name} has the parameters {', '.join(names)}")
    image = network.image
    for layer, weight, bias in zip(learned, names[::2], names[1::2], strict=True):
        values = np.asarray(state[weight])
        if values.ndim == 4:
            values = values.transpose(3, 2, 0, 1)  # PyTorch: units, channels, down, across
        else:
            if image is not None:
                values = _channels_first(values, image)
                image = None
            values = values.T
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(values)))
            layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(state[bias])))
    return torch.nn.Sequential(*layers)


def _channels_first(values: Any, image: tuple[int, int, int]) -> Any:
    """Rows of the first matrix behind images, in the order in which PyTorch flattens them."""
    return values.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(values.shape)


def _layer(torch: Any, layer: Any) -> Any:
    nn = torch.nn
    if layer == "relu":
        return nn.ReLU()
    if layer == "pool":
        return nn.MaxPool2d(2)
    if layer == "flatten":
        return nn.Flatten()
    if layer[0] == "dense":
        return nn.Linear(layer[1], layer[2])
    return nn.Conv2d(layer[1], layer[2], layer[3], padding=layer[4])


def torch_step(
    torch: Any,
    network: Network,
    state: Mapping[str, Any],
    names: list[str],
    batch: Mapping[str, Any],
    *,
    mode: str = "eager",
    device: str = "cuda",
) -> Step:
    """A training step. ``mode`` is ``eager``, or one of ``torch.compile``'s."""
    strict(torch)
    model = build(torch, network, state, names).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    images = np.asarray(batch["x"])
    if images.ndim == 4:
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    x = torch.from_numpy(images).to(device)
    y = torch.from_numpy(np.asarray(batch["y"], np.int64)).to(device)

    def loss_of(x: Any, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(x), y)

    if mode != "eager":
        loss_of = torch.compile(loss_of, mode=mode)

    def step() -> Any:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step
