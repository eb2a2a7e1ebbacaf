"""Every model in models/ gives the same numbers with groups and the memory plan, and without.

To the last bit, first and second derivatives included, since the operations and their order are the
same: a group is computed member by member, and a weight decay that has moved into the update is
``c * w + g`` there as it was before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
from features import (
    CUTS,
    EACH,
    FEATURES,
    LARGE,
    MODELS,
    NO_BATCH,
    PRODUCTS,
    fitting,
    tangents_of,
)

import graphc
from graphc.schedule import plan_training

NO_MEMORY_TO_REUSE = {"circuit"}
"""Models whose step has no array that dies before the next one is made."""
F32 = [MODELS / "digits.gc", MODELS / "lenet5.gc"]


def products_of(path: Path) -> list[str]:
    """All, but per-example gradients only where there is a batch of examples."""
    return [name for name in PRODUCTS if path.stem not in NO_BATCH or "example" not in name]


def same_bits(actual: Any, expected: Any) -> None:
    """Of an array, a number, or any of them in tuples and dicts."""
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
        for name in expected:
            same_bits(actual[name], expected[name])
    elif isinstance(expected, tuple | list):
        for one, other in zip(actual, expected, strict=True):
            same_bits(one, other)
    else:
        actual, expected = np.asarray(actual), np.asarray(expected)
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
        assert actual.tobytes() == expected.tobytes()


def values_of(module: Any, state: dict[str, Any], batch: dict[str, Any]) -> dict[str, Any]:
    """What the plain functions of a module give, by their names."""
    inputs = {name: batch[name] for name in module.signature["inputs"]}
    values = {
        "predict": module.predict(state, inputs),
        "evaluate": module.evaluate(state, batch),
        "training": module.loss_and_gradients(state, batch, training=True),
        "evaluation": module.loss_and_gradients(state, batch, training=False),
    }
    tangents = tangents_of(state, values["evaluation"][1], 2)
    for name in PRODUCTS:
        if hasattr(module, name):
            more = () if name == "per_example_gradients" else (tangents,)
            values[name] = getattr(module, name)(state, batch, *more)
    return values


def check_plain_functions(path: Path, products: list[str]) -> None:
    options: dict[str, Any] = {"precision": "f64", "products": products}
    options["cut"] = CUTS.get(path.stem, ()) if products else ()
    module, state, batch = fitting(graphc.compile(path, **options))
    plain = graphc.compile(path, fuse=False, **options).module
    fused, expected = values_of(module, state, batch), values_of(plain, state, batch)
    assert len(expected) == 4 + len(products)
    same_bits(fused, expected)


@EACH
def test_plain_functions_and_their_derivatives_are_the_same(path: Path) -> None:
    check_plain_functions(path, products_of(path))


@pytest.mark.parametrize("name", sorted(LARGE))
def test_plain_functions_of_large_models_are_the_same(name: str) -> None:
    """They take long to compile; their products and steps are compared in the second tier."""
    check_plain_functions(MODELS / f"{name}.gc", [])


def short(module: Any, batch: dict[str, Any]) -> dict[str, Any]:
    """The first four examples of a batch."""
    entries = {**module.signature["inputs"], **module.signature["targets"]}
    has_batch = {name for name, entry in entries.items() if entry["shape"][:1] == ["n"]}
    return {name: value[:4] if name in has_batch else value for name, value in batch.items()}


def trained(module: Any) -> list[dict[str, Any]]:
    """Objective and state after a step of a full batch, one of a short batch, one of another."""
    batches = [synthetic.batch(module, seed) for seed in (0, 1, 2)]
    batches[1] = short(module, batches[1])
    trainer = module.Trainer(module.init(3), synthetic.SIZES, steps_per_epoch=3, epochs=2)
    return [{"objective": trainer.step(batch), **trainer.state()} for batch in batches]


def check_steps(given: Path | str, precision: Any = "f64") -> None:
    found, plain, trainer = {}, {}, {}
    for fuse in (True, False):
        for reuse in (True, False):
            model = graphc.compile(given, precision=precision, fuse=fuse, reuse=reuse)
            plain[fuse, reuse], trainer[fuse, reuse] = model.source.split("\nclass Trainer")
            found[fuse, reuse] = trained(model.module)
        assert plain[fuse, True] == plain[fuse, False]
        reused = trainer[fuse, True] != trainer[fuse, False]
        assert reused == (model.spec.driver is None and model.name not in NO_MEMORY_TO_REUSE)
    assert (trainer[True, True] != trainer[False, True]) == (model.spec.driver is None)
    for values in found.values():
        same_bits(values, found[False, False])


@EACH
def test_steps_are_the_same(path: Path) -> None:
    check_steps(path)


@pytest.mark.parametrize("name", FEATURES)
def test_steps_of_features_are_the_same(name: str) -> None:
    check_steps(FEATURES[name])


@pytest.mark.parametrize("path", F32, ids=lambda path: path.stem)
def test_steps_in_f32_are_the_same(path: Path) -> None:
    check_steps(path, "f32")


def slots_in_use(path: Path, *, reuse: bool) -> list[int]:
    """The slot of each array that a step computes, gradients aside."""
    training = graphc.compile(path).generated.programs.training
    assert training is not None
    plan = plan_training(training, symbols=["n"], reuse=reuse).passes
    return [step.slot for step in plan.steps if step.how == "compute" and step.slot in plan.arena]


def test_only_with_reuse_arrays_share_memory() -> None:
    digits = MODELS / "digits.gc"
    apart, shared = slots_in_use(digits, reuse=False), slots_in_use(digits, reuse=True)
    assert len(apart) == len(shared) == len(set(apart)) > 2 * len(set(shared))
