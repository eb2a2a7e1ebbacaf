"""Matrices as pixels: every pixel is what the mask says, read back from the PNG."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from drawn import flaws, texts_of

from graphc.rendering.pictures.matrices import (
    Pruned,
    darkness,
    draw_matrices,
    levels,
    share,
)
from graphc.rendering.pictures.svg import paint


def drawn(values: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, list[str], str]:
    """Colours ``[down, across, 3]`` of a picture of one parameter, its texts, its SVG."""
    image = pytest.importorskip("PIL.Image")
    placed = draw_matrices("t", [Pruned("W", values, kept)], [])
    assert flaws(placed) == []
    svg = paint(placed)
    data = base64.b64decode(re.search(r"base64,([^\"]+)", svg)[1])
    with image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB")), texts_of(svg), svg


def test_a_weight_is_a_pixel_units_down():
    values = np.array([[1.0, -1.0, 0.0], [0.0, 3.0, 0.1]])
    kept = np.array([[1, 1, 0], [0, 1, 1]]) > 0
    pixels, texts, svg = drawn(values, kept)
    assert pixels.shape == (3, 2, 3)
    white = (pixels == 255).all(axis=2)
    np.testing.assert_array_equal(white, ~kept.T)
    red, blue = pixels[..., 0].astype(int), pixels[..., 2].astype(int)
    np.testing.assert_array_equal((red > blue)[kept.T], (values.T > 0)[kept.T])
    assert pixels[1, 1].sum() < pixels[0, 0].sum() < pixels[2, 1].sum()  # the larger the stronger
    assert "W [2×3]" in texts
    assert "4 of 6 left (66.7%)" in texts
    assert "without a weight: 0 of 2 inputs, 0 of 3 units" in texts
    assert 'width="20" height="30"' in svg


def test_empty_inputs_and_units_are_counted():
    kept = np.zeros((5, 4), np.bool_)
    kept[1, 2] = kept[3, 2] = True
    _, texts, _ = drawn(np.ones((5, 4)), kept)
    assert "without a weight: 3 of 5 inputs, 3 of 4 units" in texts


def test_a_kernel_is_a_matrix_and_a_vector_a_row():
    kept = np.zeros((2, 2, 3, 4), np.bool_)
    kept[1, 0, 2, 3] = True
    pixels, texts, _ = drawn(np.ones(kept.shape), kept)
    assert pixels.shape == (4, 12, 3)
    assert np.argwhere((pixels != 255).any(axis=2)).tolist() == [[3, 8]]
    assert "without a weight: 11 of 12 inputs, 3 of 4 units" in texts
    assert drawn(np.ones(6), np.arange(6) > 2)[0].shape == (1, 6, 3)
    assert drawn(np.array(2.0), np.array(True))[0].shape == (1, 1, 3)


def test_a_large_matrix_is_shares():
    kept = np.zeros((2000, 720), np.bool_)
    kept[:3, :2] = True  # the first pixel is all kept, a part of no other
    kept[3, 0] = True  # one of six of the second across
    kept[-1] = True  # the last two inputs share a pixel: half of it
    pixels, texts, _ = drawn(np.ones(kept.shape), kept)
    assert pixels.shape == (360, 667, 3)
    dark = 255 - pixels[..., 0].astype(int)
    assert dark[0, 0] == 255 - 0x22
    assert 0 < dark[0, 1] < dark[5, 666] < dark[0, 0]
    assert not dark[1:, :666].any()
    assert "a pixel: 3×2 weights" in texts
    assert darkness(kept.T, (2, 3))[5, 666] == 128


def test_colours_of_odd_numbers():
    values = np.array([[np.nan, np.inf, -np.inf, 0.0, -1.0]])
    found = levels(values, np.ones((1, 5), np.bool_))
    assert found.min() > 0
    assert found[0, 4] == 1
    assert not levels(values, np.zeros((1, 5), np.bool_)).any()


@pytest.mark.parametrize(
    ("left", "total", "text"),
    [
        (0, 10, "0 of 10 left (0%)"),
        (1, 10**6, "1 of 1,000,000 left (0.0001%)"),
        (10**6 - 1, 10**6, "999,999 of 1,000,000 left (>99.9%)"),
        (7, 7, "7 of 7 left (100%)"),
    ],
)
def test_shares_are_never_rounded_to_none_or_all(left, total, text):
    assert share(left, total) == text


def test_many_matrices_do_not_overlap():
    draw = np.random.default_rng(0)
    shapes = [(25, 6), (150, 16), (400, 120), (120, 84), (84, 10), (10,), (784, 300), (), (3, 70)]
    parameters = [
        Pruned(f"W{i}", draw.normal(size=s), draw.random(s) < 0.1) for i, s in enumerate(shapes)
    ]
    placed = draw_matrices("t", parameters, ["whole"])
    assert flaws(placed) == []
    assert placed.width <= 1040
