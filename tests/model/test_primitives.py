"""Structural primitives under their names in the language, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from model_helpers import errors, lowered, value, values
from numpy.lib.stride_tricks import sliding_window_view

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 7, 8, 3))
ROWS = RNG.normal(size=(3, 5))
SETUP = "input x: real[n, 7, 8, 3]"
FLAT = "input x: real[n, 5]"


def of_images(expression: str) -> Any:
    return values(f"{SETUP}\noutput y = {expression}\n", {"x": IMAGES}, n=2)["y"]


def of_rows(expression: str, rows: Any = ROWS) -> Any:
    return values(f"{FLAT}\noutput y = {expression}\n", {"x": rows}, n=len(rows))["y"]


# ------------------------------------------------------------------------ join and pad


def test_concat_and_stack_take_any_number():
    x = ROWS
    np.testing.assert_array_equal(of_rows("concat(x, 2 * x, x)"), np.concatenate([x, 2 * x, x], 1))
    for axis in (0, 1, -1):
        expected = np.stack([x, -x, x + 1], axis)
        np.testing.assert_array_equal(of_rows(f"stack{{{axis}}}(x, -x, x + 1)"), expected)
    np.testing.assert_array_equal(of_rows("[1, x, x]"), np.stack([np.ones_like(x), x, x], -1))


def test_many_tensors_are_joined_by_one_operator():
    names = ", ".join(f"x + {i}" for i in range(50))
    program = lowered(f"{FLAT}\noutput y = stack{{1}}({names})\n").prediction
    assert [node.op.name for node in program.graph].count("concat") == 1


@pytest.mark.parametrize(
    ("widths", "expected"),
    [("2", (2, 2)), ("[0, 1]", ((0, 0), (1, 1))), ("[[1, 2], [0, 3]]", ((1, 2), (0, 3)))],
)
@pytest.mark.parametrize("number", [0.0, -np.inf])
def test_pad(widths: str, expected: Any, number: float):
    text = "0" if number == 0 else "-inf"
    actual = of_rows(f"pad{{{widths}, value = {text}}}(x)")
    np.testing.assert_array_equal(actual, np.pad(ROWS, expected, constant_values=number))


# ----------------------------------------------------------------------------- windows


def reference_windows(x: Any, axes: Any, sizes: Any, strides: Any, dilations: Any) -> Any:
    """By NumPy's own windows: whole spans, then every so many of both kinds of axis."""
    spans = [d * (k - 1) + 1 for k, d in zip(sizes, dilations, strict=True)]
    result = sliding_window_view(x, spans, axes)
    rank, keep = x.ndim, [slice(None)] * result.ndim
    for i, (axis, stride, dilation) in enumerate(zip(axes, strides, dilations, strict=True)):
        keep[axis] = slice(None, None, stride)
        keep[rank + i] = slice(None, None, dilation)
    inner = tuple(range(rank, rank + len(axes)))
    last = max(axes) + 1
    order = (*range(last), *inner, *range(last, rank))
    return result[tuple(keep)].transpose(order)


@pytest.mark.parametrize(
    ("attributes", "reference"),
    [
        ("[1, 2], 3", ((1, 2), (3, 3), (1, 1), (1, 1))),
        ("[1, 2], [2, 3], [1, 2], [2, 1]", ((1, 2), (2, 3), (1, 2), (2, 1))),
        ("[1, 2], [7, 2], [5, 2]", ((1, 2), (7, 2), (5, 2), (1, 1))),
        ("2, 4, stride = 4", ((2,), (4,), (4,), (1,))),
        ("1, 2, dilation = 6", ((1,), (2,), (1,), (6,))),
        ("[-2, 1], 2", ((1, 2), (2, 2), (1, 1), (1, 1))),
    ],
)
def test_windows(attributes: str, reference: Any):
    actual = of_images(f"windows{{{attributes}}}(x)")
    np.testing.assert_array_equal(actual, reference_windows(IMAGES, *reference))


def test_sizes_belong_to_the_axes_as_they_are_written():
    np.testing.assert_array_equal(
        of_images("windows{[2, 1], [4, 2], [1, 3]}(x)"),
        reference_windows(IMAGES, (1, 2), (2, 4), (3, 1), (1, 1)),
    )


def test_windows_along_the_batch():
    np.testing.assert_array_equal(
        of_rows("windows{0, 2}(x)"), reference_windows(ROWS, (0,), (2,), (1,), (1,))
    )


# ------------------------------------------------------------------------------ einsum

A = RNG.normal(size=(2, 3, 4))
B = RNG.normal(size=(2, 4, 5))
C = RNG.normal(size=(4, 4))
D = RNG.normal(size=(1, 3, 4))
OPERANDS = {"a": A, "b": B, "c": C, "d": D}
DECLARED = "\n".join(
    f"input {name}: real[{', '.join(map(str, x.shape))}]" for name, x in OPERANDS.items()
)


@pytest.mark.parametrize(
    ("equation", "names"),
    [
        ("nij,njk->nik", "ab"),
        ("nij,njk->kin", "ab"),
        ("nij,njk", "ab"),
        ("n i j, n j k -> n k", "ab"),
        ("...j,jk->...k", "ac"),
        ("...ij,...jk", "ab"),
        ("...,...->...", "ad"),
        ("...ij,...kj->...ik", "ad"),
        ("ii", "c"),
        ("ii->i", "c"),
        ("iji,ki->jk", "ec"),
        ("ij,ji->", "cc"),
        ("nij,njk,jl->nil", "abc"),
        ("nij->", "a"),
        ("zyx->xz", "a"),
        ("ij,kl->ijkl", "cc"),
        ("i...->...", "a"),
    ],
)
def test_einsum(equation: str, names: str):
    operands = {**OPERANDS, "e": RNG.normal(size=(4, 2, 4))}
    given = [operands[name] for name in names]
    actual = value(
        f'einsum{{"{equation}"}}({", ".join(names)})',
        operands,
        setup=f"{DECLARED}\ninput e: real[4, 2, 4]",
    )
    np.testing.assert_allclose(actual, np.einsum(equation, *given), rtol=1e-12, atol=1e-13)


def test_generated_source_has_products_instead_of_einsum():
    text = (
        f"{SETUP}\nparam K: real[3, 2, 3, 4] ~ normal{{0, 1}}\n"
        'output y = einsum{"nhwijc,ijco->nhwo"}(windows{[1, 2], [3, 2]}(x), K)\n'
    )
    names = [node.op.name for node in lowered(text).prediction.graph]
    assert names.count("matmul") == 1
    assert "einsum" not in names
    assert "transpose" not in names


# -------------------------------------------------------------------- positions, order


def test_gather_takes_along_an_axis():
    order = np.argsort(-ROWS, axis=1, kind="stable")
    np.testing.assert_array_equal(
        of_rows("gather{1}(x, argsort{1, true}(x))"), np.take_along_axis(ROWS, order, 1)
    )
    picked = of_rows("gather{0}(x, argsort{0}(x)[:1])")
    np.testing.assert_array_equal(picked, ROWS.min(axis=0, keepdims=True))


TIES = np.array([[2.0, 1.0, 2.0, 3.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0], [5.0, 4.0, 3.0, 2.0, 1.0]])


def test_sorting_is_stable_both_ways():
    np.testing.assert_array_equal(of_rows("argsort(x)", TIES)[0], [1, 4, 0, 2, 3])
    np.testing.assert_array_equal(of_rows("argsort{-1, true}(x)", TIES)[0], [3, 0, 2, 1, 4])
    np.testing.assert_array_equal(of_rows("sort(x)"), np.sort(ROWS))
    np.testing.assert_array_equal(of_rows("sort{0, true}(x)"), -np.sort(-ROWS, axis=0))


def test_the_largest_elements():
    np.testing.assert_array_equal(of_rows("top_k{2}(x)", TIES), [[3, 2], [0, 0], [5, 4]])
    np.testing.assert_array_equal(of_rows("top_k_indices{2}(x)", TIES), [[3, 0], [0, 1], [0, 1]])
    np.testing.assert_array_equal(of_rows("top_k{1, axis = 0}(x)", TIES), TIES.max(0)[None])


def test_ranks_share_the_mean_of_ties():
    expected = [[3.5, 1.5, 3.5, 5, 1.5], [3] * 5, [5, 4, 3, 2, 1]]
    np.testing.assert_array_equal(of_rows("ranks(x)", TIES), expected)
    np.testing.assert_array_equal(of_rows("ranks{0}(x)", TIES)[:, 3], [3, 1, 2])


def test_a_causal_mask():
    mask = of_rows("where(expand{1}(positions{1}(x)) >= positions{1}(x), 1, 0)")
    np.testing.assert_array_equal(mask, np.tril(np.ones((5, 5))))
    np.testing.assert_array_equal(of_rows("positions{0}(x) * 2"), [0, 2, 4])


# ------------------------------------------------------------------------------ slices


@pytest.mark.parametrize("index", ["::-1", "-2::-1", "2::-1", "1:", ":-1:", "-2:", ":0:-1"])
def test_slices_of_a_symbolic_axis(index: str):
    np.testing.assert_array_equal(of_rows(f"x[{index}]"), eval(f"ROWS[{index}]"))


def test_steps_that_a_symbolic_length_allows():
    twice = "concat{0}(x, x)"
    expected = np.concatenate([ROWS, ROWS])
    np.testing.assert_array_equal(of_rows(f"{twice}[::2]"), expected[::2])
    np.testing.assert_array_equal(of_rows(f"{twice}[1::2]"), expected[1::2])
    np.testing.assert_array_equal(of_rows(f"{twice}[::-2]"), expected[::-2])
    assert errors(f"{FLAT}\ny = {twice}[::3]\n") == ["E209"]


# ------------------------------------------------------------------------------- draws


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 3, 4), (2, 2, 9)])
def test_orthonormal_draws(shape: tuple[int, ...]):
    text = f"param W: real{list(shape)} ~ orthonormal\noutput y = W\n"
    matrix = values(text)["y"].reshape(-1, shape[-1])
    high = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(high.T @ high, np.eye(high.shape[1]), atol=1e-14)


def test_cast_changes_the_kind():
    np.testing.assert_array_equal(of_rows('cast{"int"}(3 * x)'), np.trunc(3 * ROWS))
    np.testing.assert_array_equal(of_rows('cast{"real"}(x > 0) * 2'), 2.0 * (ROWS > 0))
    assert of_rows('cast{"bool"}(x)').dtype == np.bool_
    assert errors(f'{FLAT}\noutput y = cast{{"text"}}(x)\n') == ["E303"]
