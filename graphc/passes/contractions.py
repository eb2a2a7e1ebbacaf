"""Sums of products as matrix products: rules of ``simplify`` for ``einsum``.

An equation of two terms becomes one product, which BLAS computes. Its letters fall into four
groups: batch (in both terms and the output), rows (left and output), columns (right and output),
inner (in both terms only). Letters keep the order of the operand that they come from, so that
what lies in memory in order is reshaped without a copy, weights before all.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir import Builder, Node, Size, Value, product
from graphc.ops.einsum import Einsum, split_equation

__all__ = ["einsum_of_many", "einsum_of_one", "einsum_of_two"]


def einsum_of_one(builder: Builder, node: Node) -> Value | None:
    """A sum over the letters that go, and a transpose."""
    terms, output = _equation(node)
    if len(terms) != 1:
        return None
    value, term = _summed(builder.value(node.inputs[0]), terms[0], output)
    return _arranged(value, term, output)


def einsum_of_many(builder: Builder, node: Node) -> Value | None:
    """Three and more terms: the first two are multiplied first."""
    terms, output = _equation(node)
    if len(terms) < 3:
        return None
    a, b, *rest = (builder.value(i) for i in node.inputs)
    later = "".join(terms[2:]) + output
    inner = "".join(dict.fromkeys(x for x in terms[0] + terms[1] if x in later))
    pair = a.apply("einsum", b, equation=f"{terms[0]},{terms[1]}->{inner}")
    return pair.apply("einsum", *rest, equation=f"{','.join([inner, *terms[2:]])}->{output}")


def einsum_of_two(builder: Builder, node: Node) -> Value | None:
    """A matrix product, or a plain product where no letter is summed."""
    terms, output = _equation(node)
    if len(terms) != 2:
        return None
    a, b = (builder.value(i) for i in node.inputs)
    a, left = _summed(a, terms[0], terms[1] + output)
    b, right = _summed(b, terms[1], terms[0] + output)
    if _first_is_right(left, right, output):
        a, b, left, right = b, a, right, left
    if not any(letter not in output for letter in left):
        return _spread(a, left, output) * _spread(b, right, output)
    if not any((letter in left) != (letter in right) for letter in output):
        return _rowwise(a, left, b, right, output)
    return _product(a, left, b, right, output)


def _equation(node: Node) -> tuple[list[str], str]:
    assert isinstance(node.op, Einsum)
    return split_equation(node.op.equation)


def _summed(value: Value, term: str, kept: str) -> tuple[Value, str]:
    """A term without the letters that nothing else holds."""
    axes = tuple(axis for axis, letter in enumerate(term) if letter not in kept)
    if not axes:
        return value, term
    left = "".join(letter for letter in term if letter in kept)
    return value.apply("sum", axis=axes), left


def _first_is_right(left: str, right: str, output: str) -> bool:
    """Whether the output begins, batch aside, with letters of the right operand."""
    own = [letter for letter in output if (letter in left) != (letter in right)]
    return bool(own) and own[0] in right


def _arranged(value: Value, term: str, wanted: str) -> Value:
    """Axes in another order."""
    if term == wanted:
        return value
    return value.apply("transpose", axes=tuple(term.index(letter) for letter in wanted))


def _spread(value: Value, term: str, output: str) -> Value:
    """Axes in the order of the output, of length 1 where the term lacks a letter."""
    value = _arranged(value, term, "".join(letter for letter in output if letter in term))
    sizes = dict(zip((letter for letter in output if letter in term), value.shape, strict=True))
    shape = tuple(sizes.get(letter, 1) for letter in output)
    return value if value.shape == shape else value.apply("reshape", shape=shape)


def _rowwise(a: Value, left: str, b: Value, right: str, output: str) -> Value:
    """Inner products of rows, one for each batch."""
    inner = "".join(letter for letter in right if letter not in output)
    if not output:
        b = _arranged(b, right, inner).apply("reshape", shape=(b.type.size,))
        return _arranged(a, left, inner).apply("reshape", shape=b.shape) @ b
    a, b = _arranged(a, left, output + inner), _arranged(b, right, output + inner)
    axes = tuple(range(len(output), len(output) + len(inner)))
    return (a * b).apply("sum", axis=axes)


def _product(a: Value, left: str, b: Value, right: str, output: str) -> Value:
    """One matrix product, batched over the letters of both terms that the output holds."""
    batch = "".join(x for x in output if x in left and x in right)
    rows = "".join(x for x in left if x in output and x not in batch)
    columns = "".join(x for x in right if x in output and x not in batch)
    inner = "".join(x for x in right if x in left and x not in batch)
    sizes = {**dict(zip(left, a.shape, strict=True)), **dict(zip(right, b.shape, strict=True))}
    result = _matrix(a, left, (batch, rows, inner)) @ _matrix(b, right, (batch, inner, columns))
    found = batch + rows + columns
    result = _reshaped(result, tuple(sizes[letter] for letter in found))
    return _arranged(result, found, output)


def _matrix(value: Value, term: str, groups: tuple[str, str, str]) -> Value:
    """Batch axes as they are, and a matrix of two groups of letters; one that is empty is left
    out where there is no batch. A matrix that lies in memory the other way is transposed last."""
    batch, rows, columns = groups
    natural = "".join(letter for letter in term if letter not in batch)
    swapped = bool(rows and columns) and natural == columns + rows
    first, second = (columns, rows) if swapped else (rows, columns)
    value = _arranged(value, term, batch + first + second)
    sizes = dict(zip(batch + first + second, value.shape, strict=True))
    parts: Sequence[Size] = [
        product(sizes[letter] for letter in group) for group in (first, second) if group or batch
    ]
    value = _reshaped(value, (*(sizes[letter] for letter in batch), *parts))
    rank = len(value.shape)
    if not swapped:
        return value
    return value.apply("transpose", axes=(*range(rank - 2), rank - 1, rank - 2))


def _reshaped(value: Value, shape: tuple[Size, ...]) -> Value:
    return value if value.shape == shape else value.apply("reshape", shape=shape)
