"""Neurons and channels as groups of weights: what goes when a whole unit goes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphc.numerics.pruning.choosing import Indices
from graphc.numerics.vectors import Layout
from graphc.runtime import RunError
from graphc.session.model import Model
from graphc.session.widths import Axis, find_widths

__all__ = ["unit_groups"]


def unit_groups(model: Model, layout: Layout) -> list[list[Indices]]:
    """By layer and unit the elements of a vector that belong to the unit: weights into it, its
    bias and scale, weights out of it. RunError where the model text writes no width that can be
    changed.
    """
    widths, notes = find_widths(model.checked)
    found = [
        _groups(layout, axes, width.units)
        for width in widths
        for axes in width.layers
        if any(axis.name in layout.shapes for axis in axes)
    ]
    if not found:
        told = f": {'; '.join(notes)}" if notes else ""
        raise RunError(
            f"{model.name} has no layer whose units can be removed{told}",
            help="units are those of layers of the prelude in the model file, as in dense{40}",
        )
    return found


def _groups(layout: Layout, axes: Sequence[Axis], units: int) -> list[Indices]:
    groups: list[list[Indices]] = [[] for _ in range(units)]
    for axis in axes:
        if axis.name not in layout.shapes:
            continue
        shape, part = layout.shapes[axis.name], layout.slices[axis.name]
        places = np.arange(part.start, part.stop).reshape(shape)
        along = np.moveaxis(places, axis.axis, 0)
        for unit, group in enumerate(groups):
            group.append(along[unit::units].reshape(-1))
    return [np.unique(np.concatenate(group)) for group in groups]
