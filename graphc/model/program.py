"""The program: what the model checker hands to the passes.

A :class:`ModelSpec` holds what never changes after checking: names, types, initial values,
sections. A :class:`Program` is one graph with its roots, which passes rewrite; several programs of
one model (training, evaluation, prediction) share the spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from graphc.diagnostics import Span
from graphc.ir import Body, Graph, Group, Type

__all__ = [
    "COUNTERS",
    "MASK",
    "PRODUCTS",
    "DataInfo",
    "DataPlan",
    "Driver",
    "ModelSpec",
    "OptimizerGroup",
    "OptimizerState",
    "OutputInfo",
    "ParameterInfo",
    "Penalty",
    "Preparation",
    "Program",
    "Programs",
    "PrunePlan",
    "RootKey",
    "Splice",
    "StateInfo",
    "TrainPlan",
]

COUNTERS = ("step", "seed", "epochs", "steps_per_epoch")
"""Names that the state of a generated module keeps for itself, the last two for its clocks."""

MASK = "mask"
"""Name of the state that says which weights are left: ``W:mask`` is 1 where one is, else 0."""

PRODUCTS = (
    "per_example_gradients",
    "hessian_vector_products",
    "gauss_newton_products",
    "backpropagated_diagonal",
    "layer_inputs",
    "layer_curvatures",
    "layer_gradients",
    "layer_hessian_products",
    "penalty_products",
)
"""Functions that a module holds on request."""

RootKey = tuple[str, str]
"""``(role, name)``. Roles: ``loss``, ``metric``, ``output``, ``objective`` (name empty),
``penalty`` (empty), ``gradient`` (of a parameter), ``next`` (of a state), ``batch`` (an input or
target made from columns), ``fitted`` (a constant of the data), ``restored`` (an output in its
original units), ``product`` (what another of :data:`PRODUCTS` gives, by parameter), ``update`` (the
group of an optimizer, by its number)."""


@dataclass(frozen=True)
class DataInfo:
    """An ``input`` or ``target``. ``example`` is a nested tuple of numbers or a number, or None."""

    name: str
    role: Literal["input", "target"]
    type: Type
    example: Any
    span: Span


@dataclass(frozen=True)
class ParameterInfo:
    """``init`` has no operands and one result of the parameter's type; ``random`` if it draws."""

    name: str
    type: Type
    init: Body
    random: bool
    span: Span
    frozen: bool = False


@dataclass(frozen=True)
class StateInfo:
    """Carried from step to step; ``init`` as for a parameter."""

    name: str
    type: Type
    init: Body
    span: Span


@dataclass(frozen=True)
class OutputInfo:
    """``target`` is the target whose classes or units the output speaks of, or None."""

    name: str
    target: str | None


@dataclass(frozen=True)
class OptimizerState:
    """A state of an optimizer, an array for each parameter that begins as a number.

    What is kept is the rule's state over ``unit``.
    """

    name: str
    initial: float
    unit: float = 1.0


@dataclass(frozen=True)
class Driver:
    """What trains over all examples at once, by a line search: ``lbfgs`` or ``newton``."""

    name: str
    options: Mapping[str, int | float]


@dataclass(frozen=True)
class OptimizerGroup:
    """Parameters that one optimizer updates.

    ``body`` is element-wise over flat arrays ``real[size]``: operands w, g, then the states;
    results w', then the states' next values. It reads the run's clocks (``t``, ``epoch``, …) as
    Clock nodes. Under a ``driver``, which is no such rule, the body leaves everything as it is,
    and the group is the only one.
    """

    title: str
    body: Body
    states: tuple[OptimizerState, ...]
    parameters: tuple[str, ...]
    driver: Driver | None = None


@dataclass(frozen=True)
class Splice:
    """A call that the regularize pass inserts at every value that a selector names.

    ``nodes`` are ids in the top graph: after each of them, or before it, on its first operand.
    With ``match`` set it is every call of that definition, inside bodies too. ``bodies`` has the
    expansion for each operand type that occurs.
    """

    title: str
    position: Literal["after", "before"]
    nodes: tuple[int, ...]
    match: str
    bodies: dict[Type, Body]
    span: Span


@dataclass(frozen=True)
class Penalty:
    """A scalar function of parameters, added to the objective: a body for each parameter."""

    title: str
    bodies: dict[str, Body]
    span: Span


@dataclass(frozen=True)
class TrainPlan:
    """The train section, checked. ``batch`` None means the whole training part at once, ``memory``
    is the most bytes that a step may take, None any number."""

    epochs: int = 10
    batch: int | None = 32
    seed: int = 0
    precision: Literal["f32", "f64"] = "f32"
    patience: int | None = None
    watch: str | None = None
    mode: Literal["min", "max"] = "min"
    memory: int | None = None


@dataclass(frozen=True)
class PrunePlan:
    """The prune section, checked. None is what the method and the size of the network decide.

    ``sparsity`` is the share of the elements of ``parameters`` that goes, ``max_rise`` the most
    that the objective of the training part may rise in all, ``stop`` the loss or metric at whose
    first step for the worse pruning ends. ``steps`` counts rounds, ``retrain`` epochs after each,
    ``rewind`` the epochs of training that a lottery ticket goes back to. ``damping`` is added to
    the diagonal of a curvature matrix, ``max_move`` what another weight may move at once.
    """

    method: Literal["magnitude", "random", "movement", "obd", "obs", "lottery"] = "obs"
    curvature: Literal["exact", "backpropagated", "fisher", "rows"] | None = None
    remove: Literal["weights", "units"] = "weights"
    scope: Literal["global", "layer"] = "global"
    schedule: Literal["one_shot", "gradual", "recompute"] | None = None
    steps: int | None = None
    sparsity: float | None = None
    max_rise: float | None = None
    stop: str | None = None
    retrain: int | None = None
    rewind: int = 0
    damping: float | None = None
    max_move: float | None = None
    seed: int = 0
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataPlan:
    """The data section, checked.

    ``files`` maps ``file``, or ``train``, ``validation`` and ``test``, to a path as written, or to
    the path of each column's IDX file; ``arrays`` holds arrays written in the model file by column
    name; ``split`` is ``{"kind": …, options…}`` or None; ``columns`` maps each raw column to the
    inputs and targets that read it.
    """

    files: dict[str, str | dict[str, str]] = field(default_factory=dict)
    arrays: dict[str, Any] = field(default_factory=dict)
    split: dict[str, Any] | None = None
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Preparation:
    """The data section's equations as a graph over columns; roots ``batch`` and ``fitted``.

    Inside it a constant of the data is a ``fitted`` node.
    """

    graph: Graph = field(default_factory=Graph)
    roots: dict[RootKey, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelSpec:
    """Everything about a model that the passes do not change."""

    name: str
    path: str
    inputs: dict[str, DataInfo]
    """Inputs and targets in the order of the file."""
    parameters: dict[str, ParameterInfo]
    states: dict[str, StateInfo]
    """Layer and model states; constants fitted on the data are among them, named ``data.…``."""
    aliases: dict[str, str]
    """Short names of parameters (``h.W``), each to the full name."""
    groups: tuple[OptimizerGroup, ...]
    outputs: dict[str, OutputInfo]
    batch: str | None
    """The batch's symbol, None for a model that takes one example a step."""
    train: TrainPlan
    data: DataPlan
    prune: PrunePlan
    hypers: dict[str, Any]
    splices: tuple[Splice, ...] = ()
    penalties: tuple[Penalty, ...] = ()
    fitted: dict[str, Type] = field(default_factory=dict)
    """Constants of the data by state name."""
    prepare: Preparation = field(default_factory=lambda: Preparation())
    files: dict[str, str] = field(default_factory=dict)
    """Texts of used files by the path as written."""
    masked: bool = False
    """Whether the optimizers are to keep what has been pruned at zero."""

    @property
    def symbols(self) -> list[str]:
        """Symbolic dimensions of the inputs, the batch first."""
        found = {} if self.batch is None else {self.batch: None}
        for info in self.inputs.values():
            for size in info.type.shape:
                if not isinstance(size, int):
                    found.update(dict.fromkeys(sorted(size.symbols)))
        return list(found)

    @property
    def driver(self) -> Driver | None:
        """What trains the parameters, where that is no element-wise rule."""
        return self.groups[0].driver if self.groups else None

    @property
    def learned(self) -> list[str]:
        """Names of the parameters that are trained, in the order of the flat array."""
        return [name for group in self.groups for name in group.parameters]


@dataclass
class Program:
    """One graph and its roots. A pass takes ownership of it."""

    spec: ModelSpec
    graph: Graph
    roots: dict[RootKey, int]
    groups: dict[int, Group] = field(default_factory=dict)
    """Of a program whose groups have been opened: where each of their members was."""

    def copy(self) -> Program:
        return Program(self.spec, self.graph.copy(), dict(self.roots), dict(self.groups))

    @property
    def parameter_nodes(self) -> dict[str, int]:
        """The node of each parameter that the graph reads, by name."""
        return {node.name: node.id for node in self.graph if node.op.name == "parameter"}

    @property
    def learned_nodes(self) -> dict[str, int]:
        """Of those, the ones that are trained, in the order of the flat array."""
        nodes = self.parameter_nodes
        return {name: nodes[name] for name in self.spec.learned if name in nodes}

    def named(self, role: str) -> dict[str, int]:
        """Roots of one role by name, in order."""
        return {name: id for (kind, name), id in self.roots.items() if kind == role}


@dataclass(frozen=True)
class Programs:
    """What a generated module is printed from; every graph is free of calls.

    ``training`` has roots objective, gradient and next in the training
    projection; ``evaluation`` objective and gradient in the evaluation projection; ``losses`` loss
    and objective without the penalties of ``regularize``; ``metrics`` metric; ``prediction``
    output; ``prepare`` batch; ``fit`` fitted; ``restore`` restored; each of ``products`` gradient
    or product.
    """

    spec: ModelSpec
    training: Program | None
    evaluation: Program | None
    losses: Program
    metrics: Program
    prediction: Program
    prepare: Program
    fit: Program
    restore: Program
    products: Mapping[str, Program] = field(default_factory=dict)
    """What :data:`PRODUCTS` names, where it was asked for."""
