"""The base class of operators and their registry.

One class holds everything that is true of one primitive: its type rule, its derivative and its
vectorization as graph-building code, how NumPy and kernels in C write it, its formula, its cost
and the samples that drive the registry's tests. The primitives themselves live in ``graphc.ops``,
a room above this one; they enter ``OPERATORS`` by being defined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from graphc.ir.dims import Size
from graphc.ir.kernel import KernelContext, NoKernel
from graphc.ir.notation import Formula, Notation
from graphc.ir.types import AnyType, Type

if TYPE_CHECKING:
    from graphc.ir.builder import Value

__all__ = [
    "OPERATORS",
    "Operator",
    "Sample",
    "TypeRuleError",
    "Workspace",
    "WriteContext",
    "check_axis",
]


class TypeRuleError(Exception):
    """Operands do not fit an operator.

    ``code`` is the diagnostic's; ``blame`` names the operands (by position) whose types disagree;
    ``help`` says what to do.
    """

    def __init__(
        self, code: str, message: str, *, blame: Sequence[int] = (), help: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.blame = tuple(blame)
        self.help = help


def check_axis(axis: int, x: Type) -> None:
    """TypeRuleError for an axis, counted from the front, that the first operand has not."""
    if not 0 <= axis < x.rank:
        raise TypeRuleError("E205", f"axis {axis} is out of range for {x}", blame=[0])


@dataclass(frozen=True)
class Sample:
    """Arguments for the registry's tests: an operator, operand types, and the range to draw from.

    ``low`` and ``high`` bound the elements, so that ``log`` is given positive numbers.
    """

    operator: Operator
    types: tuple[Type, ...]
    low: float = -2.0
    high: float = 2.0


@dataclass(frozen=True)
class Workspace:
    """An array that an operator works in, beside its operands and its result.

    Without ``start`` it is scratch: it holds anything before and after. Otherwise it holds
    ``start + step * i`` at element i and is never written: ones, or positions.
    """

    type: Type
    start: int | None = None
    step: int = 0


@dataclass
class WriteContext:
    """What an operator may ask of the printer of NumPy source."""

    types: tuple[Type, ...] = ()
    """Types of the operands."""
    result: Type = field(default_factory=lambda: Type("real"))
    dims: Mapping[str, str] = field(default_factory=dict)
    """Expression of each symbolic dimension."""
    real: str = "REAL"
    """Expression of the model's floating-point type."""
    seed: str = "seed"
    step: str = "step"
    workspace: tuple[str, ...] = ()
    """Names of the arrays that :meth:`Operator.workspace` asked for; only in ``numpy_into``."""
    sliced: bool = False
    """Whether an operand is part of an array, its rows not one behind the other in memory."""

    def shape(self, shape: tuple[Size, ...]) -> str:
        """A shape as source: ``(n, 64)``."""
        parts = [self.size(size) for size in shape]
        return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"

    def once(self, text: str) -> str:
        """An expression that never changes: a printer of repeated steps computes it outside."""
        return text

    def fixed(self, text: str) -> str:
        """One that is the same for batches of any size too: it is computed once and for all."""
        return text

    @property
    def dot(self) -> str:
        """The product of two matrices or vectors: ``np.dot`` is quicker, but copies a slice."""
        return "np.matmul" if self.sliced else "np.dot"

    def size(self, size: Size) -> str:
        if isinstance(size, int):
            return str(size)
        terms = []
        for symbols, factor in size.terms:
            names = [self.dims.get(name, name) for name in symbols]
            terms.append(" * ".join(([str(factor)] if factor != 1 or not names else []) + names))
        return " + ".join(terms)


OPERATORS: dict[str, type[Operator]] = {}


class Operator:
    """A primitive. Subclasses are frozen dataclasses whose fields are the attributes."""

    name: ClassVar[str] = ""
    arity: ClassVar[int] = 1
    """Number of operands; -1 is any number from 1."""
    commutative: ClassVar[bool] = False
    elementwise: ClassVar[bool] = False
    """The result has the broadcast shape of the operands and each element depends on theirs."""
    view: ClassVar[bool] = False
    """NumPy gives the result as a view of the first operand: no buffer, no work."""
    rowwise: ClassVar[bool] = False
    """A row of the result, which is what lies along the last axis, depends on the same row of the
    operands alone. What is element-wise need not say so."""
    numbers: ClassVar[int] = 0
    """Single numbers that ``numpy_into`` keeps as arrays from step to step, at most."""
    flops: ClassVar[int] = 1
    """Floating-point operations an element of the result, by the table at :meth:`cost`."""
    reduces: ClassVar[str] = ""
    """How a kernel combines what :meth:`kernel` gives for each element of a row: ``sum``,
    ``prod``, ``max`` or ``min``; empty where an element of the result comes from one of each
    operand."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__dict__.get("name"):
            OPERATORS[cls.name] = cls

    # -- typing

    def infer(self, *types: Type) -> AnyType:
        """Type of the result; raises :class:`TypeRuleError`."""
        raise NotImplementedError

    # -- derivative

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        """Contribution of upstream gradient ``d`` (shaped like ``y``) to operand ``i``.

        None where the result does not depend differentiably on the operand.
        """
        raise NotImplementedError(f"{self.name} has no derivative rule")

    def squared_vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        """The same with each local derivative squared: Σⱼ dⱼ·(∂yⱼ/∂x)² for each element x of
        operand ``i``.

        For operators that are not element-wise. Their results are affine in each element of an
        operand alone and most local derivatives are products of elements, so that it is the rule
        above at their squares; others state it.
        """
        squares = tuple(x * x if x.type.kind == "real" else x for x in xs)
        return self.vjp(i, squares, y * y, d)

    # -- many at once

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        """The operator applied to ``size`` sets of operands at once.

        A mapped operand has a new leading axis of that size, and so has the result; the others
        are the same in every set. At least one is mapped. Attributes that speak of axes or shapes
        speak of one set. An operator without a rule cannot be vectorized: TypeRuleError.
        """
        raise TypeRuleError("E230", f"`{self.name}` cannot be vectorized")

    # -- NumPy

    def numpy(self, w: WriteContext, *args: str) -> str:
        """An expression of the result."""
        raise NotImplementedError

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        """A statement that writes the result to the array ``out``.

        ``out`` may be the array of an operand where :meth:`may_overwrite` says so.
        """
        return f"np.copyto({out}, {self.numpy(w, *args)})"

    def may_overwrite(self, i: int) -> bool:
        """Whether ``numpy_into`` is right when ``out`` is the array of operand ``i``."""
        return False

    # -- kernels

    def kernel(self, k: KernelContext, *args: str) -> str:
        """One element of the result in C, from one element of each operand; the term of one
        element of the first operand where the operator ``reduces``. Operands and numbers are safe
        on either side of any sign; what is given need not be. :class:`NoKernel` where there is
        none."""
        raise NoKernel(self.name)

    # -- memory

    def workspace(self, types: tuple[Type, ...], result: Type) -> tuple[Workspace, ...]:
        """Arrays that ``numpy_into`` works in; it finds their names in ``w.workspace``."""
        return ()

    def hidden(self, types: tuple[Type, ...], result: Type) -> tuple[Type, ...]:
        """Arrays that NumPy makes for itself while ``numpy_into`` runs, as many as there are at
        most at one time. Empty where it makes none."""
        return ()

    # -- explanation

    def formula(self, f: Notation, *args: Formula) -> Formula:
        """The result as a formula in the notation ``f``."""
        return f.call(self.name, *args)

    # -- cost

    def cost(self, types: tuple[Type, ...], result: Type) -> Size:
        """Floating-point operations of the definition, whatever a target does to compute it.

        Weights are those of the Livermore loops (McMahon, UCRL-53745, 1986):

            add, subtract, multiply, negate, round, compare, choose    1
            divide, square root                                        4
            any other function of a number: exp, log, tanh, x^p, …     8

        A multiplication and an addition are 2. Operations on integers and truth values count like
        those on reals. A reduction counts one operation an element of its operand. Moving,
        converting and finding elements, by views or by positions, is 0.
        """
        return result.size * self.flops

    def reads(self, types: tuple[Type, ...], result: Type) -> tuple[Size, ...]:
        """Elements that are read of each operand: all, unless the operator takes some of them."""
        return tuple(type.size for type in types)

    # -- tests

    @classmethod
    def samples(cls) -> list[Sample]:
        """Arguments that the registry's tests try."""
        return []
