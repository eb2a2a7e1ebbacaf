"""What a module for a device promises beside its numbers: where arrays come back, what is read
when, and that a step that goes wrong there is told when the state is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gpu_check.rows import first_line

__all__ = ["face_problems"]

Arrays = Mapping[str, Any]
ROWS = 13

COUNTERS = ("step", "seed", "epochs", "steps_per_epoch")
"""Numbers of the run, which the host reads in every step: they are there wherever the state is."""


def face_problems(
    module: Any, own: Any, cp: Any, state: Arrays, batch: Arrays, *, driven: bool = False
) -> list[str]:
    """Every promise that is broken, in words. ``own`` is the module for the CPU. One that is
    ``driven`` by a line search reads its objectives."""
    checks = [_places, _feeding]
    if module.signature["objective"]:
        checks += [_states, _not_finite, _bad_labels]
    if module.signature["objective"] and not driven:
        checks.append(_objectives)
    problems = []
    for check in checks:
        try:
            problems += list(check(module, own, cp, state, batch))
        except Exception as problem:  # what one promise raises must not hide the others
            problems.append(f"{check.__name__.strip('_').replace('_', ' ')}: {first_line(problem)}")
    return problems


def _places(module: Any, own: Any, cp: Any, state: Arrays, batch: Arrays) -> Iterator[str]:
    """Outputs are where the inputs were, gradients where the state was."""
    there, given = module.place(state), module.place(batch)
    for name, array in given.items():
        if not isinstance(array, cp.ndarray):
            yield f"place leaves {name} on the host"
    again = module.place(given)
    if any(again[name] is not given[name] for name in given):
        yield "place copies what is there"
    if module.signature["outputs"]:
        yield from _all(module.predict(state, batch), np.ndarray, "outputs of NumPy inputs")
        yield from _all(module.predict(there, given), cp.ndarray, "outputs of CuPy inputs")
    if module.signature["objective"]:
        objective, gradients = module.loss_and_gradients(state, given)
        yield from _all(gradients, np.ndarray, "gradients of a NumPy state")
        if not isinstance(objective, float):
            yield f"the objective of loss_and_gradients is a {type(objective).__name__}"
        yield from _all(module.loss_and_gradients(there, batch)[1], cp.ndarray, "of a CuPy state")


def _all(arrays: Arrays, kind: type, what: str) -> Iterator[str]:
    odd = [name for name, array in arrays.items() if not isinstance(array, kind)]
    if odd:
        yield f"{what}: {type(arrays[odd[0]]).__name__} for {', '.join(odd)}"


def _feeding(module: Any, own: Any, cp: Any, state: Arrays, batch: Arrays) -> Iterator[str]:
    """``room`` and ``ahead``."""
    room = module.room()
    if not isinstance(room, int) or room <= 0:
        yield f"room() is {room!r}"
    batches = [({n: np.asarray(a + k).astype(a.dtype) for n, a in batch.items()}, k)
               for k in range(4)]  # fmt: skip
    counts = []
    for arrays, count in module.ahead(iter(batches)):  # each is valid until the next is asked for
        counts.append(count)
        for name, array in arrays.items():
            if not isinstance(array, cp.ndarray):
                yield f"ahead leaves {name} on the host"
            elif not np.array_equal(cp.asnumpy(array), batches[count][0][name]):
                yield f"ahead changes {name} of batch {count}"
    if counts != [count for _, count in batches]:
        yield "ahead does not give each batch once and in order"


def _objectives(module: Any, own: Any, cp: Any, state: Arrays, batch: Arrays) -> Iterator[str]:
    """A step's objective is not read back."""
    trainer = module.Trainer(dict(state), ROWS, steps_per_epoch=2, epochs=2)
    objective = trainer.step(module.place(batch))
    if not isinstance(objective, cp.ndarray):
        yield f"a step gives a {type(objective).__name__}"
    elif objective.shape != () or objective.dtype != np.float64:
        yield f"a step gives {objective.dtype} of shape {objective.shape}"


def _states(module: Any, own: Any, cp: Any, state: Arrays, batch: Arrays) -> Iterator[str]:
    """A trainer's state is where the one was that it was given, and the same in both places."""
    found = []
    given = module.place(batch)
    for kind, where, start in (
        (np.ndarray, "on the host", dict(state)),
        (cp.ndarray, "on the device", module.place(state)),
    ):
        trainer = module.Trainer(start, ROWS, steps_per_epoch=2, epochs=2)
        trainer.step(given)
        after = trainer.state()
        there = {name: array for name, array in after.items() if name not in COUNTERS}
        yield from _all(there, kind, f"the state of a trainer that was given one {where}")
        found.append({name: cp.asnumpy(array) for name, array in after.items()})
    first, second = found
    if any(not np.array_equal(first[name], second[name], equal_nan=True) for name in first):
        yield "the state after a step depends on where it was before"


def _not_finite(module: Any, own: Any, cp: Any, state: Arrays, batch: Arrays) -> Iterator[str]:
    """FloatingPointError that names the step."""
    names = list(module.signature["parameters"])
    spoiled = {**state, names[0]: np.full_like(state[names[0]], np.nan)}
    first = _raised(own, spoiled, batch)
    reached = isinstance(first, FloatingPointError) or not _finite(own, spoiled, batch)
    if not reached:
        return
    raised = _raised(module, spoiled, module.place(batch))
    if not isinstance(raised, FloatingPointError):
        yield f"parameters that are not numbers: {_said(raised)} in place of FloatingPointError"
    elif not any(letter.isdigit() for letter in str(raised)):
        yield f"parameters that are not numbers: no step is named in: {raised}"


def _finite(own: Any, state: Arrays, batch: Arrays) -> bool:
    return bool(np.isfinite(own.loss_and_gradients(dict(state), dict(batch))[0]))


def _bad_labels(module: Any, own: Any, cp: Any, state: Arrays, batch: Arrays) -> Iterator[str]:
    """The error that NumPy's module raises for a label out of range."""
    for name, array in batch.items():
        if array.dtype.kind != "i":
            continue
        wrong = array.copy()
        wrong.flat[-1] = 1_000_000
        expected = _raised(own, state, {**batch, name: wrong})
        if expected is None:
            continue
        raised = _raised(module, state, module.place({**batch, name: wrong}))
        if not isinstance(raised, (ValueError, IndexError)):
            yield f"a label 1000000 of {name}: {_said(raised)} in place of {_said(expected)}"


def _raised(module: Any, state: Arrays, batch: Arrays) -> Exception | None:
    """What a step, or the state asked for after it, raises."""

    def go() -> None:
        trainer = module.Trainer(dict(state), ROWS, steps_per_epoch=2, epochs=2)
        trainer.step(batch)
        trainer.state()

    return _caught(go)


def _caught(call: Callable[[], None]) -> Exception | None:
    try:
        call()
    except Exception as problem:  # which one it is, is the question
        return problem
    return None


def _said(problem: Exception | None) -> str:
    return "nothing is raised" if problem is None else first_line(problem)
