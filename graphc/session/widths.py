"""Widths of layers as they are written in a model text, and what is tied to each of them.

A width is the attribute ``units`` of a layer of the prelude: the 40 of ``dense{40}``. What is tied
to it is found by the type checker itself: the text is checked once more with one unit less there,
and the axes of parameters and states that shrink are those of its units. So what stands behind a
flatten, a normalisation or a second use of the layer needs no rule of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphc.diagnostics import CompileError, Diagnostics, Source
from graphc.language import parse, tree
from graphc.model.prelude import load_prelude
from graphc.runtime import RunError
from graphc.session.checking import Checked, Request, check

__all__ = ["Axis", "Width", "find_widths", "rewritten"]

UNITS = "units"
"""The attribute of the prelude's layers that is a width."""


@dataclass(frozen=True)
class Axis:
    """An axis of a parameter or state that holds the units of a width, ``repeats`` times in a row:
    element p of it belongs to unit ``p % units``, for channels are the innermost axis."""

    name: str
    axis: int
    repeats: int


@dataclass(frozen=True)
class Width:
    """A width: the places it is written at, its units, and the axes of each layer that has it.

    Calls that must be as wide as each other (the sides of a sum) are one width with several places.
    A call inside of a repeat or a definition makes several layers of one width: ``layers``.
    """

    written: tuple[tuple[int, int], ...]
    title: str
    units: int
    layers: tuple[tuple[Axis, ...], ...]

    @property
    def together(self) -> Width:
        """The same with all its axes as those of one layer."""
        return replace(self, layers=(tuple(axis for own in self.layers for axis in own),))


@dataclass(frozen=True)
class _Site:
    """A call of a layer and where its width stands. ``shared`` where it may make several layers."""

    title: str
    start: int
    end: int
    text: str
    shared: bool


def find_widths(checked: Checked) -> tuple[list[Width], list[str]]:
    """Widths that can be changed, and what is said of the others."""
    source = checked.request.source
    tracer = _Tracer(checked)
    widths, alone, notes = list[Width](), list[_Site](), list[str]()
    for site in _sites(parse(source, Diagnostics())):
        found = tracer.width([site])
        if isinstance(found, Width):
            widths.append(found)
        elif found:
            notes.append(f"{site.title} {found}")
        else:
            alone.append(site)
    while alone:
        first, *others = alone
        chosen, joint = _tied(tracer, first, others)
        if joint is None and not _is_a_targets(first, checked):
            notes.append(f"{first.title} is tied to a size that is given elsewhere")
        elif joint is not None:
            widths.append(joint)
        alone = [site for site in alone if site not in chosen]
    notes += [f"widths written in {name} are left alone" for name in checked.spec.files]
    return widths, notes


def _is_a_targets(site: _Site, checked: Checked) -> bool:
    """Whether a width is a number that a target has, its classes or a dimension: what a network
    answers is as wide as the question, and nobody expects less."""
    types = [info.type for info in checked.spec.inputs.values() if info.role == "target"]
    sizes = {str(size) for type in types for size in (type.classes, *type.shape)}
    return site.text in sizes


def rewritten(source: Source, widths: Iterable[tuple[Width, int]]) -> Source:
    """The text with other numbers of units; all else stays as it is, comments and layout too."""
    edits = [(place, str(units)) for width, units in widths for place in width.written]
    return _edited(source, edits)


def _edited(source: Source, edits: Iterable[tuple[tuple[int, int], str]]) -> Source:
    text = source.text
    for (start, end), new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return Source(source.name, text)


# -------------------------------------------------------------------------------- calls


def _sites(file: tree.File) -> Iterator[_Site]:
    """Calls of layers of the prelude whose width is written in the file, in order."""
    prelude = load_prelude().definitions
    own = {s.name.name for s in file.statements if isinstance(s, tree.Definition)}
    for call, shared in _calls(file, shared=False):
        if call.name in own or call.name not in prelude or call.attributes is None:
            continue
        names = [attribute.name.name for attribute in prelude[call.name].tree.attributes]
        value = _given(call.attributes, names)
        if value is not None:
            span = value.span
            title = f"{call.name}{{{span.text}}} (line {call.callee.line})"
            yield _Site(title, span.start, span.end, span.text, shared)


def _given(arguments: Sequence[tree.Argument], names: Sequence[str]) -> tree.Expr | None:
    """What a call gives for its units, by name or by place."""
    if UNITS not in names:
        return None
    for place, argument in enumerate(arguments):
        by_place = argument.name is None and place == names.index(UNITS)
        if argument.name == UNITS or by_place:
            return argument.value
    return None


def _calls(node: Any, *, shared: bool) -> Iterator[tuple[tree.Apply, bool]]:
    """Uses of definitions below a node of the tree, in order."""
    if isinstance(node, tuple | list):
        for item in node:
            yield from _calls(item, shared=shared)
        return
    if not dataclasses.is_dataclass(node) or type(node).__module__ != tree.__name__:
        return
    if isinstance(node, tree.Apply):
        yield node, shared
    inside = shared or isinstance(node, tree.Repeat | tree.Definition)
    for field in dataclasses.fields(node):
        yield from _calls(getattr(node, field.name), shared=inside)


# ------------------------------------------------------------------------------- tracing


class _Tracer:
    """Checks the text with a unit less at some calls."""

    def __init__(self, checked: Checked) -> None:
        self.request: Request = replace(checked.request, columns=checked.columns)
        self.shapes = _shapes(checked)
        self.outputs = _outputs(checked)

    def width(self, sites: Sequence[_Site]) -> Width | str:
        """The width that these calls share; why it cannot be changed, "" where the text with a
        unit less has errors."""
        edits = [((site.start, site.end), f"({site.text}) - 1") for site in sites]
        try:
            less = check(replace(self.request, source=_edited(self.request.source, edits)))
        except (CompileError, RunError):
            return ""
        if _outputs(less) != self.outputs:
            return "is the width of an output"
        axes = self._shrunk(_shapes(less))
        if axes is None:
            return "changes more than widths"
        if not axes:
            return "belongs to no parameter"
        units = {self.shapes[axis.name][axis.axis] / axis.repeats for axis in axes}
        if len(units) > 1 or min(units) != int(min(units)):
            return "is joined with other units, or is that of layers of several sizes"
        title = " and ".join(site.title for site in sites)
        shared = any(site.shared for site in sites)
        layers = _layers(axes) if shared else (tuple(axes),)
        places = tuple((site.start, site.end) for site in sites)
        return Width(places, title, int(min(units)), layers)

    def _shrunk(self, shapes: dict[str, tuple[int, ...]]) -> list[Axis] | None:
        """Axes that are shorter than they were; None where anything else differs."""
        if shapes.keys() != self.shapes.keys():
            return None
        axes = []
        for name, before in self.shapes.items():
            if len(shapes[name]) != len(before):
                return None
            for axis, (old, new) in enumerate(zip(before, shapes[name], strict=True)):
                if new > old:
                    return None
                if new < old:
                    axes.append(Axis(name, axis, old - new))
        return axes


def _shapes(checked: Checked) -> dict[str, tuple[int, ...]]:
    spec = checked.spec
    types = {name: info.type for name, info in spec.parameters.items()}
    types.update((name, info.type) for name, info in spec.states.items())
    return {
        name: tuple(size if isinstance(size, int) else -1 for size in type.shape)
        for name, type in types.items()
    }


def _outputs(checked: Checked) -> dict[str, str]:
    program = checked.program
    return {name: str(program.graph[id].tensor) for name, id in program.named("output").items()}


def _tied(
    tracer: _Tracer, first: _Site, others: Sequence[_Site]
) -> tuple[list[_Site], Width | None]:
    """The fewest calls that can only change together with the first, and their width."""
    alike = [site for site in others if site.text == first.text]
    tries = [*([first, other] for other in others), [first, *alike], [first, *others]]
    for chosen in tries:
        found = tracer.width(chosen) if len(chosen) > 1 else ""
        if not isinstance(found, Width):
            continue
        for other in chosen[1:]:
            fewer = [site for site in chosen if site != other]
            smaller = tracer.width(fewer) if len(fewer) > 1 else ""
            if isinstance(smaller, Width):
                chosen, found = fewer, smaller
        return chosen, found
    return [first], None


def _layers(axes: Sequence[Axis]) -> tuple[tuple[Axis, ...], ...]:
    """The axes of each layer that one call makes: names that go on alike after a beginning of their
    own, as ``block[1].h.W`` and ``block[2].h.W``. All together where they do not."""
    for depth in range(max(axis.name.count(".") for axis in axes), 0, -1):
        found: dict[str, list[Axis]] = {}
        for axis in axes:
            found.setdefault(".".join(axis.name.split(".")[:depth]), []).append(axis)
        ends = {
            tuple((axis.name.removeprefix(start), axis.axis) for axis in own)
            for start, own in found.items()
        }
        if len(found) > 1 and len(ends) == 1 and len(ends.pop()) > 1:
            return tuple(tuple(own) for own in found.values())
    return (tuple(axes),)
