"""What is drawn once for several values: rounds of something repeated, and long chains.

Rounds are found by what they are, not by their names: nodes that stand at the same place of the
text, with the same operator and type, are the rounds of one value.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from graphc.ir import Call
from graphc.ops.indexing import Index
from graphc.rendering.pictures.diagram import Frame, frames_around
from graphc.rendering.pictures.outline import Outline, Use, safe_key

__all__ = ["FEWEST_ROUNDS", "MOST_BOXES", "Folds", "Link", "fold"]

FEWEST_ROUNDS = 3
MANY_ROUNDS = 8
"""So many values at one place of the text are rounds, whether a name says so or not."""
MOST_BOXES = 200
"""Boxes beyond which chains are folded too."""
SHORTEST_CHAIN = 4


@dataclass(frozen=True)
class Link:
    """An arrow between two drawn things, by the first of the uses that it stands for."""

    tail: int
    head: int
    use: Use
    again: bool = False


@dataclass
class Folds:
    """``where`` has for each unit the unit whose box it is drawn in; ``drawn`` those boxes in
    order; ``chains`` the units of each box that stands for a chain."""

    where: dict[int, int]
    drawn: list[int]
    links: list[Link]
    chains: dict[int, list[int]] = field(default_factory=dict)
    frames: dict[str, Frame] = field(default_factory=dict)
    inside: dict[int, str] = field(default_factory=dict)
    """The frame of each drawn unit."""
    notes: list[str] = field(default_factory=list)
    blocks: dict[str, int] = field(default_factory=dict)
    """Frames of rounds with their number."""
    block_names: tuple[str, ...] = ()
    """Names of what is repeated, folded or not."""


def fold(
    outline: Outline, frames: dict[str, Frame], inside: dict[int, str], opened: Collection[str]
) -> Folds:
    """Fold rounds, except of blocks in ``opened``, and chains where there is still too much."""
    result = Folds({id: id for id in outline.units}, [], [], frames=dict(frames))
    rounds, result.block_names = _rounds(outline, inside, opened)
    # Those that a name ties to a block first: the others join them.
    for key, ids in sorted(rounds.items(), key=lambda item: not item[0][0]):
        result.where.update(dict.fromkeys(ids, ids[1]))
        result.inside[ids[1]] = _block(result, key[0], len(ids), inside.get(ids[1], ""))
    number_of = {id: i for ids in rounds.values() for i, id in enumerate(ids)}
    _settle(outline, result, inside, number_of)
    if len(result.drawn) > MOST_BOXES:
        _fold_chains(outline, result)
    result.frames = {key: result.frames[key] for key in _used_frames(result)}
    return result


# ------------------------------------------------------------------------------ rounds

Signature = tuple[Any, ...]


def _rounds(
    outline: Outline, inside: dict[int, str], opened: Collection[str]
) -> tuple[dict[Signature, list[int]], tuple[str, ...]]:
    """Units that are the rounds of one value, by what they share; names of all blocks."""
    alike: dict[Signature, list[int]] = {}
    for id in outline.units:
        node = outline.graph[id]
        if node.origin.span is not None:
            alike.setdefault(_signature(outline, id, inside), []).append(id)
    several = {key: ids for key, ids in alike.items() if len(ids) >= FEWEST_ROUNDS}
    blocks = tuple(dict.fromkeys(key[0] for key in alike if key[0]))
    kept = {key: ids for key, ids in several.items() if key[0] not in opened}
    prefixes = Counter((len(ids), key[0]) for key, ids in kept.items())
    found = {
        key: ids
        for key, ids in kept.items()
        if key[0]
        or len(ids) >= MANY_ROUNDS
        or any(count == len(ids) and prefix for count, prefix in prefixes)
    }
    return found, blocks


def _signature(outline: Outline, id: int, inside: dict[int, str]) -> Signature:
    """Block, place in the text, operator, type and name, all without the numbers of rounds."""
    node = outline.graph[id]
    op = node.op
    name = _unnumbered(node.name)
    place = _unnumbered(op.place) if isinstance(op, Call) else ""
    what = op.body.title if isinstance(op, Call) else _unnumbered(str(op))
    if isinstance(op, Index):  # a round may take its own element
        what = str(tuple("·" if isinstance(item, int) else item for item in op.items))
    span = node.origin.span
    assert span is not None
    where = _unnumbered(inside.get(id, ""))
    block = next((b for b in map(_block_name, (name, place, where)) if b), "")
    at = (span.source.name, span.start, span.end)
    return (block, at, node.origin.chain, what, str(node.type), name.partition("#")[0], where)


def _unnumbered(name: str) -> str:
    return re.sub(r"\[\d+\]", "[·]", name)


def _block_name(name: str) -> str:
    head, mark, _ = name.partition("[·]")
    return head if mark else ""


def _block(result: Folds, name: str, count: int, outer: str) -> str:
    """The frame of the rounds; values that no name ties to a block go with those of its length,
    or of one more, as the last round may need less."""
    if not name:
        for key, rounds in result.blocks.items():
            if 0 <= rounds - count <= 1:
                return key
    frame = f"{safe_key(name or 'rounds')}.{count}"
    title = f"{name or 'rounds'} ×{count}, round 2 shown"
    result.blocks[frame] = count
    result.frames.setdefault(frame, Frame(frame, title, "block", outer))
    return frame


# ------------------------------------------------------------------------------- links


def _settle(
    outline: Outline, result: Folds, inside: dict[int, str], number_of: dict[int, int]
) -> None:
    """Boxes in order, and an arrow for every use that is not drawn yet."""
    where = result.where
    result.drawn = [id for id in outline.units if where[id] == id]
    for id in result.drawn:
        if id not in result.inside and id in inside:
            result.inside[id] = inside[id]
    result.links = _links(outline, where, number_of)


def _links(outline: Outline, where: dict[int, int], number_of: dict[int, int]) -> list[Link]:
    """An arrow for every use of a drawn value by a drawn one; what other rounds use gives one more
    only between boxes that have none yet."""
    found: dict[Use, Link] = {}
    known: set[tuple[int, int, bool]] = set()
    for folded in (False, True):
        for use in outline.uses:
            tail, head = where[use.source], where[use.user]
            if folded == (use.source == tail and use.user == head):
                continue
            rounds = number_of.get(use.source), number_of.get(use.user)
            again = None not in rounds and rounds[0] != rounds[1]
            if folded and ((tail, head, again) in known or (tail == head and not again)):
                continue
            known.add((tail, head, again))
            found[use] = Link(tail, head, use, again)
    return [found[use] for use in outline.uses if use in found]


def _used_frames(result: Folds) -> dict[str, None]:
    """Keys of the frames that something is in, in the order of the boxes, outer ones first."""
    found: dict[str, None] = {}
    for id in result.drawn:
        around = frames_around(result.frames, result.inside.get(id, ""))
        found.update(dict.fromkeys(reversed(around)))
    return found


# ------------------------------------------------------------------------------ chains


def _fold_chains(outline: Outline, result: Folds) -> None:
    """One box for each run of values of which each is read by the next alone."""
    sources: dict[int, set[int]] = {}
    users: dict[int, set[int]] = {}
    for link in result.links:
        sources.setdefault(link.head, set()).add(link.tail)
        users.setdefault(link.tail, set()).add(link.head)
    leaves = {id for id in result.drawn if not outline.graph[id].inputs}
    following = {}
    for id in result.drawn:
        onward = users.get(id, set())
        if id not in leaves and len(onward) == 1:
            (user,) = onward
            if len(sources[user] - leaves) == 1 and result.inside.get(id) == result.inside.get(
                user
            ):
                following[id] = user
    reached = set(following.values())
    units: dict[int, list[int]] = {}
    for unit, box in result.where.items():
        units.setdefault(box, []).append(unit)
    starts = [id for id in following if id not in reached]
    for start in starts:
        chain = [start]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        inner = chain[1:-1]
        if len(inner) >= SHORTEST_CHAIN:
            own = [i for i in leaves if users.get(i, set()) and users[i] <= set(inner)]
            _fold_chain(result, inner, own, units)
    if result.chains:
        count = sum(len(ids) for ids in result.chains.values())
        result.notes.append(f"{count:,} values in chains are folded")


def _fold_chain(
    result: Folds, inner: list[int], leaves: list[int], units: dict[int, list[int]]
) -> None:
    box = inner[0]
    members = {*inner, *leaves}
    result.chains[box] = [*inner, *leaves]
    for id in members:
        result.where.update(dict.fromkeys(units[id], box))
    result.drawn = [id for id in result.drawn if id == box or id not in members]
    kept: dict[tuple[int, int], Link] = {}
    links = []
    for link in result.links:
        tail = box if link.tail in members else link.tail
        head = box if link.head in members else link.head
        if tail == head == box:
            continue
        moved = Link(tail, head, link.use, link.again)
        if box in (tail, head):
            if (tail, head) in kept:
                continue
            kept[tail, head] = moved
        links.append(moved)
    result.links = links
