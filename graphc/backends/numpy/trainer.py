"""The ``Trainer``: a step over fixed arrays, every call writing into memory that is already there.

``gradients`` prints its pass forward and backward, ``update`` its update of the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphc.backends.numpy.gradients import GradientsPrinter
from graphc.backends.numpy.selection import select
from graphc.backends.numpy.update import print_update
from graphc.backends.printing.functions import gap, real_line
from graphc.backends.printing.rules import print_decay
from graphc.backends.printing.writer import Writer, quoted
from graphc.model.program import ModelSpec, Program
from graphc.schedule import TrainingPlan, likely_sizes, plan_training

__all__ = ["plan_trainer", "print_trainer"]


def plan_trainer(spec: ModelSpec, program: Program, *, reuse: bool = True) -> TrainingPlan:
    """The plan that a ``Trainer`` is printed from."""
    return plan_training(
        program,
        symbols=spec.symbols,
        dims=likely_sizes(spec),
        select=select,
        reuse=reuse,
    )


def print_trainer(
    w: Writer,
    spec: ModelSpec,
    program: Program,
    clock_of: Mapping[str, str],
    *,
    reuse: bool = True,
) -> None:
    """``Trainer``. ``clock_of`` gives, for each length of the run that it must know, the clock."""
    training = plan_trainer(spec, program, reuse=reuse)
    gradients = GradientsPrinter(spec, training.passes)
    with w.block("class Trainer:"):
        w.docstring(
            "Training over fixed arrays: the numbers of the plain functions, computed faster.",
            "",
            "`batch_size` is the largest batch that will come; `state` is left as it is. A",
            "schedule that reads `epoch`, `epochs` or `steps` needs the length of the run, from",
            "the arguments, the state or this file.",
        )
        w.line()
        _print_start(w, spec, clock_of, gradients, training)
        gradients.print_step(w)
        _print_state(w)
        gradients.print_bind(w, clock_of)
        print_update(w, training, clock_of)
        w.line()
        gradients.print_reserve(w)
        _print_memory(w)
    gap(w)


def _print_start(
    w: Writer,
    spec: ModelSpec,
    clock_of: Mapping[str, str],
    gradients: GradientsPrinter,
    training: TrainingPlan,
) -> None:
    with w.block("def __init__(self, state, batch_size, steps_per_epoch=None, epochs=None):"):
        w.line("_check_state(state)")
        w.line(real_line(spec))
        w.line("self._real = real")
        w.line('self._step, self._seed = int(state["step"]), int(state["seed"])')
        w.line("self._batch_size = batch_size")
        w.line("weights, slopes, views = _flat_arrays(state, real)")
        w.line("self._gradients = _views(slopes, [n for names in GROUPS for n in names], views)")
        w.line("self._flat = _grouped(state, weights, slopes, views)")
        w.line("self._views = {n: views[n] if n in views else np.array(state[n]) for n in state}")
        for name, clock in clock_of.items():
            needs = quoted(clock) if clock else None
            arguments = f"{quoted(name)}, {name}, state, {name.upper()}, {needs}"
            w.line(f"self._{name} = _known({arguments})")
            w.line(f"self._views[{quoted(name)}] = np.array(self._{name})")
        print_decay(w, training.updates)
        count = len(training.passes.arena)
        w.line(f"self._sizes, self._constants = [-1] * {count}, {{}}")
        w.line("self._bound, self._current, self._update = {}, None, None")
        if gradients.symbols == [spec.batch]:
            w.line("self._bind(batch_size)")
        elif not gradients.symbols:
            w.line("self._bind()")
    w.line()


def _print_state(w: Writer) -> None:
    with w.block("def state(self):"):
        w.docstring("A copy of everything that the next step depends on.")
        w.line("state = {name: view.copy() for name, view in self._views.items()}")
        w.line('state["step"] = np.array(self._step)')
        w.line("return state")
    w.line()


def _print_memory(w: Writer) -> None:
    with w.block("def _room(self, slot, shape, dtype):"):
        w.docstring("An array at the beginning of a slot of the arena.")
        w.line("count = math.prod(shape) * np.dtype(dtype).itemsize")
        w.line("return self._slots[slot][:count].view(dtype).reshape(shape)")
    w.line()
    with w.block("def _number(self, name, dtype, value=0):"):
        w.docstring("A number as an array of no dimension, made once.")
        w.line("return self._constant(name, lambda: np.array(value, dtype=dtype))")
    w.line()
    with w.block("def _constant(self, name, make):"):
        w.docstring("An array that never changes, made once.")
        with w.block("if name not in self._constants:"):
            w.line("self._constants[name] = make()")
        w.line("return self._constants[name]")
