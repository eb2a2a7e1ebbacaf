"""The matrix product, by NumPy's rule: last axis of the left with last but one of the right."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.ir import (
    Formula,
    Notation,
    Operator,
    Sample,
    Size,
    Type,
    TypeRuleError,
    Value,
    WriteContext,
    broadcast_shapes,
    product,
)


@dataclass(frozen=True)
class Matmul(Operator):
    """``x @ y``; leading axes broadcast."""

    name, arity = "matmul", 2

    def infer(self, *types: Type) -> Type:
        x, y = types
        self._check_operands(x, y)
        inner_x, inner_y = x.shape[-1], y.shape[-2 if y.rank > 1 else -1]
        if inner_x != inner_y:
            raise TypeRuleError(
                "E204",
                f"the inner dimensions of `@` differ: {inner_x} and {inner_y}",
                blame=(0, 1),
            )
        batch = broadcast_shapes(x.shape[:-2], y.shape[:-2])
        if batch is None:
            raise TypeRuleError(
                "E201", f"the leading dimensions of `@` do not broadcast: {x} and {y}", blame=(0, 1)
            )
        rows = x.shape[-2:-1]
        columns = y.shape[-1:] if y.rank > 1 else ()
        return Type("real", (*batch, *rows, *columns))

    def _check_operands(self, x: Type, y: Type) -> None:
        for i, type in enumerate((x, y)):
            if type.kind != "real":
                raise TypeRuleError("E202", f"`@` takes real tensors, not {type}", blame=[i])
            if type.rank == 0:
                raise TypeRuleError(
                    "E203",
                    "`@` needs at least one dimension on both sides, but got a scalar",
                    blame=[i],
                    help="multiply by a scalar with *",
                )

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value:
        a, b = xs
        if len(a.shape) == 1 and len(b.shape) == 1:
            return d * xs[1 - i]
        if len(b.shape) == 1:
            return _column(d) * b if i == 0 else _summed(_swapped(a), _column(d), b)
        if len(a.shape) == 1:
            row = d.apply("reshape", shape=(*d.shape[:-1], 1, d.shape[-1]))
            column = a.apply("reshape", shape=(a.shape[0], 1))
            return _summed(row, _swapped(b), a) if i == 0 else column @ row
        gradient = d @ _swapped(b) if i == 0 else _weight_gradient(a, b, d)
        return d.builder.unbroadcast(gradient, xs[i].shape)

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        """One matrix for all, times rows or times a column of each, stays one product."""
        (a, b), (own_a, own_b) = xs, mapped
        if not own_b and len(b.shape) <= 2:
            return _rows_times(a, b)
        vector_a, vector_b = len(a.shape) - own_a == 1, len(b.shape) - own_b == 1
        if not own_a and len(a.shape) <= 2 and (vector_b or b.shape[2:] == (1,)):
            vectors = b if vector_b else b.apply("reshape", shape=b.shape[:2])
            result = vectors @ (a if vector_a else _swapped(a))
            return result if vector_b else result.apply("reshape", shape=(*result.shape, 1))
        if vector_a:
            a = a.apply("reshape", shape=(*a.shape[:-1], 1, a.shape[-1]))
        if vector_b:
            b = _column(b)
        rank = max(len(a.shape) - own_a, len(b.shape) - own_b) + 1
        left = a.builder.aligned(a, rank) if own_a else a
        right = b.builder.aligned(b, rank) if own_b else b
        # Many products of a column with a row: NumPy multiplies element by element faster.
        result = left * right if left.shape[-1] == 1 else left @ right
        rows = () if vector_a else result.shape[-2:-1]
        columns = () if vector_b else result.shape[-1:]
        shape = (*result.shape[:-2], *rows, *columns)
        return result.apply("reshape", shape=shape) if vector_a or vector_b else result

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"{args[0]} @ {args[1]}"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        if w.types[0].rank == w.types[1].rank <= 2:
            return f"{w.dot}({args[0]}, {args[1]}, out={out})"
        return f"np.matmul({args[0]}, {args[1]}, out={out})"

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.multiply(*args)

    def cost(self, types: tuple[Type, ...], result: Type) -> Size:
        return 2 * result.size * types[0].shape[-1]

    @classmethod
    def samples(cls) -> list[Sample]:
        shapes: list[tuple[tuple[Size, ...], tuple[Size, ...]]] = [
            ((2, 3), (3, 4)),
            ((3,), (3,)),
            ((2, 3), (3,)),
            ((3,), (3, 4)),
            ((5, 2, 3), (3, 4)),
            ((5, 2, 3), (5, 3, 4)),
            ((5, 2, 3), (3,)),
            ((3,), (5, 3, 4)),
            ((2, 3), (3, 1)),
            ((2, 1), (1, 4)),
            ((3,), (3, 1)),
        ]
        return [Sample(cls(), (Type("real", a), Type("real", b))) for a, b in shapes]


def _swapped(x: Value) -> Value:
    """The last two axes exchanged."""
    rank = len(x.shape)
    return x.apply("transpose", axes=(*range(rank - 2), rank - 1, rank - 2))


def _rows_times(a: Value, b: Value) -> Value:
    """``a @ b`` with all leading axes of ``a`` as rows of one product."""
    if len(a.shape) <= 2:
        return a @ b
    rows = product(a.shape[:-1])
    result = a.apply("reshape", shape=(rows, a.shape[-1])) @ b
    return result.apply("reshape", shape=(*a.shape[:-1], *b.shape[1:]))


def _column(x: Value) -> Value:
    return x.apply("reshape", shape=(*x.shape, 1))


def _summed(a: Value, b: Value, like: Value) -> Value:
    """``a @ b`` with one axis of length 1 dropped and the leading axes summed away."""
    result = a @ b
    extra = len(result.shape) - 2
    if extra:
        result = result.apply("sum", axis=tuple(range(extra)))
    return result.apply("reshape", shape=like.shape)


def _weight_gradient(a: Value, b: Value, d: Value) -> Value:
    """∂/∂b of ``a @ b``: one product over all leading axes where b has none."""
    if len(a.shape) == 2 or len(b.shape) > 2:
        return _swapped(a) @ d
    rows = product(a.shape[:-1])
    flat_a = a.apply("reshape", shape=(rows, a.shape[-1]))
    flat_d = d.apply("reshape", shape=(rows, d.shape[-1]))
    return _swapped(flat_a) @ flat_d
