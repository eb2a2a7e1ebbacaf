"""``python model.py --selftest``: a printed module checked against itself, in f64.

These functions go into every module as they are. The names below stand for what the module defines.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["SELFTEST", "TRAINER_SELFTEST"]

Arrays = dict[str, Any]

signature: dict[str, Any] = {}
example: Any = None
init: Any = None
load: Any = None
save: Any = None
predict: Any = None
evaluate: Any = None
loss_and_gradients: Any = None
Trainer: Any = None
_training: Any = None
_stepped: Any = None
_dtype: Any = None


def _selftest() -> int:
    """Check what the module claims; print what was checked; 0 if all of it holds, else 1."""
    random = np.random.default_rng(0)
    state = init(0, np.float64)
    for name in ("epochs", "steps_per_epoch"):
        if name in state:
            state[name] = np.array(4)
    batch, origin = _test_batch(state, random)
    print(f"self-test of {signature['model']} in f64, {origin}")
    checks = [_check_files(state), _check_outputs(state, batch)]
    if signature["objective"]:
        checks += _check_training(state, batch, random)
    else:
        print("  gradients: nothing is learned, so there is nothing to differentiate")
    print("passed" if all(checks) else "FAILED")
    return 0 if all(checks) else 1


def _test_batch(state: Arrays, random: Any) -> tuple[Arrays, str]:
    """The model's own example, or else a random batch on which the objective is finite."""
    if example is not None:
        return _own_example(), "on its example"
    for low in (None, 0.1):
        batch: Arrays = {}
        for group in ("inputs", "targets"):
            for name, entry in signature[group].items():
                batch[name] = _random_array(entry, random, low)
        if not signature["objective"] or np.isfinite(loss_and_gradients(state, batch)[0]):
            break
    kind = "normal" if low is None else "positive"
    return batch, f"on a random batch, its real numbers {kind}"


def _own_example() -> Arrays:
    """The example values as arrays."""
    entries = {**signature["inputs"], **signature["targets"]}
    return {
        name: np.asarray(value, dtype=_dtype(entries[name]["kind"], np.float64))
        for name, value in example.items()
    }


def _random_array(entry: Any, random: Any, low: Any) -> Any:
    """An array for one entry of the signature: 5 rows in a batch, 3 along other open dimensions."""
    sizes = [
        size if isinstance(size, int) else 5 if size == signature["batch"] else 3
        for size in entry["shape"]
    ]
    if entry["kind"] == "real":
        values = random.standard_normal(sizes) if low is None else random.uniform(low, 0.9, sizes)
        return np.asarray(values)
    return np.asarray(random.integers(0, entry.get("classes", 2), sizes)).astype(
        _dtype(entry["kind"], np.float64)
    )


def _report(what: str, good: bool, detail: str) -> bool:
    """Print a line of the report."""
    print(f"  {what}: {'ok' if good else 'WRONG'}, {detail}")
    return good


def _check_files(state: Arrays) -> bool:
    """A state comes back from a file as it was."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "state.npz")
        save(path, state)
        again = load(path)
    same = all(
        again[name].dtype == np.asarray(state[name]).dtype
        and np.array_equal(again[name], state[name], equal_nan=True)
        for name in state
    )
    return _report("save and load", same and again.keys() == state.keys(), f"{len(state)} arrays")


def _check_outputs(state: Arrays, batch: Arrays) -> bool:
    """Outputs have the shapes that the signature states; losses and metrics can be computed."""
    sizes: dict[Any, int] = {}
    for name, entry in {**signature["inputs"], **signature["targets"]}.items():
        sizes.update(zip(entry["shape"], np.shape(batch[name]), strict=True))
    outputs = predict(state, {name: batch[name] for name in signature["inputs"]})
    good = True
    for name, entry in signature["outputs"].items():
        stated = tuple(sizes.get(size, size) for size in entry["shape"])
        known = all(isinstance(size, int) for size in stated)
        good = good and (not known or outputs[name].shape == stated)
    values = evaluate(state, batch)
    names = [*signature["losses"], *signature["metrics"]]
    good = good and set(values) == set(names)
    return _report("outputs", good, f"{len(outputs)} outputs, {len(names)} losses and metrics")


SELFTEST: list[Callable[..., Any]] = [
    _selftest,
    _test_batch,
    _own_example,
    _random_array,
    _report,
    _check_files,
    _check_outputs,
]


# ----------------------------------------------------------------------------- training


def _check_training(state: Arrays, batch: Arrays, random: Any) -> list[bool]:
    """Everything that concerns gradients."""
    objective, _ = loss_and_gradients(state, batch)
    if not np.isfinite(objective):
        return [_report("gradients", False, f"the objective is {objective} on this batch")]
    return [
        _check_gradients(state, batch, random),
        _check_symmetry(state, batch, random),
        _check_trainer(state, batch),
    ]


def _moved(state: Arrays, direction: Arrays, distance: float) -> Arrays:
    """The state with parameters moved along a direction."""
    return {**state, **{name: state[name] + distance * d for name, d in direction.items()}}


def _check_gradients(state: Arrays, batch: Arrays, random: Any) -> bool:
    """Gradients against central differences of the objective."""
    gradients = loss_and_gradients(state, batch)[1]
    small = sum(gradient.size for gradient in gradients.values() if gradient.size <= 64)
    count, kinks, worst, where = 0, 0, 0.0, ""
    for name, gradient in gradients.items():
        for direction in _directions(gradient, small <= 400, len(gradients), random):
            error = _slope_error(
                state, batch, {name: direction}, float((gradient * direction).sum())
            )
            count += 1
            if error is None:
                kinks += 1
            elif error >= worst:
                worst, where = error, name
    detail = f"{count} slopes, largest error {worst:.1e} of 1e-6 allowed ({where})"
    if kinks:
        detail += f"; {kinks} at kinks left out"
    return _report("gradients = finite differences", worst <= 1e-6 and kinks < count, detail)


def _directions(gradient: Any, every: bool, tensors: int, random: Any) -> Any:
    """Every entry of a small tensor if these are few in all; else a few random directions."""
    if gradient.size <= 64 and every:
        for entry in range(gradient.size):
            direction = np.zeros(gradient.size)
            direction[entry] = 1.0
            yield direction.reshape(gradient.shape)
        return
    for _ in range(4 if tensors <= 20 else 1):
        direction = np.asarray(random.standard_normal(gradient.shape))
        yield direction / np.sqrt((direction**2).sum())


def _slope_error(state: Arrays, batch: Arrays, direction: Arrays, slope: float) -> Any:
    """Relative error of a slope, the best over some step sizes; None at a kink."""
    here = loss_and_gradients(state, batch)[0]
    scale = max(abs(slope), 1e-3 * (1.0 + abs(here)))
    errors, gaps = [], []
    for distance in (1e-4, 1e-5, 1e-6):
        ahead = loss_and_gradients(_moved(state, direction, distance), batch)[0]
        behind = loss_and_gradients(_moved(state, direction, -distance), batch)[0]
        errors.append(abs((ahead - behind) / (2.0 * distance) - slope) / scale)
        gaps.append(abs(ahead - 2.0 * here + behind) / distance)
    # The slopes on both sides differ by a gap, which at a smooth point shrinks with the step.
    kink = gaps[2] > 0.3 * gaps[0] and gaps[2] > 1e-7 * (1.0 + abs(here))
    return None if kink and min(errors) > 1e-6 else min(errors)


def _check_symmetry(state: Arrays, batch: Arrays, random: Any) -> bool:
    """u·Hv = v·Hu for the Hessian H, its products by central differences of the gradient."""
    gradients = loss_and_gradients(state, batch)[1]
    worst = 0.0
    for _ in range(3):
        u, v = (
            {name: np.asarray(random.standard_normal(g.shape)) for name, g in gradients.items()}
            for _ in range(2)
        )
        worst = max(worst, _asymmetry(state, batch, u, v))
    return _report(
        "Hessian is symmetric", worst <= 1e-5, f"largest error {worst:.1e} of 1e-5 allowed"
    )


def _asymmetry(state: Arrays, batch: Arrays, u: Arrays, v: Arrays) -> float:
    """|u·Hv − v·Hu| beside their size, the best over some step sizes: a kink may spoil one."""
    best = np.inf
    for distance in (1e-5, 1e-6, 1e-7):
        products = []
        for along, against in ((v, u), (u, v)):
            ahead = loss_and_gradients(_moved(state, along, distance), batch)[1]
            behind = loss_and_gradients(_moved(state, along, -distance), batch)[1]
            products.append(
                sum(
                    float((against[name] * (ahead[name] - behind[name])).sum()) / (2.0 * distance)
                    for name in along
                )
            )
        scale = max(abs(products[0]), abs(products[1]), 1e-3)
        best = min(best, abs(products[0] - products[1]) / scale)
    return float(best)


def _check_trainer(state: Arrays, batch: Arrays) -> bool:
    """Two steps of the trainer, the second with a short batch, against the plain functions."""
    rows = _rows(batch)
    trainer = Trainer(state, rows)
    worst = 0.0
    for part in (batch, _first_rows(batch, max(1, rows - 2))):
        expected, state = _stepped(state, part)
        worst = max(worst, _difference(float(trainer.step(part)), expected))
        actual = trainer.state()
        worst = max(worst, *(_difference(actual[name], state[name]) for name in state))
    return _report(
        "steps in place = plain steps",
        worst <= 1e-9,
        f"largest difference {worst:.1e} of 1e-9 allowed",
    )


def _rows(batch: Arrays) -> int:
    """Number of examples."""
    for group in ("inputs", "targets"):
        for name, entry in signature[group].items():
            if signature["batch"] in entry["shape"]:
                axis = entry["shape"].index(signature["batch"])
                return int(np.shape(batch[name])[axis])
    return 1


def _first_rows(batch: Arrays, count: int) -> Arrays:
    """The first examples of a batch."""
    part = dict(batch)
    for group in ("inputs", "targets"):
        for name, entry in signature[group].items():
            if list(entry["shape"][:1]) == [signature["batch"]]:
                part[name] = batch[name][:count]
    return part


def _difference(actual: Any, expected: Any) -> float:
    """The largest difference, beside the size of what is expected."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    if actual.shape != expected.shape or not np.all(np.isfinite(actual)):
        return float("inf")
    scale = max(1e-3, float(np.abs(expected).max(initial=0.0)))
    return float(np.abs(actual - expected).max(initial=0.0)) / scale


TRAINER_SELFTEST: list[Callable[..., Any]] = [
    _check_training,
    _moved,
    _check_gradients,
    _directions,
    _slope_error,
    _check_symmetry,
    _asymmetry,
    _check_trainer,
    _rows,
    _first_rows,
    _difference,
]
