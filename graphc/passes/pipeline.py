"""The pipeline: which passes, in which order, for which part of a generated module.

The verifier runs after every pass. ``observe`` is told each program before the first pass and
after every pass, for ``--dump-passes``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from graphc.ir import Body, Graph, Origin, verify
from graphc.model.program import ModelSpec, ParameterInfo, Program, Programs
from graphc.ops.leaves import Fitted, StateRead
from graphc.passes.base import Pass
from graphc.passes.cleanup import CommonSubexpressions, DeadCode, FoldConstants
from graphc.passes.differentiate import Differentiate
from graphc.passes.fuse import Fuse
from graphc.passes.inline import Inline
from graphc.passes.invert import restore_program
from graphc.passes.layer_products import LayerGradients, LayerHessianProducts, PenaltyAlone
from graphc.passes.loss_pieces import is_whole_loss
from graphc.passes.masks import Masks
from graphc.passes.products import GaussNewtonProducts, HessianProducts
from graphc.passes.project import Project, has_choice
from graphc.passes.regularize import Regularize
from graphc.passes.rescale import rescaled
from graphc.passes.second_order import BackpropagatedDiagonal, LayerCurvatures, LayerInputs
from graphc.passes.simplify import Simplify
from graphc.passes.stabilize import Stabilize
from graphc.passes.updates import Updates
from graphc.passes.vectorize import Vectorize

__all__ = ["CLEAN", "EVALUATION", "FORWARD", "TRAINING", "lower", "product_passes", "run_passes"]

CLEAN: tuple[Pass, ...] = (
    FoldConstants(),
    Simplify(),
    CommonSubexpressions(),
    Simplify(),
    CommonSubexpressions(),
)
"""What runs once calls are gone: each rewrite makes room for the others."""

TRAINING: tuple[Pass, ...] = (
    Regularize(),
    Project(training=True),
    Stabilize(),
    Differentiate(),
    Inline(),
    DeadCode(),
    *CLEAN,
    Updates(),
    Fuse(),
)
EVALUATION: tuple[Pass, ...] = (
    Regularize(),
    Project(training=False),
    Stabilize(),
    Differentiate(),
    Inline(),
    DeadCode(),
    *CLEAN,
    Fuse(),
)
FORWARD: tuple[Pass, ...] = (
    Regularize(penalties=False),
    Project(training=False),
    Stabilize(),
    Inline(),
    DeadCode(),
    *CLEAN,
)
"""What losses, metrics and outputs share; each of them is fused alone."""

ONCE: dict[str, Pass] = {
    "backpropagated_diagonal": BackpropagatedDiagonal(),
    "layer_inputs": LayerInputs(),
    "layer_curvatures": LayerCurvatures(),
    "layer_gradients": LayerGradients(),
}
"""Those of PRODUCTS that are of the batch as it is, not of many examples or tangents at once."""

Observer = Callable[[str, str, Program], None]
"""Told the part of the module, the pass that ran (empty at the start), and the program."""


def run_passes(
    program: Program, passes: tuple[Pass, ...], part: str = "", observe: Observer | None = None
) -> Program:
    """Apply passes in order; the program is taken over and rewritten."""
    if observe:
        observe(part, "", program)
    for step in passes:
        program = step.apply(program)
        verify(program.graph, program.roots.values())
        if observe:
            observe(part, step.name, program)
    return program


def lower(
    program: Program,
    observe: Observer | None = None,
    products: Sequence[str] = (),
    cut: tuple[str, ...] = (),
    fuse: bool = True,
) -> Programs:
    """Everything that a module is printed from. Takes the program over.

    ``products`` are names of :data:`PRODUCTS`, ``cut`` values of the model between network and
    loss (empty: the first argument of every loss of the prelude). Without ``fuse`` there are no
    groups but the optimizers' updates.
    """
    program.spec = _with_simple_updates(_with_simple_inits(program.spec))
    spec = (Masks().apply(program) if program.spec.masked else program).spec
    wanted = dict.fromkeys((*products, *_needed_products(spec)))
    extra = {name: _product(program, name, cut, fuse, observe) for name in wanted}
    forward = run_passes(
        _with_roots(program.copy(), ("loss", "metric", "output", "objective")),
        FORWARD,
        "evaluation",
        observe,
    )
    training = evaluation = None
    if ("objective", "") in program.roots and spec.learned:
        keep = ("objective", "next")
        program = _with_roots(program, keep)
        differs = _depends_on_projection(program)
        apart = program.copy() if differs else None
        training = run_passes(program, _chosen(TRAINING, fuse), "training", observe)
        roles = ("objective", "gradient")
        kept = {key: id for key, id in training.roots.items() if key[0] in roles}
        evaluation = Program(spec, training.graph, kept)
        if apart is not None:
            evaluation = run_passes(apart, _chosen(EVALUATION, fuse), "gradients", observe)
    return Programs(
        spec=spec,
        training=training,
        evaluation=evaluation,
        losses=_part(forward, ("loss", "objective"), fuse),
        metrics=_part(forward, ("metric",), fuse),
        prediction=_part(forward, ("output",), fuse),
        prepare=_prepare(spec, fitted=False, observe=observe),
        fit=_prepare(spec, fitted=True, observe=observe),
        restore=run_passes(restore_program(spec), (DeadCode(), *CLEAN), "restore", observe),
        products=extra,
    )


def _needed_products(spec: ModelSpec) -> tuple[str, ...]:
    """Products that training itself calls."""
    newton = spec.driver is not None and spec.driver.name == "newton"
    return ("hessian_vector_products",) if newton else ()


def _product(
    program: Program, name: str, cut: tuple[str, ...], fuse: bool, observe: Observer | None
) -> Program:
    """One of PRODUCTS, in the evaluation projection."""
    start = _with_roots(program.copy(), ("objective",))
    result = run_passes(start, product_passes(name, cut), name, observe)
    return _part(result, ("gradient", "product"), fuse)


def product_passes(name: str, cut: tuple[str, ...] = ()) -> tuple[Pass, ...]:
    """The passes behind one of PRODUCTS."""
    head: tuple[Pass, ...] = (Regularize(), Project(training=False))
    clean: tuple[Pass, ...] = (Inline(), DeadCode(), *CLEAN)
    if name in ONCE:
        return (*head, Stabilize(closed=is_whole_loss), ONCE[name], *clean)
    if name == "penalty_products":
        head = (*head, PenaltyAlone())
    derive: Pass
    stable = Stabilize()
    if name == "per_example_gradients":
        derive, over = Differentiate(), Vectorize("examples")
    elif name in ("hessian_vector_products", "penalty_products"):
        derive, over = HessianProducts(), Vectorize("tangents")
    elif name == "layer_hessian_products":
        derive, over = LayerHessianProducts(), Vectorize("tangents")
    else:
        derive, over = GaussNewtonProducts(cut), Vectorize("tangents")
        stable = Stabilize(keep=cut, open_calls=False)  # the cut must still be there
    return (*head, stable, derive, *clean, over, *CLEAN)


def _with_simple_inits(spec: ModelSpec) -> ModelSpec:
    """Initial values simplified, and told to come from the model's line, not the prelude's."""
    parameters = {name: _with_simple_init(spec, info) for name, info in spec.parameters.items()}
    return replace(spec, parameters=parameters)


def _with_simple_init(spec: ModelSpec, info: ParameterInfo) -> ParameterInfo:
    graph, origin = info.init.graph.copy(), Origin(info.span)
    program = Program(spec, graph, {("init", info.name): info.init.results[0]})
    program = Simplify().apply(FoldConstants().apply(program))
    for node in graph:
        node.origin = origin
    init = Body("initial value", "init", graph, (), tuple(program.roots.values()))
    return replace(info, init=init)


def _with_simple_updates(spec: ModelSpec) -> ModelSpec:
    """The optimizers' rules simplified, their states in units that save work."""
    groups = (replace(group, body=_simplified(spec, group.body)) for group in spec.groups)
    groups = (rescaled(group) for group in groups)
    groups = (replace(group, body=_simplified(spec, group.body)) for group in groups)
    return replace(spec, groups=tuple(groups))


def _simplified(spec: ModelSpec, body: Body) -> Body:
    """A body without calls, simplified; it keeps its operands, also those that it does not read."""
    operands = {("operand", str(i)): id for i, id in enumerate(body.operands)}
    results = {("result", str(i)): id for i, id in enumerate(body.results)}
    program = run_passes(Program(spec, body.graph.copy(), operands | results), CLEAN)
    return replace(body, graph=program.graph, results=tuple(program.roots[key] for key in results))


def _depends_on_projection(program: Program) -> bool:
    """Whether training and evaluation differ: a choice somewhere, or a state that moves."""
    spliced = [body.graph for splice in program.spec.splices for body in splice.bodies.values()]
    moves = any(role == "next" for role, _ in program.roots)
    return moves or any(has_choice(graph) for graph in (program.graph, *spliced))


def _with_roots(program: Program, roles: tuple[str, ...]) -> Program:
    program.roots = {key: id for key, id in program.roots.items() if key[0] in roles}
    return program


def _chosen(passes: tuple[Pass, ...], fuse: bool) -> tuple[Pass, ...]:
    """The passes, without those that fuse if that is not wanted."""
    if fuse:
        return passes
    kept = (step for step in passes if not isinstance(step, Fuse))
    return tuple(Updates(decay=False) if isinstance(step, Updates) else step for step in kept)


def _part(program: Program, roles: tuple[str, ...], fuse: bool) -> Program:
    """What some roots need, fused."""
    part = _with_roots(program.copy(), roles)
    return run_passes(part, _chosen((DeadCode(), Fuse()), fuse))


def _prepare(spec: ModelSpec, *, fitted: bool, observe: Observer | None) -> Program:
    """The data section's equations, or the constants that training fits for them."""
    graph = spec.prepare.graph.copy()
    roots = dict(spec.prepare.roots)
    for node in graph.topological():
        if isinstance(node.op, Fitted):
            new = node.inputs[0] if fitted else _read(graph, node.id, f"data.{node.op.place}")
            graph.replace_uses(node.id, new)
            roots = {key: new if id == node.id else id for key, id in roots.items()}
    role = "fitted" if fitted else "batch"
    kept = {key: id for key, id in roots.items() if key[0] == role}
    part = "fit" if fitted else "prepare"
    return run_passes(Program(spec, graph, kept), (DeadCode(), *CLEAN), part, observe)


def _read(graph: Graph, id: int, label: str) -> int:
    node = graph[id]
    return graph.add(StateRead(label), (), node.type, node.origin, label)
