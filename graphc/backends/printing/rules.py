"""What a state is at the beginning, and the optimizers' rules: ``init`` and the plain update."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from graphc.backends.printing.functions import clock_preamble, gap, real_line
from graphc.backends.printing.names import NameAllocator
from graphc.backends.printing.plain import PlainBody
from graphc.backends.printing.text import DTYPES, Dims, leaf_label, symbols_in
from graphc.backends.printing.writer import Writer, harmless, quoted
from graphc.ir import Body, Type
from graphc.model.program import ModelSpec, OptimizerGroup
from graphc.schedule import UpdatePlan

__all__ = ["print_decay", "print_init", "print_update", "rule_body"]


def print_init(w: Writer, spec: ModelSpec, runs: bool) -> None:
    """``init(seed, dtype)``; ``runs`` if the state holds the length of the run."""
    values = Writer(1)
    for name, parameter in spec.parameters.items():
        _initial(values, name, parameter.type, parameter.init)
    for name, state in spec.states.items():
        _initial(values, name, state.type, state.init)
    with w.block("def init(seed=0, dtype=REAL):"):
        w.docstring("A fresh state. Each draw depends on the seed and its place in the model only.")
        w.line("seed = int(seed)")
        with w.block("if not 0 <= seed < 2**63:"):
            w.line('raise ValueError(f"the seed is {seed}, not in 0..2**63-1")')
        if any("real" in line for line in values.lines):
            w.line("real = np.dtype(dtype).type")
        w.line("state = {}")
        w.append(values)
        for number, group in enumerate(spec.groups):
            _initial_optimizer(w, number, group)
        w.line('state["step"] = np.array(0)')
        w.line('state["seed"] = np.array(seed)')
        if runs:
            w.line('state["epochs"] = np.array(EPOCHS or 0)')
            w.line('state["steps_per_epoch"] = np.array(STEPS_PER_EPOCH or 0)')
        w.line("return state")
    gap(w)


def _initial(w: Writer, name: str, type: Type, init: Body) -> None:
    names = NameAllocator()
    (result,) = init.results
    dims = Dims([], names)
    body = PlainBody(init.graph, [result], names, dims, leaf_label, {result: name}, step="0")
    for text, comment, _ in body.lines:
        w.line(text, comment)
    w.line(f"state[{quoted(name)}] = np.array({body.value[result]}, dtype={DTYPES[type.kind]})")


def _initial_optimizer(w: Writer, number: int, group: OptimizerGroup) -> None:
    if not group.states:
        return
    with w.block(f"for name in GROUPS[{number}]:"):
        for state in group.states:
            key = f"name + {quoted(f':{state.name}')}"
            w.line(f"state[{key}] = np.full_like(state[name], {state.initial!r})")


def print_update(w: Writer, spec: ModelSpec) -> None:
    """``_updated(state, gradients)``: the optimizers' rules, parameter by parameter."""
    bodies = [rule_body(group.body, ["name"]) for group in spec.groups]
    with w.block("def _updated(state, gradients):"):
        w.docstring("A new state with every parameter updated by its optimizer.")
        if any(body.reads("real") for body in bodies):
            w.line(real_line(spec))
        w.line("new = dict(state)")
        for number, (group, body) in enumerate(zip(spec.groups, bodies, strict=True)):
            w.line()
            w.line("", harmless(group.title))
            _update_group(w, number, group, body)
        w.line("return new")
    gap(w)


def rule_body(rule: Body, taken: Iterable[str]) -> PlainBody:
    """The statements of an optimizer's rule, beside variables that are ``taken``. Its operands are
    parameter, gradient and states, and it may have one more, which is only read."""
    graph, names = rule.graph, NameAllocator(taken)
    dims = Dims(symbols_in(graph), names)
    given = {id: names.fresh(graph[id].op.label) for id in rule.operands}  # type: ignore[attr-defined]
    replaced = (rule.operands[0], *rule.operands[2 : len(rule.results) + 1])
    hints = {
        id: f"{given[operand]}_next"
        for id, operand in zip(rule.results, replaced, strict=True)
        if id not in given
    }
    return PlainBody(graph, rule.results, names, dims, leaf_label, hints, given)


def print_decay(w: Writer, updates: Sequence[UpdatePlan]) -> None:
    """``self._decay`` of a ``Trainer``, where a weight decay is not one number for all."""
    decays = [update.decay for update in updates]
    if any(decays):
        items = [_decay_text(number, decay) for number, decay in enumerate(decays)]
        w.items("self._decay = [", items, "]")


def _decay_text(number: int, decay: Mapping[str, float]) -> str:
    """The weight decay of every element, or None where one number is enough."""
    if not decay:
        return "None"
    values = ", ".join(map(repr, decay.values()))
    return f"_spread([{values}], GROUPS[{number}], views, real)"


def _update_group(w: Writer, number: int, group: OptimizerGroup, body: PlainBody) -> None:
    clock_preamble(w, body)
    scalar = {node.id for node in body.order if body.how[node.id] in ("scalar", "static")}
    scalar = {id for id in scalar if body.graph[id].tensor.shape == ()}
    for text, _, node in body.lines:
        if node is not None and node.id in scalar:
            w.line(text)
    keys = ["name", *(f"name + {quoted(f':{state.name}')}" for state in group.states)]
    w_id, g_id, *state_ids = group.body.operands
    with w.block(f"for name in GROUPS[{number}]:"):
        w.line(f"{body.given[w_id]} = state[name].reshape(-1)")
        w.line(f"{body.given[g_id]} = gradients[name].reshape(-1)")
        for id, key in zip(state_ids, keys[1:], strict=True):
            w.line(f"{body.given[id]} = state[{key}].reshape(-1)")
        for symbol in sorted(body.dims.used):
            w.line(f"{body.dims[symbol]} = {body.given[w_id]}.size")
        for text, _, node in body.lines:
            if node is not None and node.id not in scalar:
                w.line(text)
        for key, id in zip(keys, group.body.results, strict=True):
            w.line(f"new[{key}] = {_result(body, id)}")


def _result(body: PlainBody, id: int) -> str:
    if body.graph[id].tensor.shape == ():
        return f"np.full_like(state[name], {body.value[id]})"
    return f"{body.value[id]}.reshape(state[name].shape)"
