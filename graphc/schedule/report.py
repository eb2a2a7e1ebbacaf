"""What a training step costs, node by node, and the memory that training takes: known before
anything runs.

A model that learns nothing has no step and no plan of memory; its report is of the functions that
compute losses, metrics and outputs, by node, without memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os.path import basename
from typing import Any, Literal

from graphc.ir import Graph, Group, Node, Type
from graphc.model.program import ModelSpec, Program, Programs
from graphc.ops.leaves import Clock
from graphc.schedule.costs import bytes_moved, flops
from graphc.schedule.memory import Precision, array_bytes, size_value
from graphc.schedule.order import Groups, How, backward_part, classify, opened, ordered
from graphc.schedule.peak import Peak, peak, tile_dims
from graphc.schedule.plan import Plan, Step
from graphc.schedule.traffic import Traffic
from graphc.schedule.training import TrainingPlan, UpdatePlan

__all__ = ["CostGroup", "CostReport", "CostRow", "forward_report", "training_report"]


@dataclass(frozen=True)
class CostRow:
    """A node that computes something, or a copy at the end of a part.

    ``number`` is its place in the order of the run. ``value`` is its name, ``gradient_of`` the
    value whose gradient it is. ``group`` is the place of its group in the report. It is kept in a
    ``slot`` of the arena, or in memory that goes by the name ``target``: a gradient's, or that of
    what an update replaces. ``in_place``: it takes the memory of an operand. ``workspace`` are
    slots that it works in. ``line`` is where the model says it.
    """

    number: int
    part: str
    value: str
    gradient_of: str
    operator: str
    type: str
    line: str
    group: int | None
    flops: int
    bytes_moved: int
    slot: int | None = None
    target: str = ""
    in_place: bool = False
    workspace: tuple[int, ...] = ()


@dataclass(frozen=True)
class CostGroup:
    """``members`` are numbers of rows. ``bytes_moved`` is that of the group as one, which reads
    each operand once and writes each result once; ``bytes_of_members`` that of its rows."""

    kind: str
    title: str
    members: tuple[int, ...]
    flops: int
    bytes_moved: int
    bytes_of_members: int


@dataclass(frozen=True)
class CostReport:
    """A training step (``peak`` tells its memory), or the functions of a model that learns nothing
    (``peak`` is None: no memory is planned for them). ``dims`` are the dimensions assumed.
    ``device_memory`` takes the place of ``peak`` where arrays lie on a device: bytes there.

    With a ``driver`` it is the objective and its gradients once, without memory: a step asks for
    them, and perhaps for products with the Hessian, as often as its line search needs.
    """

    model: str
    step: Literal["training", "forward"]
    precision: Precision
    dims: Mapping[str, int]
    rows: tuple[CostRow, ...]
    groups: tuple[CostGroup, ...]
    peak: Peak | None
    driver: str = ""
    device_memory: int | None = None

    @property
    def flops(self) -> int:
        return sum(row.flops for row in self.rows)

    @property
    def bytes_moved(self) -> int:
        return sum(row.bytes_moved for row in self.rows)

    @property
    def bytes_with_groups(self) -> int:
        """Bytes moved by a target that runs each group as one."""
        saved = sum(group.bytes_of_members - group.bytes_moved for group in self.groups)
        return self.bytes_moved - saved

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: operations a byte moved."""
        return self.flops / self.bytes_moved if self.bytes_moved else 0.0

    @property
    def parts(self) -> dict[str, tuple[int, int]]:
        """Operations and bytes moved of each part."""
        totals: dict[str, tuple[int, int]] = {}
        for row in self.rows:
            work, moved = totals.get(row.part, (0, 0))
            totals[row.part] = work + row.flops, moved + row.bytes_moved
        return totals

    def as_json(self) -> dict[str, Any]:
        """Everything, sizes in bytes."""
        whole = dataclasses.asdict(self)
        return {
            **whole,
            "dims": dict(self.dims),
            "peak": whole["peak"] and {**whole["peak"], "total": self.peak and self.peak.total},
            "totals": {
                "flops": self.flops,
                "bytes_moved": self.bytes_moved,
                "bytes_with_groups": self.bytes_with_groups,
                "intensity": self.intensity,
            },
        }


def training_report(training: TrainingPlan, spec: ModelSpec, dims: Mapping[str, int]) -> CostReport:
    """The report of a planned training step.

    ``dims`` gives every symbolic dimension; ValueError names one that is missing.
    """
    sheet = _Sheet(spec.train.precision)
    _add_passes(sheet, training.passes, dims)
    for update in training.updates:
        _add_update(sheet, update)
    if spec.driver is not None:
        return dataclasses.replace(
            sheet.report("training", spec, dims, None), driver=spec.driver.name
        )
    return sheet.report("training", spec, dims, peak(training, spec, dims))


def forward_report(programs: Programs, dims: Mapping[str, int]) -> CostReport:
    """The report of the functions that compute losses, metrics and outputs, each on its own.

    ``dims`` as for a training step.
    """
    spec = programs.spec
    sheet = _Sheet(spec.train.precision)
    functions = {
        "losses": programs.losses,
        "metrics": programs.metrics,
        "outputs": programs.prediction,
    }
    for part, program in functions.items():
        _add_function(sheet, part, opened(program), dims)
    return sheet.report("forward", spec, dims, None)


# -------------------------------------------------------------------------------- parts


@dataclass(frozen=True)
class _Place:
    """Where the result of a row is kept, as in a :class:`CostRow`."""

    slot: int | None = None
    target: str = ""
    in_place: bool = False
    workspace: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Part:
    """Nodes in order, and what a row says of them that they do not say themselves."""

    name: str
    graph: Graph
    order: Sequence[Node]
    how: Mapping[int, How]
    groups: Groups
    kept: Iterable[int]
    dims: Mapping[str, int]
    backward: frozenset[int] = frozenset()
    places: Mapping[int, _Place] = field(default_factory=dict)
    values: Mapping[int, str] = field(default_factory=dict)
    """Names of values that the graph does not know."""
    gradients: Mapping[int, str] = field(default_factory=dict)


def _add_passes(sheet: _Sheet, plan: Plan, dims: Mapping[str, int]) -> None:
    part = _Part(
        "forward",
        plan.graph,
        [step.node for step in plan.steps],
        plan.how,
        plan.groups,
        plan.roots.values(),
        dims,
        backward=frozenset(backward_part(plan.graph, plan.roots.values())),
        places=_places(plan, {slot: slot for slot in plan.arena}),
        gradients={id: name for (role, name), id in plan.roots.items() if role == "gradient"},
    )
    sheet.add(part)
    for id, slot in plan.finals:
        name = plan.slots[slot].target
        sheet.copy("backward", plan.graph[id].tensor, dims, name, gradient_of=name)
    for (role, name), id in plan.roots.items():
        if role == "next":
            sheet.copy("update", plan.graph[id].tensor, dims, name, value=name)


def _add_update(sheet: _Sheet, update: UpdatePlan) -> None:
    plan, dims = update.plan, tile_dims(update, update.count)
    whole = Group(dataclasses.replace(update.body, definition="update"))
    part = _Part(
        "update",
        plan.graph,
        [step.node for step in plan.steps],
        plan.how,
        {id: whole for id, how in plan.how.items() if how not in ("leaf", "literal")},
        plan.roots.values(),
        dims,
        places=_places(plan, update.places),
        values={id: name for (_, name), id in plan.roots.items()},
    )
    sheet.add(part)
    for id, slot in plan.finals:
        name = plan.slots[slot].target
        sheet.copy("update", plan.graph[id].tensor, dims, name, value=name)


def _add_function(sheet: _Sheet, name: str, program: Program, dims: Mapping[str, int]) -> None:
    graph, roots = program.graph, program.roots.values()
    order = ordered(graph, roots, program.groups)
    sheet.add(_Part(name, graph, order, classify(order), program.groups, roots, dims))


def _places(plan: Plan, numbers: Mapping[int, int]) -> dict[int, _Place]:
    """Where each result is kept; ``numbers`` are those of the arena's slots."""
    slot_of = {step.node.id: step.slot for step in plan.steps}

    def place(step: Step, slot: int) -> _Place:
        over = step.how == "compute" and slot in {slot_of[id] for id in step.node.inputs}
        workspace = tuple(numbers[own] for own in step.workspace)
        return _Place(numbers.get(slot), plan.slots[slot].target, over, workspace)

    return {step.node.id: place(step, step.slot) for step in plan.steps if step.slot is not None}


# -------------------------------------------------------------------------------- rows


@dataclass
class _Sheet:
    """Rows and groups as they are found."""

    precision: Precision
    rows: list[CostRow] = field(default_factory=list)
    groups: list[CostGroup] = field(default_factory=list)
    _count: int = 0

    def add(self, part: _Part) -> None:
        """The rows of a part, numbered as in its order, and its groups."""
        rows: dict[Group, list[CostRow]] = {}
        index: dict[Group, int] = {}
        for number, node in enumerate(part.order, self._count):
            if part.how[node.id] not in ("compute", "scalar") or isinstance(node.op, Clock):
                continue
            group = part.groups.get(node.id)
            if group is not None:
                index.setdefault(group, len(self.groups) + len(index))
            row = self._row(part, node, number, None if group is None else index[group])
            self.rows.append(row)
            if group is not None:
                rows.setdefault(group, []).append(row)
        self._count += len(part.order)
        traffic = Traffic(
            part.graph, part.order, part.how, part.groups, part.kept, self.precision, part.dims
        )
        self.groups += [_group(group, own, traffic.bytes(group)) for group, own in rows.items()]

    def copy(
        self,
        part: str,
        type: Type,
        dims: Mapping[str, int],
        target: str,
        *,
        value: str = "",
        gradient_of: str = "",
    ) -> None:
        """A row that computes nothing: what is copied to the memory that goes by a name."""
        size = array_bytes(type, self.precision, dims)
        row = CostRow(
            number=self._count,
            part=part,
            value=value,
            gradient_of=gradient_of,
            operator="copy",
            type=str(type),
            line="",
            group=None,
            flops=0,
            bytes_moved=2 * size,
            target=target,
        )
        self.rows.append(row)
        self._count += 1

    def _row(self, part: _Part, node: Node, number: int, group: int | None) -> CostRow:
        how = part.how[node.id]
        work = flops(node, part.graph, how)
        moved = bytes_moved(node, part.graph, how, self.precision)
        place = part.places.get(node.id, _Place())
        return CostRow(
            number=number,
            part="backward" if node.id in part.backward else part.name,
            value=part.values.get(node.id, node.name),
            gradient_of=part.gradients.get(node.id, node.origin.adjoint_of),
            operator=node.op.name,
            type=str(node.type),
            line=_line(node),
            group=group,
            flops=size_value(work, part.dims),
            bytes_moved=size_value(moved, part.dims),
            slot=place.slot,
            target=place.target,
            in_place=place.in_place,
            workspace=place.workspace,
        )

    def report(
        self,
        step: Literal["training", "forward"],
        spec: ModelSpec,
        dims: Mapping[str, int],
        memory: Peak | None,
    ) -> CostReport:
        rows, groups = tuple(self.rows), tuple(self.groups)
        return CostReport(spec.name, step, self.precision, dict(dims), rows, groups, memory)


def _group(group: Group, rows: Sequence[CostRow], moved: int) -> CostGroup:
    return CostGroup(
        kind=group.body.definition,
        title=group.body.title,
        members=tuple(row.number for row in rows),
        flops=sum(row.flops for row in rows),
        bytes_moved=moved,
        bytes_of_members=sum(row.bytes_moved for row in rows),
    )


def _line(node: Node) -> str:
    """``digits.gc:9``, or nothing."""
    span = node.origin.span
    return "" if span is None else f"{basename(span.source.name)}:{span.line}"
