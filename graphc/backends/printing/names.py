"""Names of variables: safe, deterministic, never twice the same.

Names come from the user's model, so this is one of the two gates through which user text reaches
source (the other is ``repr``).
"""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from graphc.ir import OPERATORS, Node
from graphc.schedule import How

__all__ = ["NameAllocator", "identifier", "name_values"]

LONGEST = 36
"""Of a name from the model, before a number behind it."""

_FACE = """
    REAL EPOCHS STEPS_PER_EPOCH WEIGHTS GROUPS MOMENTS COUNTERS TILE classes signature example init
    load save prepare fit predict losses metrics evaluate loss_and_gradients restore Trainer np math
    operator os sys tempfile zipfile
"""
_LOCALS = """
    self state batch inputs outputs raw real sizes seed step dtype path new update enter gradients
    commit bound training columns epochs steps_per_epoch
"""
_FUNCTIONS = {
    name
    for op in OPERATORS.values()
    for name in (getattr(op, "ufunc", ""), getattr(op, "method", ""))
    if name
} | {"copyto", "dot", "matmul", "float64", "arange", "ones", "array", "asarray"}
_FUNCTIONS |= {f"{name}_reduce" for name in _FUNCTIONS}
_BUILTINS = {name for name in dir(builtins) if name.islower()}
_RESERVED = frozenset({*_FACE.split(), *_LOCALS.split(), *_FUNCTIONS, *_BUILTINS, *keyword.kwlist})


_OTHER = re.compile(r"\W", re.ASCII)


def identifier(text: str) -> str:
    """Text as an identifier that begins with a letter. μ stays μ.

    Python compares identifiers in the form NFKC, so that form is what is compared here too.
    """
    if text.isascii():
        text = _OTHER.sub("_", text)
    else:
        normal = unicodedata.normalize("NFKC", text)
        text = "".join(c if f"v{c}".isidentifier() else "_" for c in normal)
    kept = _shortened(text.strip("_"))
    return kept if kept.isidentifier() else f"v{kept}"  # a digit first, or nothing left


def _shortened(name: str) -> str:
    """A long path without its middle: where it begins and what it ends in say most."""
    if len(name) <= LONGEST:
        return name
    head, parts = name[: LONGEST // 3].rstrip("_"), name.split("_")
    while parts and len(head) + 1 + len("_".join(parts)) > LONGEST:
        parts.pop(0)
    return f"{head}_{'_'.join(parts)}" if parts else name[:LONGEST]


class NameAllocator:
    """Names of one scope. A name that Python or the module needs gets an underscore behind it."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._count: dict[str, int] = {}

    def fresh(self, wanted: str) -> str:
        """``wanted`` made safe, and numbered from 2 if it is taken."""
        base = identifier(wanted)
        if base in _RESERVED:
            base += "_"
        if base in self._taken:
            return self._numbered(base, 2)
        self._taken.add(base)
        return base

    def numbered(self, wanted: str) -> str:
        """The next of ``wanted_1``, ``wanted_2``, …"""
        return self._numbered(identifier(wanted), 1)

    def function(self, name: str) -> str:
        """A local name of a NumPy function; reserved, so no value has it."""
        base = name if name in _RESERVED else f"{name}_"
        if base in self._taken:
            return self._numbered(base, 2)
        self._taken.add(base)
        return base

    def _numbered(self, base: str, first: int) -> str:
        number = self._count.get(base, first)
        while f"{base}_{number}" in self._taken:
            number += 1
        self._count[base] = number + 1
        name = f"{base}_{number}"
        self._taken.add(name)
        return name


def name_values(
    order: Sequence[Node],
    how: Mapping[int, How],
    hints: Mapping[int, str],
    names: NameAllocator,
) -> dict[int, str]:
    """A name for every node that is computed, leaves and literals aside.

    A value that the model names keeps its name, a root that has none gets its hint, a gradient is
    ``d_`` and what it is the gradient of, a derivative along tangents ``t_`` and what moves. Every
    other value is numbered after the named one that it goes into: ``h_1``.
    """
    wanted = [node for node in order if how[node.id] not in ("leaf", "literal") or _clock(node)]
    result: dict[int, str] = {}
    for node in wanted:
        own = node.name or hints.get(node.id)
        if own:
            result[node.id] = names.fresh(own)
    stems = _stems(order, hints)
    last = {stems[n.id]: n.id for n in wanted if n.origin.adjoint_of or n.origin.tangent_of}
    for node in wanted:
        if node.id in result:
            continue
        stem = stems[node.id]
        final = last.get(stem) == node.id
        result[node.id] = names.fresh(stem) if final else names.numbered(stem)
    return result


def _clock(node: Node) -> bool:
    return node.op.name == "clock"


def _stems(order: Sequence[Node], hints: Mapping[int, str]) -> dict[int, str]:
    """What an unnamed node is named after: the first named value that it goes into."""
    stems: dict[int, str] = {}
    inherited: dict[int, str] = {}
    for node in reversed(order):
        if node.name or node.id in hints:
            stem = node.name or hints[node.id]
        elif node.origin.adjoint_of:
            stem = f"d_{node.origin.adjoint_of}"
        elif node.origin.tangent_of:
            stem = f"t_{node.origin.tangent_of}"
        else:
            stem = inherited.get(node.id, node.op.name)
        stems[node.id] = stem
        for id in node.inputs:
            inherited[id] = stem
    return stems
