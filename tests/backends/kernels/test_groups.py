"""Groups as kernels: what the reference evaluator gives, for random groups and those of models."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_host import HostModule
from kernel_runs import (
    Opened,
    Run,
    check_kernels,
    host_module,
    kernels_of,
    source_of,
    values_of,
)
from random_programs import ROWS, leaves, random_program
from shorter_models import SHORTER

import graphc
from graphc.backends.kernels import Kernel
from graphc.ir import Type
from graphc.ops import evaluate
from graphc.ops.leaves import Clock, Leaf
from graphc.schedule import size_value

MODELS = Path(__file__).resolve().parents[3] / "models"
MANY_KINDS = ("custom", "lenet5", "lstm", "transformer")


def random_kernels(seeds: range) -> list[Opened]:
    return [kernels_of(random_program(seed), f"p{seed}_") for seed in seeds]


def all_of(found: list[Opened]) -> list[Kernel]:
    return [kernel for one in found for kernel in one.kernels]


def check_random(seeds: range, real: Any, **how: int) -> None:
    found = random_kernels(seeds)
    module = host_module(all_of(found), real)
    for seed, one in zip(seeds, found, strict=True):
        check_kernels(one, module, leaves(seed), {"n": ROWS}, real, **how)


def test_random_groups():
    check_random(range(40), np.float64)


def test_random_groups_are_of_all_sorts():
    """Else the test above would say nothing of them."""
    kernels = all_of(random_kernels(range(40)))
    assert len(kernels) > 100
    sorts = Counter((kernel.kind, bool(kernel.totals)) for kernel in kernels)
    assert min(sorts[kind, total] for kind in ("elements", "rows") for total in (0, 1)) > 2
    assert sum(any(kernel.in_place.values()) for kernel in kernels) > 30


@pytest.mark.slow
@pytest.mark.parametrize("real", [np.float32, np.float64], ids=["f32", "f64"])
def test_many_more_random_groups(real: Any):
    check_random(range(40, 240), real)


@pytest.mark.parametrize(("threads", "blocks"), [(2, 1), (8, 2)])
def test_threads_of_a_block_work_together(threads: int, blocks: int):
    check_random(range(6), np.float64, block=threads, blocks=blocks)


@pytest.mark.slow
def test_many_threads_of_a_block_work_together():
    check_random(range(5), np.float32, block=256, blocks=2)
    check_random(range(5, 25), np.float64, block=32, blocks=3)


def test_blocks_and_threads_that_are_more_than_elements():
    check_random(range(4), np.float64, block=4, blocks=40)


# ------------------------------------------------------------------------------- models


def model_kernels(name: str) -> list[Opened]:
    """Large models with less of the same."""
    path = MODELS / f"{name}.gc"
    old, new = SHORTER.get(name, ("", ""))
    text = path.read_text(encoding="utf-8").replace(old, new) if old else path
    programs = graphc.compile(text).generated.programs
    parts = ("training", "evaluation", "losses", "metrics", "prediction")
    there = {part: getattr(programs, part) for part in parts}
    return [kernels_of(program, f"{part}_") for part, program in there.items() if program]


def leaf_values(found: Opened, dims: dict[str, int]) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    values: dict[str, Any] = {}
    for node in found.graph:
        if isinstance(node.op, Clock):
            values[node.op.which] = 4.0
        elif isinstance(node.op, Leaf) and hasattr(node.op, "label"):
            values[node.op.label] = _drawn(node.tensor, dims, rng)
    return values


def _drawn(type: Type, dims: dict[str, int], rng: np.random.Generator) -> np.ndarray:
    shape = tuple(size_value(size, dims) for size in type.shape)
    if type.kind == "real":
        return rng.normal(size=shape)
    return rng.random(shape) < 0.5 if type.kind == "bool" else rng.integers(0, type.classes, shape)


def check_model(name: str, real: Any, **how: int) -> None:
    """Every group by one thread; of equal ones the first by many."""
    found = model_kernels(name)
    if how:
        for one in found:
            one.kernels = [*{kernel.key: kernel for kernel in one.kernels}.values()]
    module = host_module(all_of(found), real)
    for one in found:
        dims = {symbol: 6 for node in one.graph for symbol in _symbols(node.type)}
        check_kernels(one, module, leaf_values(one, dims), dims, real, **how)


def _symbols(type: Any) -> set[str]:
    sizes = getattr(type, "shape", ())
    return {symbol for size in sizes if not isinstance(size, int) for symbol in size.symbols}


def test_groups_of_a_model():
    check_model("digits", np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", MANY_KINDS)
def test_groups_of_models(name: str):
    """Those of all models are in the modules that `tests/backends/cupy` compares."""
    check_model(name, np.float64)
    check_model(name, np.float32, block=4, blocks=2)


def test_equal_groups_have_one_key():
    """Two layers' gradients are one kernel; the layers are not, for their draws differ."""
    training = model_kernels("digits")[0].kernels
    gradients = [kernel for kernel in training if kernel.title == "gradient of h: dropout, relu"]
    layers = [kernel for kernel in training if kernel.main.draws]
    assert len(gradients) == len(layers) == 2
    assert len({kernel.key for kernel in gradients}) == 1
    assert len({kernel.key for kernel in layers}) == 2
    assert len({kernel.source for kernel in gradients}) == 2


# ------------------------------------------------------------------------------- in place


def test_an_output_may_lie_where_an_operand_does():
    """Every pair that a kernel allows, one at a time."""
    found, checked = random_kernels(range(20)), 0
    module = host_module(all_of(found), np.float64)
    for seed, one in zip(range(20), found, strict=True):
        values = known_values(one, leaves(seed))
        run = Run(module, one.graph, {"n": ROWS}, np.float64, 7, 3)
        for kernel in one.kernels:
            apart = run(kernel, values)
            for output, inputs in kernel.in_place.items():
                for source in inputs:
                    over = run(kernel, values, {output: source})
                    for id, value in over.items():
                        np.testing.assert_array_equal(value, apart[id], kernel.source)
                    checked += 1
    assert checked > 40


def known_values(one: Opened, given: dict[str, Any]) -> dict[int, Any]:
    ids = [*{id for kernel in one.kernels for id in values_of(kernel)}]
    known = evaluate(one.graph, ids, given, dims={"n": ROWS}, seed=7, step=3)
    return dict(zip(ids, known, strict=True))


# ------------------------------------------------------------------------------- wrong ones


QUICK = [("[row]", "[0]"), ("column = i % ", "column = i / "), ("_part += ", "_part += 1 + ")]
WRONG = [
    ("[column]", "[0]"),
    ("row = i / ", "row = i % "),
    ("if (column == 0)", "if (column < 0)"),
    (" = -infinity()", " = 0"),
    ("seed, 0x", "seed + 1, 0x"),
    ("i < 3 * n", "i < 2 * n"),
    ("row < n", "row < n - 1"),
]


@pytest.mark.parametrize(
    ("right", "wrong"), [*QUICK, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in WRONG)]
)
def test_a_wrong_kernel_is_found(right: str, wrong: str):
    found = random_kernels(range(30))
    source = source_of(all_of(found))
    start = source.index('extern "C"')
    assert right in source[start:]
    text = source[:start] + source[start:].replace(right, wrong)
    module = HostModule(text, ("-DREAL=double", "-O0"))
    wrong_ones = 0
    for seed, one in zip(range(30), found, strict=True):
        try:
            check_kernels(one, module, leaves(seed), {"n": ROWS}, np.float64)
        except AssertionError:
            wrong_ones += 1
    assert wrong_ones
