"""graphc's operators in PyTorch: one row each, written from what the operator means.

Nothing here reads graphc's NumPy text or its derivative rules, so ``torch.func`` of a forward graph
is an independent gradient, Hessian-vector product or per-example gradient of any model.

Kinks: ``maximum`` and ``minimum`` choose with ``where``, because the language gives a tie to the
second operand and PyTorch halves it. ``amax`` and ``amin`` share a tie equally, as graphc does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from forward_graph import AS_IN_PYTHON, SAME_NAME, Table, Use
from torch.nn import functional

Tensor = torch.Tensor


def _same(name: str) -> Callable[..., Tensor]:
    """A function of PyTorch that takes just the operands."""
    function = getattr(torch, name)
    return lambda u, *xs: function(*xs)


def _constant(u: Use) -> Tensor:
    return torch.tensor(u.op.value, dtype=_dtype(u, u.result.kind))


def _dtype(u: Use, kind: str) -> torch.dtype:
    return {"real": u.real, "bool": torch.bool}.get(kind, torch.int64)


def _divide(u: Use, x: Tensor, y: Tensor) -> Tensor:
    return x.to(u.real) / y.to(u.real)


def _sum(u: Use, x: Tensor) -> Tensor:
    kind = _dtype(u, u.result.kind)
    return torch.sum(x, dim=u.op.axis, keepdim=u.op.keep, dtype=kind)


def _index(u: Use, x: Tensor) -> Tensor:
    """Axis by axis, from the last, so that the earlier ones keep their place."""
    for axis in reversed(range(x.dim())):
        item = u.op.items[axis]
        if isinstance(item, int):
            x = x.select(axis, item)
        else:
            x = x.index_select(axis, torch.tensor(u.positions(axis, item, tuple(x.shape))))
    return x


def _index_adjoint(u: Use, d: Tensor) -> Tensor:
    """The numbers of the elements that the index takes say where each element goes."""
    shape = u.shape(u.op.shape)
    numbers = torch.arange(_count(shape)).reshape(shape)
    taken = _index(u, numbers).reshape(-1)
    flat = torch.zeros(_count(shape), dtype=d.dtype)
    return flat.index_add(0, taken, d.reshape(-1)).reshape(shape)


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _take_adjoint(u: Use, d: Tensor, index: Tensor) -> Tensor:
    rest = d.shape[index.dim() :]
    rows = torch.zeros((u.size(u.op.rows), *rest), dtype=d.dtype)
    return rows.index_add(0, index.reshape(-1), d.reshape(-1, *rest))


def _gather_adjoint(u: Use, d: Tensor, index: Tensor) -> Tensor:
    zeros = torch.zeros(u.shape(u.result.shape), dtype=d.dtype)
    return zeros.scatter_add(u.op.axis, index, d)


def _one_hot(y: Tensor, classes: int, real: Any) -> Tensor:
    return (y[..., None] == torch.arange(classes)).to(real)


def _prod(u: Use, x: Tensor) -> Tensor:
    for axis in sorted(u.op.axis, reverse=True):
        x = torch.prod(x, dim=axis, keepdim=u.op.keep)
    return x


def _ranks(u: Use, x: Tensor) -> Tensor:
    """How many are smaller, and the middle of those that are equal."""
    own, others = x.movedim(u.op.axis, -1)[..., :, None], x.movedim(u.op.axis, -1)[..., None, :]
    ranks = (others < own).sum(-1) + ((others == own).sum(-1) + 1).to(u.real) / 2
    return ranks.movedim(-1, u.op.axis)


def _turned(u: Use, x: Tensor) -> Tensor:
    """Seen from the end that the operator runs from."""
    return torch.flip(x, (u.op.axis,)) if u.op.reverse else x


def _cumprod(u: Use, x: Tensor) -> Tensor:
    x = _turned(u, x)
    if u.op.exclusive:
        ones = torch.ones_like(x.narrow(u.op.axis, 0, 1))
        x = torch.cat([ones, x.narrow(u.op.axis, 0, x.shape[u.op.axis] - 1)], dim=u.op.axis)
    return _turned(u, torch.cumprod(x, dim=u.op.axis))


def _recurrence(u: Use, a: Tensor, b: Tensor) -> Tensor:
    rows: list[Tensor] = []
    factors = _turned(u, a).unbind(u.op.axis)
    for factor, term in zip(factors, _turned(u, b).unbind(u.op.axis), strict=True):
        rows.append(term + factor * rows[-1] if rows else term)
    return _turned(u, torch.stack(rows, dim=u.op.axis))


def _windows(u: Use, x: Tensor) -> Tensor:
    """Positions of all windows of an axis, taken at once; the windows' own axes go behind the
    last windowed one, in order. (``unfold`` has no rule for ``vmap`` of its derivative.)"""
    op, rank = u.op, x.dim()
    for axis, size, stride, dilation in zip(
        op.axes, op.sizes, op.strides, op.dilations, strict=True
    ):
        count = (x.shape[axis] - dilation * (size - 1) - 1) // stride + 1
        places = torch.arange(count)[:, None] * stride + torch.arange(size) * dilation
        taken = x.index_select(axis, places.reshape(-1)).unflatten(axis, (count, size))
        x = taken.movedim(axis + 1, -1)
    inner = op.axes[-1] + 1
    return x.permute(*range(inner), *range(rank, x.dim()), *range(inner, rank))


def _windows_adjoint(u: Use, d: Tensor) -> Tensor:
    """The transpose of a linear map, by PyTorch."""
    zeros = torch.zeros(u.shape(u.op.shape), dtype=d.dtype)
    (result,) = torch.func.vjp(lambda x: _windows(u, x), zeros)[1](d)
    return result


TABLE: Table = {
    "constant": _constant,
    "positions": lambda u: torch.arange(u.size(u.op.size)),
    "length": lambda u: torch.tensor(u.size(u.op.size)),
    "dimension": lambda u: torch.tensor(float(u.size(u.op.size)), dtype=u.real),
    # arithmetic and comparisons
    **AS_IN_PYTHON,
    "divide": _divide,
    # functions
    **{name: _same(name) for name in SAME_NAME},
    "maximum": lambda u, x, y: torch.where(x > y, x, y),
    "minimum": lambda u, x, y: torch.where(x < y, x, y),
    # choice
    "where": lambda u, c, x, y: torch.where(c, x, y),
    "cast": lambda u, x: x.to(_dtype(u, u.op.kind)),
    "stop_gradient": lambda u, x: x.detach(),
    # reductions
    "sum": _sum,
    "max": lambda u, x: torch.amax(x, dim=u.op.axis, keepdim=u.op.keep),
    "min": lambda u, x: torch.amin(x, dim=u.op.axis, keepdim=u.op.keep),
    "prod": _prod,
    "argmax": lambda u, x: torch.argmax(x, dim=u.op.axis),
    "argmin": lambda u, x: torch.argmin(x, dim=u.op.axis),
    "argsort": lambda u, x: torch.argsort(
        x, dim=u.op.axis, descending=u.op.descending, stable=True
    ),
    "ranks": _ranks,
    "cumsum": lambda u, x: _turned(u, torch.cumsum(_turned(u, x), dim=u.op.axis)),
    "cumprod": _cumprod,
    "recurrence": _recurrence,
    # products
    "matmul": lambda u, x, y: torch.matmul(x, y),
    "einsum": lambda u, *xs: torch.einsum(u.op.equation, *xs),
    # elements moved
    "reshape": lambda u, x: x.reshape(u.shape(u.op.shape)),
    "transpose": lambda u, x: x.permute(u.op.axes),
    "broadcast": lambda u, x: torch.broadcast_to(x, u.shape(u.op.shape)),
    "concat": lambda u, *xs: torch.cat(xs, dim=u.op.axis),
    "pad": lambda u, x: functional.pad(
        x, [width for pair in reversed(u.op.widths) for width in pair], value=u.op.value
    ),
    "windows": _windows,
    "windows_adjoint": _windows_adjoint,
    "index": _index,
    "index_adjoint": _index_adjoint,
    "take": lambda u, x, index: x[index],
    "take_adjoint": _take_adjoint,
    "gather": lambda u, x, index: torch.gather(x, u.op.axis, index),
    "gather_adjoint": _gather_adjoint,
    "pick": lambda u, x, y: torch.gather(x, -1, y[..., None])[..., 0],
    "pick_adjoint": lambda u, d, y: d[..., None] * _one_hot(y, u.op.classes, d.dtype),
    "one_hot": lambda u, y: _one_hot(y, u.types[0].classes, u.real),
}


# ---------------------------------------------------------------- what PyTorch makes of functions
#
# A function takes a dict of tensors and returns a scalar, unless its docstring says otherwise.

REAL: dict[str, torch.dtype] = {"f32": torch.float32, "f64": torch.float64}
Tensors = dict[str, Tensor]
Function = Callable[..., Tensor]


def tensor(array: Any, real: torch.dtype) -> Tensor:
    """An array as a tensor: floating-point numbers as ``real``, integers as int64."""
    found = torch.as_tensor(array)
    if found.dtype.is_floating_point:
        return found.to(real)
    return found if found.dtype is torch.bool else found.to(torch.int64)


def array(value: Tensor) -> Any:
    return value.detach().numpy()


def value_and_gradients(function: Function, at: Tensors) -> tuple[Tensor, Tensors]:
    gradients, value = torch.func.grad_and_value(function)(at)
    return value, gradients


def hessian_products(function: Function, at: Tensors, tangents: Tensors) -> Tensors:
    """H·v for every tangent, tensors with a leading axis. H is symmetric: the transposed product
    of the gradient's Jacobian is the same."""
    _, pull = torch.func.vjp(torch.func.grad(function), at)
    (products,) = torch.func.vmap(pull)(tangents)
    return products


def per_example_gradients(function: Function, at: Tensors, examples: Any) -> Tensors:
    """Gradients of ``function(at, example)``; every tensor of ``examples`` has a leading axis."""
    return torch.func.vmap(torch.func.grad(function), in_dims=(None, 0))(at, examples)


def jacobian_product(function: Callable[..., Any], at: Tensors, tangent: Tensors) -> Any:
    """J·v of a function that returns a list of tensors: Jᵀ·u is linear in u, and J is its
    transpose. (PyTorch's forward mode warns of what it imports.)"""
    values, pull = torch.func.vjp(function, at)
    _, push = torch.func.vjp(pull, [torch.zeros_like(value) for value in values])
    return push((tangent,))[0]


def transposed_product(function: Callable[..., Any], at: Tensors, seeds: Any) -> Tensors:
    """Jᵀ·u of a function that returns a list of tensors."""
    return torch.func.vjp(function, at)[1](seeds)[0]
