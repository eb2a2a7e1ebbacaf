"""What `explain` shows: the derivation of ∂objective/∂NAME of a model at its example values."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.ir import Body, Call, Dim, is_real
from graphc.model import ModelSpec, Program
from graphc.ops import evaluate
from graphc.passes import run_passes
from graphc.passes.project import Project, has_choice
from graphc.passes.regularize import Regularize
from graphc.rendering.derivation import derive
from graphc.rendering.derivation_text import derivation_latex, derivation_text
from graphc.rendering.local import Formulas
from graphc.rendering.naming import OBJECTIVE, named_values
from graphc.rendering.numbers import Numbers
from graphc.rendering.steps import Derivation, Step
from graphc.runtime import RunError
from graphc.runtime.wording import did_you_mean, listing
from graphc.session.checking import deep_recursion
from graphc.session.loading import no_gradient
from graphc.session.model import Model, compile

__all__ = [
    "Explanation",
    "evaluated",
    "example_leaves",
    "example_lengths",
    "explain",
    "input_lengths",
]

MOST_STEPS = 40
"""Steps that are shown unasked; of a longer derivation the middle is left out."""


@dataclass(frozen=True)
class Explanation:
    """A derivation. ``steps`` are the values from NAME to the objective, each with its
    contributions; ``text`` and ``latex`` print it."""

    derivation: Derivation

    @property
    def steps(self) -> tuple[Any, ...]:
        return self.derivation.steps

    @property
    def gradient(self) -> Any:
        """∂objective/∂NAME, None without example values, 0 where nothing depends on NAME."""
        if self.derivation.nothing:
            return 0.0
        result = self.derivation.result
        return None if result is None else result.gradient

    @property
    def text(self) -> str:
        return derivation_text(self.derivation)

    @property
    def latex(self) -> str:
        return derivation_latex(self.derivation)

    def __str__(self) -> str:
        return self.text


def explain(
    model: Model | str | os.PathLike[str],
    name: str,
    *,
    set: Mapping[str, object] | None = None,
    at: Mapping[str, object] | None = None,
    all: bool = False,
) -> Explanation:
    """Derive ∂objective/∂``name``, a parameter, input or named value, step by step.

    Numbers are those at the example values, with the parameters' initial values, in double
    precision. ``all`` leaves no step out, however many there are. Raises CompileError for errors of
    the text, RunError for an unknown name and a model that minimises nothing.
    """
    if not isinstance(model, Model):
        model = compile(model, set=set, at=at)
    elif set or at:
        raise RunError("a compiled model has its settings", help="give the path with set and at")
    if not model.has_objective:
        raise no_gradient(model.name, has_objective=False)
    with deep_recursion(model.spec.path):
        return _explained(model, name, None if all else MOST_STEPS)


def _explained(model: Model, name: str, most: int | None) -> Explanation:
    program, setting = evaluated(model)
    known = named_values(model.checked.program.graph)
    full = _full_name(model.spec, name, frozenset(known.values()))
    spec = model.spec
    numbers = Numbers(example_leaves(spec), example_lengths(spec))
    found = [id for id, title in named_values(program.graph).items() if title == full]
    objective = program.roots["objective", ""]
    if not found:
        title = named_values(program.graph).get(objective, OBJECTIVE)
        nothing = f"the objective does not depend on {full}"
        return Explanation(Derivation(model.name, full, title, (), (), 0, (), 0, nothing, setting))
    _expect_real(program, found[0], full)
    return Explanation(
        derive(
            program.graph,
            objective,
            found[0],
            model=model.name,
            numbers=numbers,
            most=most,
            setting=setting,
        )
    )


def evaluated(model: Model, roles: Container[str] = ("objective",)) -> tuple[Program, str]:
    """The graph of roots of some roles in the evaluation projection, definitions still folded, and
    what to say of it: that it is that projection, and which definitions are the identity there."""
    program = model.checked.program.copy()
    program.roots = {key: id for key, id in program.roots.items() if key[0] in roles}
    program = run_passes(program, (Regularize(),))
    differs = has_choice(program.graph)
    program = run_passes(program, (Project(training=False),))
    idle = _without_identities(program) if differs else []
    if not differs:
        return program, ""
    verb = "is" if len(idle) == 1 else "are"
    return program, f"in evaluation{f', where {listing(idle)} {verb} the identity' if idle else ''}"


def _without_identities(program: Program) -> list[str]:
    """Drop uses of definitions that return what they take; those that have a name of their own
    stay. Returns the definitions."""
    graph = program.graph
    idle: dict[str, None] = {}
    moved: dict[int, int] = {}
    for node in graph.topological():
        if not isinstance(node.op, Call) or not _is_identity(node.op.body):
            continue
        idle[node.op.body.title] = None
        source = node.inputs[node.op.body.operands.index(node.op.body.results[0])]
        if not node.name:
            graph.replace_uses(node.id, source)
            moved[node.id] = source
    program.roots = {key: _final(moved, id) for key, id in program.roots.items()}
    graph.keep_only(graph.ancestors(program.roots.values()))
    return list(idle)


def _is_identity(body: Body) -> bool:
    return len(body.results) == 1 and body.results[0] in body.operands


def _final(moved: Mapping[int, int], id: int) -> int:
    while id in moved:
        id = moved[id]
    return id


def _full_name(spec: ModelSpec, name: str, known: frozenset[str]) -> str:
    """The name as values bear it; a value that is bound again and again is its last binding."""
    if name in known:
        return name
    if name in spec.aliases:
        return spec.aliases[name]
    bindings = [other for other in known if other.startswith(f"{name}#")]
    if bindings:
        return max(bindings, key=lambda other: int(other.rpartition("#")[2]))
    near = did_you_mean(name, [*known, *spec.aliases])
    raise RunError(
        f"{spec.name} has no value {name}",
        help=f"{near}its values are {listing(sorted(known))}",
    )


def _expect_real(program: Program, id: int, name: str) -> None:
    type = program.graph[id].type
    if not is_real(type):
        raise RunError(
            f"{name} is {type}: there is no derivative by it",
            help="ask for a real value",
        )


# ---------------------------------------------------------------------- example values


def example_leaves(spec: ModelSpec) -> dict[str, Any]:
    """Example values and initial parameters; those drawn at random only where all inputs have
    examples."""
    leaves: dict[str, Any] = {}
    complete = all(info.example is not None for info in spec.inputs.values())
    for name, info in spec.inputs.items():
        if info.example is not None:
            leaves[name] = np.asarray(info.example)
    for name, parameter in spec.parameters.items():
        if complete or not parameter.random:
            leaves[name] = _initial(spec, parameter.init)
    if complete:
        leaves.update({name: _initial(spec, state.init) for name, state in spec.states.items()})
    leaves.update(epoch=0.0, step=0, epochs=spec.train.epochs)
    return leaves


def _initial(spec: ModelSpec, init: Any) -> Any:
    (value,) = evaluate(init.graph, init.results, seed=spec.train.seed)
    return value


def example_lengths(spec: ModelSpec) -> dict[str, int]:
    """Symbolic dimensions by the shapes of the examples."""
    examples = {name: info.example for name, info in spec.inputs.items()}
    return input_lengths(
        spec, {name: example for name, example in examples.items() if example is not None}
    )


def input_lengths(spec: ModelSpec, arrays: Mapping[str, Any]) -> dict[str, int]:
    """Symbolic dimensions by the shapes of inputs."""
    lengths: dict[str, int] = {}
    for name, array in arrays.items():
        for size, length in zip(spec.inputs[name].type.shape, np.shape(array), strict=True):
            if isinstance(size, Dim) and str(size) in size.symbols:
                lengths[str(size)] = length
    return lengths


# --------------------------------------------------------------------------- as data


def as_json(explanation: Explanation) -> dict[str, Any]:
    """A derivation for a machine."""
    derivation = explanation.derivation
    return {
        "model": derivation.model,
        "name": derivation.name,
        "objective": derivation.objective,
        "setting": derivation.setting or None,
        "lengths": derivation.lengths,
        "gradient": explanation.gradient,
        "reason": derivation.nothing or None,
        "given": [_step(step) for step in derivation.given],
        "steps": [_step(step) for step in derivation.steps],
        "step_count": derivation.step_count,
        "paths": [{"names": path.names, "value": path.value} for path in derivation.paths],
        "path_count": derivation.path_count,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "kind": step.kind,
        "type": step.type,
        "formula": _both(step.formula),
        "expansion": _both(step.expansion),
        "value": step.value,
        "line": None if step.span is None else step.span.line,
        "gradient": step.gradient,
        "contribution_count": step.contribution_count,
        "contributions": [
            {
                "through": item.through,
                "formula": _both(item.formula),
                "upstream": item.upstream_value,
                "local": _both(item.local),
                "local_value": item.local_value,
                "value": item.value,
            }
            for item in step.contributions
        ],
    }


def _both(formulas: Formulas | None) -> dict[str, str] | None:
    return None if formulas is None else {"unicode": formulas.unicode, "latex": formulas.latex}
