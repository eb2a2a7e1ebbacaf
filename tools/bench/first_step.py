"""Time the first training step of a deep network in this process: for first_steps.py.

    python tools/bench/first_step.py graphc|jax|torch LAYERS

The network: 32 numbers, LAYERS of dense{32} and ReLU, dense{10}, cross-entropy, Adam, f32, 32
examples. The clock starts when the library is imported and ends when the objective is known and
the parameters are updated. It includes whatever the library loads, compiles and links by then.
graphc's starts at the text of the model and includes initial values and the Trainer's arrays; in
the peers these are made before. Prints a JSON object: seconds, or what went wrong; the version.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

WIDTH, CLASSES, BATCH = 32, 10, 32

MODEL = """model deep
input x: real[n, {width}]
target y: label{{{classes}}}[n]
h = x
repeat block in 1..{layers} {{
  h = h |> dense{{{width}}} |> relu
}}
loss ce = cross_entropy(h |> dense{{{classes}}}, y)
train {{ optimizer = adam{{1e-3}} }}
"""

Found = dict[str, Any]


def model_text(layers: int) -> str:
    return MODEL.format(width=WIDTH, classes=CLASSES, layers=layers)


def examples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, WIDTH)).astype(np.float32)
    return x, rng.integers(0, CLASSES, BATCH)


def timed(step: Callable[[], float]) -> Found:
    start = time.perf_counter()
    objective = step()
    seconds = time.perf_counter() - start
    return {"seconds": seconds} if math.isfinite(objective) else {"error": "not finite"}


def graphc_first_step(layers: int) -> Found:
    import graphc

    x, y = examples()

    def step() -> float:
        module = graphc.compile(model_text(layers)).module
        trainer = module.Trainer(module.init(0), BATCH)
        return float(trainer.step({"x": x, "y": y}))

    return {**timed(step), "version": f"graphc {graphc.__version__}"}


def jax_first_step(layers: int) -> Found:
    """`jax.jit` of value, gradient and Adam together."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    params = [
        (jnp.asarray(rng.normal(0, WIDTH**-0.5, (WIDTH, outs)), jnp.float32), jnp.zeros(outs))
        for outs in [WIDTH] * layers + [CLASSES]
    ]
    zeros = jax.tree.map(jnp.zeros_like, params)
    x, y = map(jnp.asarray, examples())

    def objective(params: Any, x: Any, y: Any) -> Any:
        for w, b in params[:-1]:
            x = jax.nn.relu(x @ w + b)
        w, b = params[-1]
        logp = jax.nn.log_softmax(x @ w + b)
        return -jnp.take_along_axis(logp, y[:, None], axis=1).mean()

    @jax.jit
    def update(params: Any, m: Any, v: Any, t: Any, x: Any, y: Any) -> Any:
        value, g = jax.value_and_grad(objective)(params, x, y)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        rate, root = 1e-3 / (1 - 0.9**t), 1 - 0.999**t
        params = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v / root) + 1e-8), params, m, v
        )
        return value, params, m, v

    def step() -> float:
        return float(jax.block_until_ready(update(params, zeros, zeros, 1.0, x, y))[0])

    return {**timed(step), "version": f"JAX {jax.__version__}"}


def torch_first_step(layers: int) -> Found:
    """`torch.compile` of network and loss, its gradient, then the fused Adam.

    Its compiler recurses along the layers: 1,000 are beyond Python's usual limit.
    """
    import torch

    torch.manual_seed(0)
    hidden = [m for _ in range(layers) for m in (torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU())]
    network = torch.nn.Sequential(*hidden, torch.nn.Linear(WIDTH, CLASSES))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    x, y = map(torch.from_numpy, examples())

    @torch.compile
    def objective(x: Any, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(network(x), y)

    def step() -> float:
        value = objective(x, y)
        value.backward()
        optimizer.step()
        return float(value.detach())

    sys.setrecursionlimit(100_000)
    threading.stack_size(512 << 20)
    with ThreadPoolExecutor(1) as deep:
        found = deep.submit(timed, step).result()
    from torch._inductor import config

    threads = f"{torch.get_num_threads()} threads, {config.compile_threads} compile threads"
    return {**found, "version": f"PyTorch {torch.__version__} ({threads})"}


PEERS = {"jax": jax_first_step, "torch": torch_first_step}


def main(library: str, layers: int) -> Found:
    """Seconds, or what went wrong in a peer."""
    if library == "graphc":
        return graphc_first_step(layers)
    try:
        return PEERS[library](layers)
    except ModuleNotFoundError as problem:
        if problem.name != library:
            raise
        return {"error": "not installed"}
    except Exception as problem:
        lines = str(problem).strip().splitlines()
        return {"error": ": ".join([type(problem).__name__, *lines[:1]])[:100]}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
