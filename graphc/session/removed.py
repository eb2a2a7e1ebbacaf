"""What `render --view removed` draws of a pruned run: what is left of it, and what is gone.

A small chain of layers is drawn as units and connections, anything else as the matrices of its
parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphc.ir import Graph
from graphc.model.program import MASK
from graphc.passes import run_passes
from graphc.passes.cleanup import DeadCode
from graphc.passes.inline import Inline
from graphc.rendering.chain import Chain, Layer, find_chain
from graphc.rendering.entries import entry_names
from graphc.rendering.pictures.connections import (
    MOST_CONNECTIONS,
    Weights,
    draw_connections,
    living,
)
from graphc.rendering.pictures.matrices import Pruned, draw_matrices, share
from graphc.rendering.pictures.placing import Placed
from graphc.runtime import RunError
from graphc.runtime.wording import count, listing
from graphc.session.explaining import evaluated
from graphc.session.model import Model
from graphc.session.picture import Picture
from graphc.session.run import Run
from graphc.session.surface import run_name

__all__ = ["draw_removed", "kept_weights", "not_pruned"]

MOST_MATRICES = 60
"""Parameters that are drawn; of a model with more, those with the most weights removed."""
MOST_UNITS = 40
"""Units of a column that is still drawn."""

Mask = NDArray[np.bool_]


def kept_weights(run: Run) -> dict[str, Mask]:
    """For each parameter that has a mask in the run's best state, what is kept of it.

    RunError for a run that was not pruned.
    """
    found = {name: run.state.get(f"{name}:{MASK}") for name in run.model.spec.learned}
    masks = {name: np.asarray(mask) != 0 for name, mask in found.items() if mask is not None}
    if not masks:
        raise not_pruned(run)
    return masks


def not_pruned(run: Run) -> RunError:
    """Why there is nothing to see of a pruning, with the run's latest pruned one if it has any."""
    found = [] if run.path is None else list(run.path.parent.glob(f"{run.path.name}-pruned-*"))
    latest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    help = f"prune it first: graphc prune {run.path or 'RUN'}"
    if latest is not None:
        help = f"give the pruned run, {latest}"
    return RunError(f"{run_name(run)} was not pruned, so nothing was removed from it", help=help)


def draw_removed(run: Run) -> Picture:
    """The picture of what pruning left of a run and what it removed.

    RunError for a run that was not pruned.
    """
    masks = kept_weights(run)
    kept = {
        name: masks.get(name, np.ones(np.shape(run.state[name]), np.bool_))
        for name in run.model.spec.learned
    }
    network = _network(run, kept)
    title = f"{run_name(run)}: what pruning removed"
    whole = share(sum(int(k.sum()) for k in kept.values()), sum(k.size for k in kept.values()))
    if network is None:
        placed = _matrices(run, title, f"weights: {whole}", kept)
    else:
        notes = (f"weights: {whole}{_dead(network)}", *LEGEND)
        placed = draw_connections(title, network.names, network.layers, notes)
    return Picture(run.model, "removed", placed.diagram, placed=placed)


LEGEND = (
    "solid: kept, the thicker the larger; dashed: removed",
    "red with a pointed head: positive; blue with a round one: negative",
    "grey: dead, no way leads from an input through it to an output",
)
"""How to read units and connections."""


# ----------------------------------------------------------------------------- networks


@dataclass(frozen=True)
class _Network:
    """Names of inputs and units, a column each, and the layers between columns."""

    names: Sequence[Sequence[str]]
    layers: Sequence[Weights]


def _network(run: Run, kept: Mapping[str, Mask]) -> _Network | None:
    """The run as units and connections; None where it is no such network, or a large one."""
    program, _ = evaluated(run.model, ("loss", "output"))
    program = run_passes(program, (Inline(), DeadCode()))
    chain = find_chain(program.graph, program.roots.values(), kept)
    if chain is None or _is_large(chain):
        return None
    layers = [_weights(layer, run, kept) for layer in chain.layers]
    hidden = [_hidden(chain, level) for level in range(len(layers) - 1)]
    inputs = _inputs(run.model, program.graph, chain)
    return _Network([inputs, *hidden, _outputs(run.model, chain.layers[-1])], layers)


def _is_large(chain: Chain) -> bool:
    widest = max(chain.layers[0].inputs, *(layer.units for layer in chain.layers))
    connections = sum(layer.inputs * layer.units for layer in chain.layers)
    return connections > MOST_CONNECTIONS or widest > MOST_UNITS


def _weights(layer: Layer, run: Run, kept: Mapping[str, Mask]) -> Weights:
    def known(name: str) -> NDArray[Any]:
        return np.asarray(run.state[name], np.float64)

    ones = np.ones((layer.inputs, layer.units), np.bool_)
    weight, mask = known(layer.weight), kept.get(layer.weight, ones)
    if not layer.bias:
        return Weights(weight, mask)
    return Weights(weight, mask, known(layer.bias), kept.get(layer.bias))


def _inputs(model: Model, graph: Graph, chain: Chain) -> list[str]:
    """Names of a row's entries: what the model puts together, or its data section does."""
    classes = _column_classes(model)
    found = entry_names(graph, chain.source, classes)
    read = [graph[id] for id in sorted(graph.ancestors([chain.source]))]
    inputs = [node.name for node in read if node.op.name == "input"]
    prepare = model.spec.prepare
    if found is None and len(inputs) == 1 and ("batch", inputs[0]) in prepare.roots:
        found = entry_names(prepare.graph, prepare.roots["batch", inputs[0]], classes)
    size = chain.layers[0].inputs
    if found is not None and len(found) == size and len(set(found)) == size:
        return found
    return _numbered(inputs[0] if len(inputs) == 1 else "x", size)


def _column_classes(model: Model) -> dict[str, tuple[str, ...]]:
    columns = model.checked.columns or {}
    named = {name: info.classes for name, info in columns.items() if info.classes is not None}
    return {**named, **model.checked.classes}


def _hidden(chain: Chain, level: int) -> list[str]:
    several = len(chain.layers) > 2
    return _numbered(f"h{level + 1}." if several else "h", chain.layers[level].units)


def _outputs(model: Model, layer: Layer) -> list[str]:
    """Classes, where there is one target with as many; else what the model calls the layer."""
    base = layer.weight.partition(".")[0] if "." in layer.weight else "y"
    if layer.units == 1:
        return [base]
    targets = [info for info in model.spec.inputs.values() if info.role == "target"]
    if len(targets) == 1 and targets[0].type.classes == layer.units:
        numbers = [str(i) for i in range(layer.units)]
        return list(model.checked.classes.get(targets[0].name, [f"{base} {i}" for i in numbers]))
    return _numbered(base, layer.units)


def _numbered(base: str, size: int) -> list[str]:
    return [base] if size == 1 else [f"{base}{i + 1}" for i in range(size)]


def _dead(network: _Network) -> str:
    """Dead inputs and units, counted."""
    dead = [int((~(r & w)).sum()) for r, w in zip(*living(network.layers), strict=True)]
    inputs, units = count(dead[0], "input"), count(sum(dead[1:]), "unit")
    return f"; dead: {inputs}, {units}"


# ----------------------------------------------------------------------------- matrices


def _matrices(run: Run, title: str, whole: str, kept: Mapping[str, Mask]) -> Placed:
    """Every parameter of which something was removed; all of them if nothing was."""
    touched = [name for name, mask in kept.items() if not mask.all()]
    drawn = sorted(touched, key=lambda name: int(kept[name].sum()) - kept[name].size)
    chosen = set(drawn[:MOST_MATRICES]) or set(list(kept)[:MOST_MATRICES])
    notes = [whole]
    intact = [name for name in kept if name not in touched]
    if touched and intact:
        notes.append(f"whole, and not drawn: {listing(intact)}")
    if len(touched) > MOST_MATRICES:
        left_out = [name for name in touched if name not in chosen]
        notes.append(f"not drawn either, with fewer weights removed: {listing(left_out)}")
    parameters = [
        Pruned(name, np.asarray(run.state[name]), mask)
        for name, mask in kept.items()
        if name in chosen and mask.size
    ]
    return draw_matrices(title, parameters, notes)
