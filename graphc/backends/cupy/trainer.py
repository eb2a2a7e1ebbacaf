"""The ``Trainer`` on the device: flat arrays, one kernel an optimizer, and nothing read back."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.backends.cupy.table import KernelTable
from graphc.backends.kernels import Kernel, print_update
from graphc.backends.printing.functions import clock_preamble, gap, real_line
from graphc.backends.printing.plain import QUIET
from graphc.backends.printing.rules import print_decay, rule_body
from graphc.backends.printing.text import axis_of
from graphc.backends.printing.writer import Writer, harmless, quoted
from graphc.model.program import ModelSpec, Program
from graphc.schedule import UpdatePlan, update_plans

__all__ = ["print_trainer"]


def print_trainer(
    w: Writer,
    spec: ModelSpec,
    program: Program,
    step: str,
    table: KernelTable,
    clock_of: Mapping[str, str],
) -> None:
    """``Trainer``. ``step`` is the function that leaves gradients where they are wanted;
    ``clock_of`` gives, for each length of the run that is needed, the clock."""
    updates = update_plans(program)
    with w.block("class Trainer:"):
        w.docstring(
            "Training on the device, where the state lives: in a step nothing is copied but a",
            "batch that is given from the host, and nothing is read back.",
            "",
            "`batch_size` is the largest batch that will come; `state` is left as it is. The",
            "objective that a step gives is an array on the device, which `float` reads. Once one",
            "is not finite nothing is updated any more, and `state` says so. A schedule that reads",
            "`epoch`, `epochs` or `steps` needs the length of the run, from the arguments, the",
            "state or this file.",
        )
        w.line()
        _print_start(w, spec, clock_of, updates)
        _print_step(w, spec, step)
        _print_state(w)
        _print_updates(w, updates, table)
    gap(w)


def _print_start(
    w: Writer, spec: ModelSpec, clock_of: Mapping[str, str], updates: list[UpdatePlan]
) -> None:
    with w.block("def __init__(self, state, batch_size, steps_per_epoch=None, epochs=None):"):
        w.line("_check_state(state)")
        w.line(real_line(spec))
        w.line("self._batch_size = batch_size")
        w.line("self._here = any(isinstance(array, cp.ndarray) for array in state.values())")
        w.line("weights, slopes, views = _flat_arrays(state, real)")
        w.line("self._slopes = _views(slopes, [n for names in GROUPS for n in names], views)")
        w.line("self._flat = _grouped(state, weights, slopes, views)")
        w.line("rest = place({n: state[n].copy() for n in state if n not in views})")
        w.line("self._state = {n: views[n] if n in views else rest[n] for n in state}")
        for name, clock in clock_of.items():
            needs = quoted(clock) if clock else None
            known = f"_known({quoted(name)}, {name}, state, {name.upper()}, {needs})"
            w.line(f"self._state[{quoted(name)}] = np.array({known})")
        print_decay(w, updates)
        w.line("self._run = _kernels(real)")
        w.line("self._failed = cp.full(1, -1, cp.int64)", "the step that went wrong")
    w.line()


def _print_step(w: Writer, spec: ModelSpec, step: str) -> None:
    with w.block("def step(self, batch):"):
        w.docstring("One update; the objective before it, penalties included, not read back.")
        for name, info in spec.inputs.items():
            axis = None if spec.batch is None else axis_of(info.type, spec.batch)
            if axis is not None:
                piece = f"[{axis or ''}:{axis + 1}]"
                w.line(f"rows = cp.shape(batch[{quoted(name)}]){piece}")
                with w.block("if rows > (self._batch_size,):"):
                    announced = "at most {self._batch_size} were announced"
                    w.line(f'raise ValueError(f"the batch has {{rows[0]}} rows, {announced}")')
                break
        w.line(f"objective, following = {step}(self._state, batch, self._slopes)")
        w.line("objective = self._noted(objective)")
        w.line("self._update()")
        with w.block("for name, value in following.items():"):
            w.line("cp.copyto(self._state[name], value)")
        w.line('self._state["step"] = self._state["step"] + 1')
        w.line("return objective")
    w.line()
    with w.block("def _noted(self, objective):"):
        w.docstring("The objective as f64; one that is not finite stops the updates.")
        w.line("noted = cp.empty((), cp.float64)")
        arguments = 'objective, noted, self._failed, int(self._state["step"])'
        w.line(f"_each(self._run.note_objective, 1, {arguments})")
        w.line("return noted")
    w.line()


def _print_state(w: Writer) -> None:
    with w.block("def state(self):"):
        w.docstring(
            "A copy of everything that the next step depends on, where the state given was.",
            "",
            "FloatingPointError, ValueError or IndexError for what went wrong in a step.",
        )
        w.line("_expect_no_trouble()", "it may be why an objective is not finite")
        w.line("failed = int(self._failed[0])")
        with w.block("if failed >= 0:"):
            w.line('raise FloatingPointError(f"the objective is not finite at step {failed}")')
        w.line("copy = cp.array if self._here else _host", "the counters are on the host")
        w.line("kept = self._state.items()")
        copied = "copy(a) if isinstance(a, cp.ndarray) else np.array(a)"
        w.line(f"return {{n: {copied} for n, a in kept}}")
    w.line()


def _print_updates(w: Writer, updates: list[UpdatePlan], table: KernelTable) -> None:
    w.line(QUIET)
    with w.block("def _update(self):"):
        w.docstring("The optimizers' rules, each a kernel over its flat arrays.")
        rules = Writer(w.indent)
        for number, update in enumerate(updates):
            rules.line()
            rules.line("", harmless(update.title))
            _print_update(rules, number, update, table)
        timed = any("(state" in line or "state[" in line for line in rules.lines)
        w.line("run, state = self._run, self._state" if timed else "run = self._run")
        w.append(rules)


def _print_update(w: Writer, number: int, update: UpdatePlan, table: KernelTable) -> None:
    body = rule_body(update.body, ["run", "state", "self"])
    graph, given = body.graph, body.given
    single = {id for id, how in body.how.items() if how in ("scalar", "static", "literal")}
    single = {id for id in single if not graph[id].tensor.shape}
    numbers = {id: body.value[id] for id in single}
    kernel = table.enter(
        print_update(
            update.body,
            update.labels,
            names={label: given[id] for label, id in zip(update.labels, given, strict=True)},
            clocks={**body.called, **numbers},
            name=table.free_name(update.title.partition("{")[0]),
        )
    )
    lines = [text for text, _, node in body.lines if node is not None and node.id in single]
    clock_preamble(w, body)
    for line in lines:
        w.line(line)
    arrays = f"(*self._flat[{number}], self._decay[{number}])"
    arrays = arrays if update.decay else f"self._flat[{number}]"
    w.line(f"{', '.join(given.values())} = {arrays}")
    w.line(f"_each(run.{kernel.main.name}, {_arguments(kernel, given, numbers)})")


def _arguments(kernel: Kernel, given: Mapping[int, str], numbers: Mapping[int, str]) -> str:
    entry, first = kernel.main, next(iter(given.values()))
    texts = [f"{first}.size", *(given[id] for id in (*entry.inputs, *entry.outputs))]
    texts += [numbers[id] for id in entry.numbers]
    texts += [f"{first}.size" for _ in entry.sizes]
    return ", ".join([*texts, "self._failed"])
