"""graphc's operators in JAX: one row each, as in ``torch_graph`` but by ``jax.numpy``.

The reductions, indexing and products are NumPy's, which is what the language means by them; the
derivatives are JAX's own. Ties of ``maximum`` and ``minimum`` go to the second operand by
``where``; JAX shares a tie of ``max`` equally, as graphc does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from forward_graph import AS_IN_PYTHON, SAME_NAME, Table, Use

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_disable_most_optimizations", True)  # functions run once: compile quickly
Tensor = jax.Array


def _same(name: str) -> Callable[..., Tensor]:
    """A function of JAX that takes just the operands."""
    home = jnp if hasattr(jnp, name) else jax.scipy.special
    function = getattr(home, name)
    return lambda u, *xs: function(*xs)


def _dtype(u: Use, kind: str) -> Any:
    return {"real": u.real, "bool": jnp.bool_}.get(kind, jnp.int64)


def _index(u: Use, x: Tensor) -> Tensor:
    for axis in reversed(range(x.ndim)):
        item = u.op.items[axis]
        taken = item if isinstance(item, int) else jnp.array(u.positions(axis, item, x.shape), int)
        x = jnp.take(x, taken, axis=axis)
    return x


def _index_adjoint(u: Use, d: Tensor) -> Tensor:
    """The transpose of a linear map, by JAX."""
    zeros = jnp.zeros(u.shape(u.op.shape), d.dtype)
    (result,) = jax.linear_transpose(lambda x: _index(u, x), zeros)(d)
    return result


def _take_adjoint(u: Use, d: Tensor, index: Tensor) -> Tensor:
    rest = d.shape[index.ndim :]
    return jnp.zeros((u.size(u.op.rows), *rest), d.dtype).at[index].add(d)


def _gather_adjoint(u: Use, d: Tensor, index: Tensor) -> Tensor:
    """The transpose of a linear map, by JAX."""
    zeros = jnp.zeros(u.shape(u.result.shape), d.dtype)
    gather = TABLE["gather"]
    (result,) = jax.linear_transpose(lambda x: gather(u, x, index), zeros)(d)
    return result


def _one_hot(y: Tensor, classes: int, real: Any) -> Tensor:
    return jax.nn.one_hot(y, classes, dtype=real)


def _turned(u: Use, x: Tensor) -> Tensor:
    """Seen from the end that the operator runs from."""
    return jnp.flip(x, u.op.axis) if u.op.reverse else x


def _cumprod(u: Use, x: Tensor) -> Tensor:
    x = _turned(u, x)
    if u.op.exclusive:
        head, rest = jnp.split(x, [1], axis=u.op.axis)
        before = x[tuple([slice(None)] * u.op.axis + [slice(0, rest.shape[u.op.axis])])]
        x = jnp.concatenate([jnp.ones_like(head), before], axis=u.op.axis)
    return _turned(u, jnp.cumprod(x, axis=u.op.axis))


def _recurrence(u: Use, a: Tensor, b: Tensor) -> Tensor:
    """As a scan over the axis."""

    def step(h: Tensor, ab: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h = ab[1] + ab[0] * h
        return h, h

    ab = tuple(jnp.moveaxis(_turned(u, x), u.op.axis, 0) for x in (a, b))
    _, rows = jax.lax.scan(step, jnp.zeros_like(ab[0][0]), ab)
    return _turned(u, jnp.moveaxis(rows, 0, u.op.axis))


def _windows(u: Use, x: Tensor) -> Tensor:
    """Positions of all windows of an axis, taken at once; the windows' own axes go behind the
    last windowed one, in order."""
    op = u.op
    for axis, size, stride, dilation in zip(
        op.axes, op.sizes, op.strides, op.dilations, strict=True
    ):
        count = (x.shape[axis] - dilation * (size - 1) - 1) // stride + 1
        places = jnp.arange(count)[:, None] * stride + jnp.arange(size) * dilation
        x = jnp.moveaxis(jnp.take(x, places, axis=axis), axis + 1, -1)
    inner, rank = op.axes[-1] + 1, x.ndim - len(op.axes)
    return x.transpose(*range(inner), *range(rank, x.ndim), *range(inner, rank))


def _windows_adjoint(u: Use, d: Tensor) -> Tensor:
    zeros = jnp.zeros(u.shape(u.op.shape), d.dtype)
    (result,) = jax.linear_transpose(lambda x: _windows(u, x), zeros)(d)
    return result


TABLE: Table = {
    "constant": lambda u: jnp.array(u.op.value, dtype=_dtype(u, u.result.kind)),
    "positions": lambda u: jnp.arange(u.size(u.op.size)),
    "length": lambda u: jnp.array(u.size(u.op.size)),
    "dimension": lambda u: jnp.array(u.size(u.op.size), u.real),
    # arithmetic and comparisons
    **AS_IN_PYTHON,
    "divide": lambda u, x, y: x.astype(u.real) / y.astype(u.real),
    # functions
    **{name: _same(name) for name in SAME_NAME},
    "maximum": lambda u, x, y: jnp.where(x > y, x, y),
    "minimum": lambda u, x, y: jnp.where(x < y, x, y),
    # choice
    "where": _same("where"),
    "cast": lambda u, x: x.astype(_dtype(u, u.op.kind)),
    "stop_gradient": lambda u, x: jax.lax.stop_gradient(x),
    # reductions
    "sum": lambda u, x: jnp.sum(
        x, axis=u.op.axis, keepdims=u.op.keep, dtype=_dtype(u, u.result.kind)
    ),
    "max": lambda u, x: jnp.max(x, axis=u.op.axis, keepdims=u.op.keep),
    "min": lambda u, x: jnp.min(x, axis=u.op.axis, keepdims=u.op.keep),
    "prod": lambda u, x: jnp.prod(x, axis=u.op.axis, keepdims=u.op.keep),
    "argmax": lambda u, x: jnp.argmax(x, axis=u.op.axis),
    "argmin": lambda u, x: jnp.argmin(x, axis=u.op.axis),
    "argsort": lambda u, x: jnp.argsort(x, axis=u.op.axis, descending=u.op.descending, stable=True),
    "ranks": lambda u, x: jax.scipy.stats.rankdata(x, axis=u.op.axis).astype(u.real),
    "cumsum": lambda u, x: _turned(u, jnp.cumsum(_turned(u, x), axis=u.op.axis)),
    "cumprod": _cumprod,
    "recurrence": _recurrence,
    # products
    "matmul": lambda u, x, y: jnp.matmul(x, y, precision="highest"),
    "einsum": lambda u, *xs: jnp.einsum(u.op.equation, *xs, precision="highest"),
    # elements moved
    "reshape": lambda u, x: x.reshape(u.shape(u.op.shape)),
    "transpose": lambda u, x: x.transpose(u.op.axes),
    "broadcast": lambda u, x: jnp.broadcast_to(x, u.shape(u.op.shape)),
    "concat": lambda u, *xs: jnp.concatenate(xs, axis=u.op.axis),
    "pad": lambda u, x: jnp.pad(x, u.op.widths, constant_values=u.op.value),
    "windows": _windows,
    "windows_adjoint": _windows_adjoint,
    "index": _index,
    "index_adjoint": _index_adjoint,
    "take": lambda u, x, index: x[index],
    "take_adjoint": _take_adjoint,
    "gather": lambda u, x, index: jnp.take_along_axis(x, index, axis=u.op.axis),
    "gather_adjoint": _gather_adjoint,
    "pick": lambda u, x, y: jnp.take_along_axis(x, y[..., None], axis=-1)[..., 0],
    "pick_adjoint": lambda u, d, y: d[..., None] * _one_hot(y, u.op.classes, d.dtype),
    "one_hot": lambda u, y: _one_hot(y, u.types[0].classes, u.real),
}


# -------------------------------------------------------------------- what JAX makes of functions

REAL: dict[str, Any] = {"f32": jnp.float32, "f64": jnp.float64}
Tensors = dict[str, Tensor]
Function = Callable[..., Tensor]


def tensor(array: Any, real: Any) -> Tensor:
    """An array as JAX's: floating-point numbers as ``real``, integers as int64."""
    found = jnp.asarray(array)
    if jnp.issubdtype(found.dtype, jnp.floating):
        return found.astype(real)
    return found if found.dtype == jnp.bool_ else found.astype(jnp.int64)


def array(value: Tensor) -> Any:
    return value


def value_and_gradients(function: Function, at: Tensors) -> tuple[Tensor, Tensors]:
    value, gradients = jax.jit(jax.value_and_grad(function))(at)
    return value, gradients


def hessian_products(function: Function, at: Tensors, tangents: Tensors) -> Tensors:
    """H·v for every tangent, arrays with a leading axis."""
    gradient = jax.grad(function)
    products = jax.vmap(lambda at, v: jax.jvp(gradient, (at,), (v,))[1], in_axes=(None, 0))
    found: Tensors = jax.jit(products)(at, tangents)
    return found


def per_example_gradients(function: Function, at: Tensors, examples: Any) -> Tensors:
    """Gradients of ``function(at, example)``; every array of ``examples`` has a leading axis."""
    found: Tensors = jax.jit(jax.vmap(jax.grad(function), in_axes=(None, 0)))(at, examples)
    return found


def jacobian_product(function: Callable[..., Any], at: Tensors, tangent: Tensors) -> Any:
    """J·v of a function that returns a list of arrays."""
    return jax.jit(lambda at, v: jax.jvp(function, (at,), (v,))[1])(at, tangent)


def transposed_product(function: Callable[..., Any], at: Tensors, seeds: Any) -> Tensors:
    """Jᵀ·u of a function that returns a list of arrays."""
    found: Tensors = jax.jit(lambda at, u: jax.vjp(function, at)[1](u)[0])(at, seeds)
    return found
