"""A module for the GPU against the one for the CPU: every function, on the same state and batch.

Both modules are plain Python files; nothing here imports graphc. The tolerances are in
``errors.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpu_check.errors import Arrays, Finding, compare, compare_rounded
from gpu_check.face import face_problems
from gpu_check.inputs import batch_for, first_rows, moved_state, tangents_for
from gpu_check.prepared import Entry, load_module
from gpu_check.rows import Emit, first_line

__all__ = ["QUANTITIES", "Side", "check_model", "quantities"]

ROWS = 13
"""Examples of a batch: no multiple of anything that a kernel may count in."""

DRAWS = "draws"
"""The network whose gradients are what was drawn."""

SHORT = 7
"""Examples of the last step's batch."""

WITH_TANGENTS = ("hessian_vector_products", "gauss_newton_products", "penalty_products")

QUANTITIES = (
    "initial state",
    "face",
    "outputs",
    "losses",
    "metrics",
    "gradients",
    "gradients in training",
    "three steps",
)
"""Of every model that has them, beside the functions on request that it has."""


@dataclass(frozen=True)
class Side:
    """A module, and how arrays reach the memory that it computes in and come back."""

    module: Any
    put: Callable[[Arrays], dict[str, Any]]
    get: Callable[[Any], Any]
    library: Any = np

    def fetched(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.get(value) for name, value in arrays.items()}


def host_side(module: Any) -> Side:
    return Side(module, dict, np.asarray)


def device_side(module: Any, cp: Any) -> Side:
    """NumPy arrays of metrics, and numbers, are there already."""

    def get(value: Any) -> Any:
        return cp.asnumpy(value) if isinstance(value, cp.ndarray) else np.asarray(value)

    return Side(module, module.place, get, cp)


def check_model(
    folder: Path,
    entries: Mapping[str, Entry],
    emit: Emit,
    device: Callable[[Any], Side],
) -> None:
    """Rows for each quantity in f64, then in f32. ``entries`` are of one model, by precision."""
    for precision in ("f64", "f32"):
        entry = entries[precision]
        problem = entry.problem or entries["f64"].problem  # f32 is compared with f64
        if problem:
            emit(precision, "failed", problem, precision=precision, quantity="compiling")
            continue
        for function, why in entry.lacking.items():
            emit(f"{precision} {function}", "told", why, precision=precision, lacking=function)
        _check_precision(folder, entries, precision, emit, device)


def _check_precision(
    folder: Path,
    entries: Mapping[str, Entry],
    precision: str,
    emit: Emit,
    device: Callable[[Any], Side],
) -> None:
    entry = entries[precision]
    own = host_side(load_module(folder / entry.files["numpy"]))
    try:
        peer = device(load_module(folder / entry.files["cupy"]))
    except Exception as problem:
        emit(f"{precision} import", "failed", first_line(problem), precision=precision)
        return
    truth = None if precision == "f64" else _in_double(folder, entries["f64"])
    state, batch = moved_state(own.module), batch_for(own.module, ROWS)
    ours = dict(quantities(own, state, batch, entry.products))
    theirs = dict(quantities(peer, state, batch, entry.products))
    doubled = {} if truth is None else dict(truth(state, batch, entry.products))
    for name, ask in theirs.items():
        _tell(emit, precision, name, *_finding(ask, ours[name], doubled.get(name)))
    _tell(emit, precision, "initial state", *_same_states(own, peer))
    if entry.name == DRAWS:
        _tell(emit, precision, "draws", *_same_draws(own, peer, state, batch))
    if peer.library is not np:
        both = peer.module, own.module
        driven = bool(entry.driver)
        problems = face_problems(*both, peer.library, state, batch, driven=driven)
        status = "failed" if problems else "ok"
        emit(f"{precision} face", status, "; ".join(problems), precision=precision, quantity="face")


def _in_double(folder: Path, entry: Entry) -> Callable[..., Any]:
    """The quantities in f64 at f32 numbers."""
    side = host_side(load_module(folder / entry.files["numpy"]))

    def ask(state: Arrays, batch: Arrays, products: list[str]) -> Any:
        return quantities(side, _doubles(state), _doubles(batch), products)

    return ask


def _doubles(arrays: Arrays) -> dict[str, Any]:
    return {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in arrays.items()}


def _finding(
    ask: Callable[[], Arrays],
    expected: Callable[[], Arrays],
    truth: Callable[[], Arrays] | None,
) -> tuple[Finding | None, str]:
    """How far it is, or the exception that was raised."""
    wanted = expected()
    try:
        got = ask()
    except Exception as problem:  # what one function raises must not hide the others
        return None, first_line(problem)
    if truth is None:
        return compare(got, wanted), ""
    return compare_rounded(got, wanted, truth()), ""


def _same_states(own: Side, peer: Side) -> tuple[Finding | None, str]:
    """Draws of initial values are equal bit for bit: both are made on the host."""
    ours, theirs = own.module.init(seed=5), peer.module.init(seed=5)
    odd = sorted(ours.keys() ^ theirs.keys())
    odd += [n for n in ours if n in theirs and not _equal(ours[n], theirs[n])]
    if odd:
        return Finding(float("inf"), 0.0, odd[0]), ""
    return Finding(0.0, 0.0, ""), ""


def _same_draws(own: Side, peer: Side, state: Arrays, batch: Arrays) -> tuple[Finding | None, str]:
    """Uniform numbers and truth values equal the CPU's bit for bit; they are the gradients of
    ``u`` and ``w``. Normal ones, of ``v``, are made of logarithms and are held to rounding."""
    ask = {side: dict(quantities(side, state, batch, []))["gradients in training"]
           for side in (own, peer)}  # fmt: skip
    try:
        ours, theirs = ask[own](), ask[peer]()
    except Exception as problem:
        return None, first_line(problem)
    odd = [name for name in ("u", "w") if not np.array_equal(ours[name], theirs[name])]
    return (Finding(float("inf"), 0.0, odd[0]) if odd else Finding(0.0, 0.0, "")), ""


def _equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)


def _tell(emit: Emit, precision: str, name: str, finding: Finding | None, problem: str) -> None:
    if finding is None:
        emit(f"{precision} {name}", "failed", problem, precision=precision, quantity=name)
        return
    status = "ok" if finding.good else "failed"
    detail = "" if finding.good else f"{finding.error:.1e}, {finding.allowed:.1e} allowed"
    if detail and finding.where:
        detail += f", in {finding.where}"
    emit(
        f"{precision} {name}",
        status,
        detail,
        precision=precision,
        quantity=name,
        error=finding.error,
        allowed=finding.allowed,
        where=finding.where,
    )


# -------------------------------------------------------------------------- what is asked


def quantities(
    side: Side, state: Arrays, batch: Arrays, products: list[str]
) -> Iterator[tuple[str, Callable[[], Arrays]]]:
    """Each by name, computed when it is called; its arrays come back to the host."""
    module, signature = side.module, side.module.signature

    def call(function: str, *more: Any, **options: Any) -> Any:
        given = [side.put(arrays) for arrays in more]
        return getattr(module, function)(side.put(state), side.put(batch), *given, **options)

    def gradients(training: bool) -> Arrays:
        objective, found = call("loss_and_gradients", training=training)
        return {**side.fetched(found), "value:objective": side.get(objective)}

    def losses() -> Arrays:
        objective, found = call("losses")
        return side.fetched({**found, "objective": objective})

    if signature["outputs"]:
        yield "outputs", lambda: side.fetched(call("predict"))
    if signature["losses"]:
        yield "losses", losses
    if signature["metrics"]:
        yield "metrics", lambda: side.fetched(call("metrics"))
    if not signature["objective"]:
        return
    yield "gradients", lambda: gradients(False)
    yield "gradients in training", lambda: gradients(True)
    for name in products:
        yield name, _product(side, call, name, state, batch)
    yield "three steps", lambda: three_steps(side, state, batch)


def _product(
    side: Side, call: Callable[..., Any], name: str, state: Arrays, batch: Arrays
) -> Callable[[], Arrays]:
    """A function on request; those that take tangents get two."""

    def ask() -> Arrays:
        if name in WITH_TANGENTS:
            gradients = call("loss_and_gradients")[1]
            shapes = {n: g.shape for n, g in gradients.items()}
            return side.fetched(call(name, tangents_for(shapes, state, 2)))
        if name == "layer_hessian_products":
            widths = {n: g.shape[1:] for n, g in call("layer_gradients").items()}
            return side.fetched(call(name, tangents_for(widths, state, 2)))
        return side.fetched(call(name))

    return ask


def three_steps(side: Side, state: Arrays, batch: Arrays) -> Arrays:
    """The objectives of three steps, the last with a shorter batch, and the state after them."""
    module = side.module
    trainer = module.Trainer(dict(state), ROWS, steps_per_epoch=2, epochs=2)
    short = first_rows(module, batch, SHORT)
    objectives = [trainer.step(side.put(each)) for each in (batch, batch, short)]
    told = {f"value:objective {k + 1}": side.get(value) for k, value in enumerate(objectives)}
    return {**side.fetched(trainer.state()), **told}
