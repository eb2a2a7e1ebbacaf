"""Single operators and the arrays on which their kernels are compared with NumPy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.ir import OPERATORS, Builder, Graph, Operator, Sample, Type, TypeRuleError, Value
from graphc.ops.arithmetic import Power
from graphc.ops.leaves import Clock, Constant, Input
from graphc.ops.logic import Cast
from graphc.ops.random import Bernoulli, Normal, Uniform
from graphc.ops.reductions import Reduction
from graphc.ops.shapes import Broadcast, Reshape

REALS = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -3.5, 0.3]
REALS += [1e-300, 1e-8, 1e-4, 20.0, -20.0, 80.0, 720.0, -720.0, 1e30, -1e30]
"""NaN, infinities, both zeros, halves that round to the even, overflow and underflow of both
precisions."""
INTS = [0, 1, -1, 2, 3, -7, 2**40, -(2**40)]
VALUES: dict[str, list[Any]] = {"real": REALS, "int": INTS, "bool": [False, True]}


@dataclass
class Case:
    """An operator over given operands: arrays, numbers of the source, numbers of the run."""

    operator: Operator
    types: tuple[Type, ...]
    values: Sequence[Any]
    given: str = "array"
    """How the last operand is given: ``array``, ``literal``, ``clock``."""

    def build(self) -> tuple[Graph, Value]:
        builder = Builder(Graph())
        inputs = [
            builder.place(Input(f"x{i}"), (), type, f"x{i}") for i, type in enumerate(self.types)
        ]
        if self.given == "literal":
            inputs[-1] = builder.place(Constant(self.values[-1]), (), self.types[-1], "")
        elif self.given == "clock":
            inputs[-1] = builder.place(Clock("epoch"), (), Type("real"), "epoch")
        return builder.graph, builder.emit(self.operator, *inputs)

    @property
    def leaves(self) -> dict[str, Any]:
        found = {f"x{i}": value for i, value in enumerate(self.values)}
        return found | ({"epoch": self.values[-1]} if self.given == "clock" else {})


def may_be_in_a_group(operator: type[Operator]) -> bool:
    """As ``Fuse`` has it."""
    others = (Reduction, Uniform, Normal, Bernoulli, Broadcast, Reshape)
    return operator.elementwise or operator.rowwise or issubclass(operator, others)


GROUPED = {name: op for name, op in OPERATORS.items() if may_be_in_a_group(op)}


def samples_of(operator: type[Operator]) -> list[Sample]:
    """The operator's own, or such as a group may hold: along the last axis, or of everything."""
    if issubclass(operator, Reduction):
        forms = [((1,), False), ((1,), True), ((0, 1), False)]
        return [Sample(operator(*form), (Type("real", (4, 3)),)) for form in forms]  # type: ignore[call-arg]
    if operator in (Uniform, Normal):
        return [Sample(operator((5, 7), "a.place"), ())]  # type: ignore[call-arg]
    if operator is Reshape:
        x = Type("real", (4, 1))
        return [Sample(Reshape((4,)), (x,)), Sample(Reshape((4, 1, 1)), (x,))]
    return operator.samples()


def cases() -> dict[str, Case]:
    """All of them, by a name that is an identifier."""
    rng = np.random.default_rng(0)
    found: dict[str, Case] = {}
    for name, operator in GROUPED.items():
        for number, sample in enumerate(samples_of(operator)):
            values = [_drawn(type, rng, sample) for type in sample.types]
            found[f"{name}_sample_{number}"] = Case(sample.operator, sample.types, values)
        if operator.elementwise:
            for key, case in _special(name, operator):
                found[key] = case
        if issubclass(operator, Reduction):
            for key, case in _rows(name, operator):
                found[key] = case
    return found | dict(_powers()) | dict(_labels()) | dict(_draws())


def _drawn(type: Type, rng: np.random.Generator, sample: Sample) -> np.ndarray:
    if type.kind == "real":
        return rng.uniform(sample.low, sample.high, type.shape)
    if type.kind == "bool":
        return rng.random(type.shape) < 0.5
    return rng.integers(0, type.classes or 5, type.shape)


def _special(name: str, operator: type[Operator]) -> Iterator[tuple[str, Case]]:
    """All special values of every kind that the operator takes, in all combinations."""
    forms = [operator(kind) for kind in VALUES] if operator is Cast else [operator()]  # type: ignore[call-arg]
    for form, kinds in itertools.product(forms, itertools.product(VALUES, repeat=operator.arity)):
        try:
            form.infer(*(Type(kind) for kind in kinds))  # type: ignore[arg-type]
        except TypeRuleError:
            continue
        columns = [np.array(VALUES[kind]) for kind in kinds]
        if form == Cast("int") and kinds == ("real",):
            columns = [columns[0][np.abs(columns[0]) < 1e9]]  # C knows no other
        if operator is Power and kinds[1] != "real":
            columns[1] = columns[1][(columns[1] >= 0) & (columns[1] < 9)]  # nor has NumPy
        values = [grid.reshape(-1) for grid in np.meshgrid(*columns, indexing="ij")]
        types = tuple(
            Type(kind, value.shape)  # type: ignore[arg-type]
            for kind, value in zip(kinds, values, strict=True)
        )
        kind = getattr(form, "kind", "")
        yield "_".join(filter(None, [name, kind, "of", *kinds])), Case(form, types, values)


def _rows(name: str, operator: type[Operator]) -> Iterator[tuple[str, Case]]:
    """Rows with special values, each alone among others, and those of other kinds."""
    plain = np.linspace(-2, 2, 5)
    rows = [plain, *(np.insert(plain, i % 6, value)[:5] for i, value in enumerate(REALS[:6]))]
    arrays = {"real": np.array(rows), "int": np.array([INTS[:6], INTS[2:8]]) % 1000}
    arrays["bool"] = np.array([[True, False, True], [False, False, False]])
    for kind, array in arrays.items():
        type = Type(kind, array.shape)  # type: ignore[arg-type]
        for form in [((1,), False), ((1,), True), ((0, 1), False)]:
            op = operator(*form)  # type: ignore[call-arg]
            try:
                op.infer(type)
            except TypeRuleError:
                continue
            yield f"{name}_of_{kind}_{len(form[0])}_{form[1]}", Case(op, (type,), [array])


def _powers() -> Iterator[tuple[str, Case]]:
    """Exponents that are numbers: NumPy has shorter ways for some. Whether -∞ to the power 0.5 is
    ∞, as in C, or NaN, depends in NumPy on how it is written; a number of the source is a root."""
    x = np.array(REALS)
    for number, exponent in enumerate([-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 0.25, -2.0, 7.5]):
        types = (Type("real", x.shape), Type("real"))
        for given in ("literal", "clock")[: 1 if exponent == 0.5 else 2]:
            yield f"power_by_{given}_{number}", Case(Power(), types, [x, exponent], given)


def _labels() -> Iterator[tuple[str, Case]]:
    """NaN and infinities, at the label and elsewhere."""
    x = np.array([[1.0, math.nan, 2.0], [math.inf, 3.0, -math.inf], [math.nan, -1.0, 0.0]])
    pick, adjoint = OPERATORS["pick"](), OPERATORS["pick_adjoint"](3)  # type: ignore[call-arg]
    for number, labels in enumerate(([0, 1, 1], [1, 0, 0], [2, 2, 2])):
        y = np.array(labels)
        label = Type("label", (3,), 3)
        yield f"pick_special_{number}", Case(pick, (Type("real", (3, 3)), label), [x, y])
        yield (
            f"pick_adjoint_special_{number}",
            Case(adjoint, (Type("real", (3,)), label), [x[0], y]),
        )


def _draws() -> Iterator[tuple[str, Case]]:
    """Odd sizes, probabilities that are never or always, that are numbers of source or run."""
    for size in (1, 4, 301):
        yield f"uniform_{size}", Case(Uniform((size,), f"p{size}"), (), [])
        yield f"normal_{size}", Case(Normal((size,), f"p{size}"), (), [])
    for number, p in enumerate([0.0, 1.0, 0.5, 0.8, 1e-6, 2.5 / 65536, 3.5 / 65536]):
        size, given = (302, 1, 7)[number % 3], ("literal", "clock")[number % 2]
        case = Case(Bernoulli((size,), f"b{size}"), (Type("real"),), [p], given)
        yield f"bernoulli_{number}", case
    case = Case(Bernoulli((301,), "b"), (Type("real"),), [0.3], "literal")
    yield "bernoulli_of_all_thirds", case
