"""Reductions over axes, a tuple counted from the front; ``keep`` keeps them with length 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphc.ir import (
    Formula,
    KernelContext,
    Notation,
    Operator,
    Sample,
    Size,
    Type,
    TypeRuleError,
    Value,
    Workspace,
    WriteContext,
    check_axis,
)
from graphc.ops.elementwise import numeric

SAMPLE = Type("real", (2, 3, 4))


class Reduction(Operator):
    """Base of the family."""

    axis: tuple[int, ...]
    keep: bool
    ufunc: ClassVar[str] = ""
    method: ClassVar[str] = ""

    def infer(self, *types: Type) -> Type:
        (x,) = types
        for axis in self.axis:
            check_axis(axis, x)
        return self.element_type(x).with_shape(reduced_shape(x.shape, self.axis, self.keep))

    def element_type(self, x: Type) -> Type:
        return numeric(self.name, (x,))

    def spread(self, value: Value, x: Value) -> Value:
        """A value shaped like the result, with the reduced axes as 1."""
        kept = reduced_shape(x.shape, self.axis, keep=True)
        return value if value.shape == kept else value.apply("reshape", shape=kept)

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        axis = tuple(a + 1 for a in self.axis)
        return xs[0].apply(self.name, axis=axis, keep=self.keep)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.total(self.name, args[0], self.axis)

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"{args[0]}.{self.method}({self._axes(w.types[0])})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        axis = self.axis[0] if len(self.axis) == 1 else self.axis
        keep = ", keepdims=True" if self.keep else ""
        return f"np.{self.ufunc}.reduce({args[0]}, axis={axis}, out={out}{keep})"

    def kernel(self, k: KernelContext, *args: str) -> str:
        return k.as_kind(args, k.result.kind)[0]

    def _axes(self, x: Type) -> str:
        parts = []
        if self.axis != tuple(range(x.rank)):
            parts.append(f"axis={self.axis[0] if len(self.axis) == 1 else self.axis}")
        if self.keep:
            parts.append("keepdims=True")
        return ", ".join(parts)

    def cost(self, types: tuple[Type, ...], result: Type) -> Size:
        return types[0].size

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls((0,), False), (SAMPLE,)),  # type: ignore[call-arg]
            Sample(cls((1, 2), True), (SAMPLE,)),  # type: ignore[call-arg]
            Sample(cls((0, 1, 2), False), (SAMPLE,)),  # type: ignore[call-arg]
        ]


def reduced_shape(shape: tuple[Size, ...], axis: tuple[int, ...], keep: bool) -> tuple[Size, ...]:
    if keep:
        return tuple(1 if i in axis else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in axis)


@dataclass(frozen=True)
class Sum(Reduction):
    """Sum over axes. Truth values count as 0 and 1."""

    name, ufunc, method = "sum", "add", "sum"
    reduces = "sum"
    axis: tuple[int, ...]
    keep: bool = False

    def element_type(self, x: Type) -> Type:
        return Type("real") if x.kind == "bool" else numeric(self.name, (x,))

    def numpy(self, w: WriteContext, *args: str) -> str:
        if w.types[0].kind == "bool":
            axes = self._axes(w.types[0])
            return f"{args[0]}.sum({axes}{', ' if axes else ''}dtype={w.real})"
        return super().numpy(w, *args)

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        """Of vectors and along one axis of matrices by a product with ones: BLAS is three times as
        fast."""
        x = w.types[0]
        if not self._is_product(x):
            return super().numpy_into(w, out, *args)
        if self.keep:
            out = w.once(f"{out}.reshape({'-1' if x.rank == 2 else '()'})")
        (ones,) = w.workspace
        left, right = (args[0], ones) if self.axis[0] == x.rank - 1 else (ones, args[0])
        return f"{w.dot}({left}, {right}, out={out})"

    def workspace(self, types: tuple[Type, ...], result: Type) -> tuple[Workspace, ...]:
        (x,) = types
        if not self._is_product(x):
            return ()
        return (Workspace(Type("real", (x.shape[self.axis[0]],)), start=1),)

    def _is_product(self, x: Type) -> bool:
        return x.kind == "real" and x.rank in (1, 2) and len(self.axis) == 1

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        if xs[0].type.kind != "real":
            return None
        return self.spread(d, xs[0]).apply("broadcast", shape=xs[0].shape)


@dataclass(frozen=True)
class Prod(Reduction):
    """Product over axes."""

    name, ufunc, method = "prod", "multiply", "prod"
    reduces = "prod"
    axis: tuple[int, ...]
    keep: bool = False

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        return self.spread(d, xs[0]) * self._others(xs[0])

    def _others(self, x: Value) -> Value | float:
        """For each element the product of all others: those before it times those after it,
        axis by axis. The quotient y / x would be undefined where an element is 0."""
        result: Value | float = 1.0
        for axis in reversed(self.axis):
            before = x.apply("cumprod", axis=axis, exclusive=True)
            others = before * x.apply("cumprod", axis=axis, exclusive=True, reverse=True)
            result = others * result
            x = x.apply("prod", axis=(axis,), keep=True)
        return result


def some_elements(name: str, x: Type, axis: tuple[int, ...]) -> None:
    """TypeRuleError where an axis is empty: there is no largest of no elements."""
    for a in axis:
        if x.shape[a] == 0:
            raise TypeRuleError(
                "E242", f"`{name}` of no elements: axis {a} of {x} is empty", blame=[0]
            )


class Extremum(Reduction):
    """Maximum or minimum; elements that tie share the gradient equally."""

    def infer(self, *types: Type) -> Type:
        result = super().infer(*types)
        some_elements(self.name, types[0], self.axis)
        return result

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        hit, ties = self._hit(xs[0], y)
        return self.spread(d, xs[0]) / ties * hit

    def squared_vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        hit, ties = self._hit(xs[0], y)
        return self.spread(d, xs[0]) / (ties * ties) * hit

    def _hit(self, x: Value, y: Value) -> tuple[Value, Value]:
        """Where the extremum is, and in how many places."""
        hit = x.apply("equal", self.spread(y, x))
        return hit, hit.apply("sum", axis=self.axis, keep=True)


@dataclass(frozen=True)
class Max(Extremum):
    """Largest element over axes."""

    name, ufunc, method = "max", "maximum", "max"
    reduces = "max"
    axis: tuple[int, ...]
    keep: bool = False


@dataclass(frozen=True)
class Min(Extremum):
    """Smallest element over axes."""

    name, ufunc, method = "min", "minimum", "min"
    reduces = "min"
    axis: tuple[int, ...]
    keep: bool = False


class Place(Operator):
    """Index of an element along one axis, the first of equals: a label where the dimension is a
    number, otherwise an int."""

    axis: int

    def infer(self, *types: Type) -> Type:
        (x,) = types
        numeric(self.name, (x,))
        check_axis(self.axis, x)
        some_elements(self.name, x, (self.axis,))
        size = x.shape[self.axis]
        shape = reduced_shape(x.shape, (self.axis,), keep=False)
        return Type("label", shape, size) if isinstance(size, int) else Type("int", shape)

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> None:
        return None

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        return xs[0].apply(self.name, axis=self.axis + 1)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.total(self.name, args[0], (self.axis,))

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"{args[0]}.{self.name}(axis={self.axis})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        """NumPy would copy, unplanned, to have the axis last."""
        if not w.workspace:
            return f"{args[0]}.{self.name}(axis={self.axis}, out={out})"
        (moved,) = w.workspace
        axes = (*(i for i in range(w.types[0].rank) if i != self.axis), self.axis)
        copy = f"np.copyto({moved}, {args[0]}.transpose({axes}))"
        return f"{copy}; {moved}.{self.name}(axis=-1, out={out})"

    def workspace(self, types: tuple[Type, ...], result: Type) -> tuple[Workspace, ...]:
        (x,) = types
        if self.axis == x.rank - 1:
            return ()
        return (Workspace(x.with_shape((*result.shape, x.shape[self.axis]))),)

    def cost(self, types: tuple[Type, ...], result: Type) -> Size:
        return types[0].size

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(axis), (SAMPLE,)) for axis in (1, 2)]  # type: ignore[call-arg]


@dataclass(frozen=True)
class Argmax(Place):
    """Index of the largest element along one axis."""

    name = "argmax"
    axis: int = -1


@dataclass(frozen=True)
class Argmin(Place):
    """Index of the smallest element along one axis."""

    name = "argmin"
    axis: int = -1
