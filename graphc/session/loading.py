"""Generated source as a module in memory.

Only source that this process has generated is ever executed; nothing is read from a run folder.
"""

from __future__ import annotations

import itertools
import linecache
import types
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from graphc.runtime import Arrays, Module, Raw, RunError, check_batch, computing

__all__ = [
    "checked_batch",
    "doubles",
    "gradients_of",
    "load_source",
    "no_gradient",
    "taking_prepared",
]

_numbers = itertools.count(1)


def load_source(name: str, source: str) -> Module:
    """Execute generated source; tracebacks into it show its lines."""
    number = next(_numbers)
    filename = f"<graphc {name} {number}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    module = types.ModuleType(f"graphc_generated_{number}")
    exec(compile(source, filename, "exec"), module.__dict__)
    return cast(Module, module)


def taking_prepared(module: Module, *, need_targets: bool = True) -> Module:
    """The same module for arrays that are inputs and targets already: nothing is prepared.

    Its columns are the inputs and targets themselves; constants of the data stay what they are.
    Labels are numbers, so a view that reads targets does not know them by name.
    """
    names = [*module.signature["inputs"], *module.signature["targets"]]
    entries = {**module.signature["inputs"], **module.signature["targets"]}

    def prepare(raw: Raw, state: Arrays) -> Arrays:
        return {name: _converted(raw[name], entries[name], module.REAL) for name in raw}

    view: Any = types.SimpleNamespace(**vars(module))
    view.fit = None
    view.prepare = prepare
    view.classes = {} if need_targets else module.classes
    view.signature = {**module.signature, "columns": {name: [name] for name in names}}
    return cast(Module, view)


def checked_batch(module: Module, batch: Mapping[str, ArrayLike]) -> Arrays:
    """Inputs and targets given from Python, in the model's precision, checked against it."""
    view = taking_prepared(module)
    given = {name: np.asarray(values) for name, values in batch.items()}
    arrays = view.prepare({n: a for n, a in given.items() if n in view.signature["columns"]}, {})
    single = module.signature["batch"] is None
    check_batch({n: a[None] if single else a for n, a in arrays.items()}, view.signature)
    return arrays


def doubles(arrays: Mapping[str, Any]) -> Arrays:
    """Reals in double precision, everything else as it is."""
    return {
        name: np.asarray(array, np.float64) if np.asarray(array).dtype.kind == "f" else array
        for name, array in arrays.items()
    }


def no_gradient(name: str, *, has_objective: bool) -> RunError:
    """Why a model has no gradient: it minimises nothing, or nothing in it is learned."""
    if has_objective:
        return RunError(
            f"{name} learns nothing, so there is no gradient",
            help="declare a parameter that is not frozen: param NAME: type = value",
        )
    return RunError(
        f"{name} has no loss, so there is no gradient", help="declare one: loss NAME = expression"
    )


def gradients_of(
    module: Module, state: Arrays, batch: Arrays, *, training: bool = False
) -> tuple[float, Arrays]:
    """The generated function of that name. RunError where there is nothing to minimise or learn."""
    function = getattr(module, "loss_and_gradients", None)
    if function is None or not module.signature["objective"]:
        raise no_gradient(
            module.signature["model"],
            has_objective=bool(module.signature["losses"]) or not module.signature["parameters"],
        )
    with computing():
        objective, gradients = function(state, batch, training=training)
    return float(objective), cast(Arrays, gradients)


def _converted(array: Any, entry: Mapping[str, Any], real: Any) -> Any:
    """Reals in the model's precision; all else as it is, so that the checks can see it."""
    array = np.asarray(array)
    return array.astype(real, copy=False) if entry["kind"] == "real" else array
