"""Small networks with a part of their weights removed, for pictures of what pruning left."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from graphc.rendering.pictures.connections import Weights


def pruned_layers(sizes: Sequence[int], left: int, seed: int) -> list[Weights]:
    """Layers of these sizes, of whose weights and biases ``left`` chosen by chance are left."""
    draw = np.random.default_rng(seed)
    shapes = [shape for a, b in pairwise(sizes) for shape in ((a, b), (b,))]
    total = sum(map(int, map(np.prod, shapes)))
    kept = np.zeros(total, np.bool_)
    kept[draw.permutation(total)[:left]] = True
    values = draw.normal(size=total).round(3) * kept
    found, start = [], 0
    for shape in shapes:
        part = slice(start, start := start + int(np.prod(shape)))
        found.append((values[part].reshape(shape), kept[part].reshape(shape)))
    return [Weights(*w, *b) for w, b in zip(found[::2], found[1::2], strict=True)]


def column_names(sizes: Sequence[int]) -> list[list[str]]:
    """x1, x2, …, then a1, a2, … for the next column and so on."""
    return [
        [f"{letter}{i + 1}" for i in range(n)] for letter, n in zip("xabcd", sizes, strict=False)
    ]
