"""The ``Trainer``: a step over fixed arrays, every call writing into memory that is already there.

``gradients`` prints its pass forward and backward, ``update`` its update of the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphc.backends.numpy.functions import gap, real_line
from graphc.backends.numpy.gradients import GradientsPrinter
from graphc.backends.numpy.update import print_update
from graphc.backends.numpy.writer import Writer, quoted
from graphc.model.program import ModelSpec, Program

__all__ = ["print_trainer"]


def print_trainer(
    w: Writer, spec: ModelSpec, program: Program, clock_of: Mapping[str, str]
) -> None:
    """``Trainer``. ``clock_of`` gives, for each length of the run that it must know, the clock."""
    gradients = GradientsPrinter(spec, program)
    with w.block("class Trainer:"):
        w.docstring(
            "Training over fixed arrays: the numbers of the plain functions, computed faster.",
            "",
            "`batch_size` is the largest batch that will come; `state` is left as it is. A",
            "schedule that reads `epoch`, `epochs` or `steps` needs the length of the run, from",
            "the arguments, the state or this file.",
        )
        w.line()
        _print_start(w, spec, clock_of, gradients)
        gradients.print_step(w)
        _print_state(w)
        gradients.print_bind(w, clock_of)
        _print_room(w)
        print_update(w, spec, clock_of)
    gap(w)


def _print_start(
    w: Writer, spec: ModelSpec, clock_of: Mapping[str, str], gradients: GradientsPrinter
) -> None:
    with w.block("def __init__(self, state, batch_size, steps_per_epoch=None, epochs=None):"):
        w.line("_check_state(state)")
        w.line(real_line(spec))
        w.line("self._real = real")
        w.line('self._step, self._seed = int(state["step"]), int(state["seed"])')
        w.line("self._batch_size = batch_size")
        w.line('self._views = {name: np.array(state[name], order="C") for name in state}')
        for name, clock in clock_of.items():
            needs = quoted(clock) if clock else None
            arguments = f"{quoted(name)}, {name}, state, {name.upper()}, {needs}"
            w.line(f"self._{name} = _known({arguments})")
            w.line(f"self._views[{quoted(name)}] = np.array(self._{name})")
        w.line(
            "weights, views = _joined(state, [name for names in GROUPS for name in names], real)"
        )
        w.line("slopes = np.zeros_like(weights)")
        w.line("self._views.update(views)")
        w.line("self._gradients = _views(slopes, views, views)")
        w.line("self._flat = _grouped(state, weights, slopes, self._views)")
        w.line("self._memory, self._bound = {}, {}")
        w.line("self._update = self._bind_update()")
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


def _print_room(w: Writer) -> None:
    with w.block("def _room(self, slot, shape, dtype):"):
        w.docstring("An array in the memory of a slot, which grows when a larger one is needed.")
        w.line("size = math.prod(shape)")
        w.line("memory = self._memory.get(slot)")
        with w.block("if memory is None or memory.size < size:"):
            w.line("memory = self._memory[slot] = np.empty(size, dtype=dtype)")
        w.line("return memory[:size].reshape(shape)")
    w.line()
