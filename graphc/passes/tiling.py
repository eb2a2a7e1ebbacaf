"""Sums of gradients by the parts of a tensor: where the parts tile it, they are joined.

A tensor that is read slice by slice, as a sequence is step by step, would otherwise get as many
arrays of its own size to add, each zero nearly everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from graphc.ir import Size, Value
from graphc.ops.indexing import IndexAdjoint

__all__ = ["joined_tiles"]

_WHOLE = (None, None, None)


@dataclass
class _Tiles:
    """Gradients by slices of one axis, by where they start and stop."""

    axis: int
    shape: tuple[Size, ...]
    found: dict[tuple[int, int], list[Value]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the slices follow each other from end to end."""
        end: Size = 0
        for start, stop in sorted(self.found):
            if start != end:
                return False
            end = stop
        return end == self.shape[self.axis] and len(self.found) > 1

    def join(self) -> Value:
        pieces = []
        for start, stop in sorted(self.found):
            same = self.found[start, stop]
            total = sum(same[1:], start=same[0])
            shape = (*self.shape[: self.axis], stop - start, *self.shape[self.axis + 1 :])
            pieces.append(total if total.shape == shape else total.apply("reshape", shape=shape))
        return pieces[0].apply("concat", *pieces[1:], axis=self.axis)


def joined_tiles(parts: Sequence[Value]) -> list[Value]:
    """The parts of a sum, those that are gradients by slices joined where these tile an axis."""
    tiles: dict[int, _Tiles] = {}
    members: dict[int, list[Value]] = {}
    for part in parts:
        slice_ = _slice_of(part)
        if slice_ is not None:
            axis, start, stop = slice_
            node = part.builder.graph[part.id]
            found = tiles.setdefault(axis, _Tiles(axis, part.shape)).found
            found.setdefault((start, stop), []).append(part.builder.value(node.inputs[0]))
            members.setdefault(axis, []).append(part)
    for axis, tile in tiles.items():
        if tile.complete:
            rest = [part for part in parts if part not in members[axis]]
            return [*joined_tiles(rest), tile.join()]
    return list(parts)


def _slice_of(part: Value) -> tuple[int, int, int] | None:
    """Axis, start and stop where a part is the gradient by a slice of one axis, else None."""
    op = part.builder.graph[part.id].op
    if not isinstance(op, IndexAdjoint):
        return None
    cut = [axis for axis, item in enumerate(op.items) if item != _WHOLE]
    if len(cut) != 1:
        return None
    size, item = op.shape[cut[0]], op.items[cut[0]]
    if not isinstance(size, int):
        return None
    if isinstance(item, int):
        return cut[0], item % size, item % size + 1
    start, stop, step = item
    if step not in (None, 1) or not all(p is None or isinstance(p, int) for p in (start, stop)):
        return None
    start, stop, _ = slice(start, stop).indices(size)
    return cut[0], start, stop
