"""Compaction: a pruned run whose dead units are gone, with a smaller text, module and state.

A unit is dead if what the network gives stays the same without it: nothing reads it, or what it
gives is zero for every input. Units with no weights left on one side are tried, on data and in
double precision: everything that is tied to them is set to zero at once, and where that changes
nothing they go. Where it does (a unit that nothing feeds gives the same number for every input,
and another layer still adds that number) they stay, and are told of. The smaller model
takes the place of the other only if its outputs and its objective, without penalties, are the same
to 1e-9 on all of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from graphc.diagnostics import CompileError
from graphc.model.program import MASK
from graphc.runtime import Array, Arrays, RunError, computing
from graphc.runtime.examples import load_examples
from graphc.runtime.wording import count
from graphc.session.checking import check
from graphc.session.generated import Generated
from graphc.session.loading import doubles
from graphc.session.model import Model
from graphc.session.parts import DataLike
from graphc.session.problem import in_double
from graphc.session.run import Run
from graphc.session.widths import Axis, Width, find_widths, rewritten

__all__ = ["Compacted", "SmallerLayer", "compact"]

TOLERANCE = 1e-9
TRIED_ON = 1000
"""Examples that single units are tried on; the whole is checked on all of them."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class SmallerLayer:
    """A width that became smaller: where it is written, and its units."""

    title: str
    before: int
    after: int


@dataclass(frozen=True)
class Compacted:
    """The smaller model with its state, and what became smaller. ``notes`` tell of what was left.

    Sizes are numbers of bytes: of the generated module's text, and of the parameters.
    """

    model: Model
    state: Arrays
    layers: tuple[SmallerLayer, ...]
    notes: tuple[str, ...]
    parameters: tuple[int, int]
    module_size: tuple[int, int]
    weights_size: tuple[int, int]
    """Before and after, as those above."""


def compact(
    run: Run, data: DataLike | None = None, *, tell: Tell | None = None
) -> Compacted | None:
    """The best state of a pruned run without its dead units; None where there are none, or where
    the smaller model would not give the same. ``tell`` is told what was left alone, and why.

    ``data`` take the place of the run's own, as in :meth:`Run.evaluate`. RunError for a run that
    is not pruned, or without data to compare on.
    """
    model = run.over(data)
    if not run.model.masked:
        raise RunError(
            "the run is not pruned: its states hold no masks", help="prune it first: graphc prune"
        )
    widths, notes = find_widths(run.model.checked)
    tell = tell or (lambda note: None)
    for tried in _tries(widths):
        search = _Search(model, run.state, tried)
        search.run()
        kept = search.kept()
        if kept:
            smaller = _smaller(model, run.state, kept)
            if isinstance(smaller, str):
                tell(smaller)
                continue
            notes += search.notes
            for note in notes:
                tell(note)
            return _compacted(run, *smaller, kept, tuple(notes))
    for note in notes:
        tell(note)
    return None


def _tries(widths: Sequence[Width]) -> list[list[Width]]:
    """Layers of one call with units of their own, then with the same units in each."""
    whole = [width.together for width in widths]
    return [list(widths)] if whole == list(widths) else [list(widths), whole]


# ----------------------------------------------------------------------------- dead units

Kept = dict[Width, list[list[int]]]
"""Units that are kept, in order, for each layer of each width that gets smaller."""


class _Search:
    """Looks for dead units, layer by layer, until none is left: a unit that only dead ones read is
    dead too."""

    def __init__(self, model: Model, state: Mapping[str, Array], widths: Sequence[Width]) -> None:
        self.widths = widths
        double = in_double(model)
        self.state = doubles(state)
        rows = {name: rows[:TRIED_ON] for name, rows in double.parts()[1].train.items()}
        self.results = _Results(double, rows)
        self.expected = self.results(self.state)
        self.parameters = model.spec.parameters
        self.dead: dict[tuple[Width, int], set[int]] = {
            (width, i): set() for width in widths for i in range(len(width.layers))
        }
        self.notes: list[str] = []

    def run(self) -> None:
        found = True
        while found:
            found = False
            for (width, i), dead in self.dead.items():
                tried = [u for u in self._bare(width, width.layers[i]) if u not in dead]
                new = self._harmless(width, width.layers[i], tried)
                dead.update(new)
                self.state = self._without(width, width.layers[i], new)
                found = found or bool(new)
        self._note_bare()

    def kept(self) -> Kept:
        """Every layer of a width keeps as many units as the one that needs most, one at least."""
        kept: Kept = {}
        for width in self.widths:
            layers = [self.dead[width, i] for i in range(len(width.layers))]
            most = max(1, *(width.units - len(dead) for dead in layers))
            if most < width.units:
                kept[width] = [_filled(width.units, dead, most) for dead in layers]
        return kept

    def _bare(self, width: Width, axes: Sequence[Axis]) -> list[int]:
        """Units without a weight left in one of the matrices that are tied to them."""
        bare: set[int] = set()
        for axis in axes:
            if axis.name in self.parameters and self.state[axis.name].ndim > 1:
                array = np.moveaxis(self.state[axis.name], axis.axis, 0)
                empty = ~array.reshape(axis.repeats, width.units, -1).any(axis=(0, 2))
                bare.update(np.flatnonzero(empty).tolist())
        return sorted(bare)

    def _harmless(self, width: Width, axes: Sequence[Axis], units: list[int]) -> list[int]:
        """Those of the units without which everything is the same."""
        if not units:
            return []
        if _same(self.results(self._without(width, axes, units)), self.expected):
            return units
        if len(units) == 1:
            return []
        half = len(units) // 2
        parts = (units[:half], units[half:])
        return [unit for part in parts for unit in self._harmless(width, axes, part)]

    def _without(self, width: Width, axes: Sequence[Axis], units: Iterable[int]) -> Arrays:
        """The state with everything that is tied to some units at zero."""
        state, gone = dict(self.state), np.fromiter(units, dtype=np.int64)
        for axis in axes:
            if gone.size and axis.name in self.parameters:
                array = state[axis.name].copy()
                places = np.flatnonzero(
                    np.isin(np.arange(array.shape[axis.axis]) % width.units, gone)
                )
                np.moveaxis(array, axis.axis, 0)[places] = 0
                state[axis.name] = array
        return state

    def _note_bare(self) -> None:
        for (width, i), dead in self.dead.items():
            left = [u for u in self._bare(width, width.layers[i]) if u not in dead]
            if left:
                self.notes.append(
                    f"{width.title} keeps {count(len(left), 'unit')} without weights on one side, "
                    "for what they give still counts"
                )


def _filled(units: int, dead: set[int], most: int) -> list[int]:
    """As many units as asked for: those that live, and dead ones in place of the rest."""
    living = [unit for unit in range(units) if unit not in dead]
    return sorted([*living, *sorted(dead)[: most - len(living)]])


class _Results:
    """What a model gives on raw columns: its outputs, its losses and its objective."""

    def __init__(self, model: Model, raw: Mapping[str, Array]) -> None:
        self.module, self.raw = model.module if model.data is None else model.parts()[0], dict(raw)
        self.size = min(model.spec.train.batch or 256, 1024)

    def __call__(self, state: Arrays) -> list[Array]:
        examples = load_examples(self.module, state, self.raw, part="the data")
        found: list[Array] = []
        for batch, _ in examples.batches(self.size):
            with computing():
                found += map(np.asarray, self.module.predict(state, batch).values())
                objective, losses = self.module.losses(state, batch)
            found += [np.asarray(objective), *map(np.asarray, losses.values())]
        return found


def _same(some: Sequence[Array], others: Sequence[Array]) -> bool:
    return len(some) == len(others) and all(
        one.shape == other.shape and _close(one, other)
        for one, other in zip(some, others, strict=True)
    )


def _close(one: Array, other: Array) -> bool:
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    finite = other[np.isfinite(other)]
    scale = float(np.abs(finite).max(initial=0.0))
    return bool(np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE * scale, equal_nan=True))


# ------------------------------------------------------------------------------ the result


def _smaller(model: Model, state: Mapping[str, Array], kept: Kept) -> tuple[Model, Arrays] | str:
    """The smaller model and its state; in words, why it cannot be used."""
    sizes = [(width, len(layers[0])) for width, layers in kept.items()]
    request = replace(
        model.checked.request,
        source=rewritten(model.checked.request.source, sizes),
        columns=model.checked.columns,
    )
    new = _sliced(state, kept)
    masks = [array for name, array in new.items() if name.endswith(f":{MASK}")]
    if all(mask.all() for mask in masks):  # nothing is left that has to be kept at zero
        request = replace(request, masked=False)
        new = {name: array for name, array in new.items() if not name.endswith(f":{MASK}")}
    try:
        smaller = Model(Generated(check(request)), model.data)
    except (CompileError, RunError) as problem:
        return f"the smaller text has errors, so nothing is changed: {problem}"
    entries = {**smaller.module.signature["parameters"], **smaller.module.signature["state"]}
    if any(list(new[name].shape) != list(entry["shape"]) for name, entry in entries.items()):
        return "the smaller model has other parameters than expected, so nothing is changed"
    before, after = in_double(model), in_double(smaller)
    everything = before.parts()[1].all
    expected = _Results(before, everything)(doubles(state))
    if not _same(_Results(after, everything)(doubles(new)), expected):
        return "the smaller model gives other outputs, so nothing is changed"
    return smaller, new


def _sliced(state: Mapping[str, Array], kept: Kept) -> Arrays:
    """Parameters, states of layers, and the masks and states of optimizers, without the units."""
    new = {name: np.asarray(array) for name, array in state.items()}
    for width, layers in kept.items():
        for axes, units in zip(width.layers, layers, strict=True):
            for axis in axes:
                for name in new:
                    if name == axis.name or name.startswith(f"{axis.name}:"):
                        places = np.arange(new[name].shape[axis.axis]) % width.units
                        stay = np.flatnonzero(np.isin(places, units))
                        new[name] = np.take(new[name], stay, axis=axis.axis)
    return new


def _compacted(
    run: Run, model: Model, state: Arrays, kept: Kept, notes: tuple[str, ...]
) -> Compacted:
    def weights(state: Mapping[str, Array]) -> int:
        return sum(np.asarray(state[name]).nbytes for name in model.spec.parameters)

    return Compacted(
        model=model,
        state=state,
        layers=tuple(
            SmallerLayer(width.title, width.units, len(layers[0])) for width, layers in kept.items()
        ),
        notes=notes,
        parameters=(run.model.parameter_count, model.parameter_count),
        module_size=(len(run.model.source.encode()), len(model.source.encode())),
        weights_size=(weights(run.state), weights(state)),
    )
