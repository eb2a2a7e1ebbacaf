"""What `render` draws: a model's graph, its gradients, the steps of a backward pass, the passes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from graphc.ir import Graph, is_real
from graphc.model import ModelSpec, Program
from graphc.rendering.backward import Backward
from graphc.rendering.faces import Faces
from graphc.rendering.naming import Titles, every_title, root_titles
from graphc.rendering.numbers import Numbers
from graphc.rendering.pictures.changes import draw_changes, draw_stage
from graphc.rendering.pictures.folds import fold
from graphc.rendering.pictures.moments import tell
from graphc.rendering.pictures.opening import Opened, open_folds
from graphc.rendering.pictures.outline import make_outline
from graphc.rendering.pictures.views import View, Views
from graphc.runtime import RunError
from graphc.runtime.wording import did_you_mean
from graphc.session.checking import deep_recursion
from graphc.session.explaining import evaluated
from graphc.session.loading import no_gradient
from graphc.session.model import Model, compile
from graphc.session.numbers import Known, known_numbers
from graphc.session.parts import DataLike
from graphc.session.passing import changes, stage_snapshot
from graphc.session.picture import Picture
from graphc.session.run import Run, is_run, load

__all__ = ["AnyView", "as_json", "render"]

AnyView = Literal["forward", "backward", "joint", "steps", "passes", "removed"]
MOST_MOMENTS = 400
"""Steps that a story may have."""


def render(
    model: Model | Run | str | os.PathLike[str],
    view: AnyView | None = None,
    *,
    stage: str | None = None,
    expand: str | Sequence[str] = (),
    depth: int = 0,
    values: bool = False,
    row: int | None = None,
    at: Mapping[str, object] | None = None,
    set: Mapping[str, object] | None = None,
    data: DataLike | None = None,
) -> Picture:
    """Draw a model, or a run of one, by its path or as an object.

    ``view`` is ``forward`` (values), ``backward`` (gradients), ``joint`` (both), ``steps`` (the
    backward pass step by step), ``passes`` (what passes changed) or, of a pruned run, ``removed``
    (which weights are left); ``stage`` draws the graph as it is after that pass instead. ``depth``
    opens that many levels of folds, ``expand`` named ones.

    Numbers are those at the example values, as far as there are some; ``row`` takes one example
    of the data, ``values`` the first batch where there are no example values. A run shows its best
    parameters. Raises CompileError for errors of the text, RunError for what cannot be drawn.
    """
    run, model = _subject(model, at, set, data)
    names = (expand,) if isinstance(expand, str) else tuple(expand)
    if depth < 0:
        raise RunError(f"the depth is {depth}", help="give 0 or more")
    with deep_recursion(model.spec.path):
        if view == "removed":
            _expect_whole(stage, names, depth, values, row)
            return _of_removed(run, model)
        if view == "passes" or stage is not None:
            _expect_no_numbers(values, row)
            return _of_passes(model, view, stage, names, depth)
        known = known_numbers(model, run, values, row)
        return _of_values(model, view or _default_view(model), known, names, depth)


def _expect_whole(
    stage: str | None, names: tuple[str, ...], depth: int, values: bool, row: int | None
) -> None:
    if stage is not None or names or depth or values or row is not None:
        raise RunError(
            "what was removed is drawn as it is",
            help="leave --stage, --expand, --depth, --values and --row out",
        )


def _of_removed(run: Run | None, model: Model) -> Picture:
    from graphc.session.removed import draw_removed

    if run is None:
        raise RunError(
            f"{model.name} is a model, and pruning removes from a run",
            help="give the folder of a pruned run, as in runs/NAME-1-pruned-1",
        )
    return draw_removed(run)


def _subject(
    model: Model | Run | str | os.PathLike[str],
    at: Mapping[str, object] | None,
    set: Mapping[str, object] | None,
    data: DataLike | None,
) -> tuple[Run | None, Model]:
    if isinstance(model, Model | Run):
        if at or set or data is not None:
            raise RunError("a compiled model has its settings", help="give the path with them")
        return (model, model.model) if isinstance(model, Run) else (None, model)
    if is_run(model):
        if set:
            raise RunError("a run has settings of its own", help="give --set with a model file")
        run = load(model, data=data, at=at)
        return run, run.model
    # Numbers in a picture are compared with those on paper.
    return None, compile(model, set=set, at=at, data=data, precision="f64")


def _default_view(model: Model) -> AnyView:
    return "joint" if model.has_objective else "forward"


# ------------------------------------------------------------------- values and gradients


def _of_values(
    model: Model, view: AnyView, known: Known, names: tuple[str, ...], depth: int
) -> Picture:
    forward = view == "forward"
    if not forward and not model.has_objective:
        raise no_gradient(model.name, has_objective=False)
    roles = ("objective", "loss", "metric", "output") if forward else ("objective",)
    program, setting = evaluated(model, roles)
    views = _views(model.spec, program, view, known, names, depth, setting)
    drawn: View = "joint" if view == "steps" else view  # type: ignore[assignment]
    diagram = views.draw(drawn)
    moments = tell(views, diagram) if view == "steps" else []
    if len(moments) > MOST_MOMENTS:
        raise RunError(
            f"the backward pass of {model.name} has {len(moments):,} steps",
            help="draw the joint view, or derive one gradient: graphc explain MODEL NAME",
        )
    return Picture(model, view, diagram, tuple(moments))


def _views(
    spec: ModelSpec,
    program: Program,
    view: AnyView,
    known: Known,
    names: tuple[str, ...],
    depth: int,
    setting: str,
) -> Views:
    graph = program.graph
    roots, opened = open_folds(graph, program.roots, depth, names)
    titled = root_titles(roots)
    numbers = Numbers(known.leaves, known.lengths)
    walk: Faces
    if view == "forward":
        titles = every_title(graph, titled, graph.next_id, opened.operators)
        walk = Faces(graph, titles, numbers, graph.next_id)
        numbers.compute(graph, list(titles.names))
    else:

        def named(notes: object, end: int) -> Titles:
            return every_title(graph, titled, end, opened.operators)

        objective = roots["objective", ""]
        walk = Backward(graph, objective, _wanted(spec, graph), numbers, named)
        walk.evaluate()
    outline = make_outline(graph, walk.titles, roots.values(), walk.end)
    folds = fold(outline, opened.frames, opened.inside, names)
    _expect_found(spec, names, opened, folds.block_names, walk.titles)
    targets = frozenset(name for name, info in spec.inputs.items() if info.role == "target")
    notes = (LEGENDS.get(view, ""), setting, known.origin, *_lengths(known))
    return Views(
        outline,
        folds,
        walk,
        f"{spec.name}, {view}",
        targets,
        tuple(filter(None, notes)),
    )


_BOTH = (
    "above in green the value, below in red the gradient ∂objective/∂·; a dashed arrow carries "
    "the gradient back, times the local derivative that it names"
)
LEGENDS = {
    "joint": _BOTH,
    "steps": _BOTH,
    "backward": "gradients ∂objective/∂·; an arrow names the local derivative that it multiplies "
    "by",
}
"""How to read a view of gradients."""


def _wanted(spec: ModelSpec, graph: Graph) -> list[int]:
    """What training asks gradients for; of a model that learns nothing, its real inputs."""
    learned = set(spec.learned)
    found = [n.id for n in graph if n.op.name == "parameter" and n.name in learned]
    return found or [n.id for n in graph if n.op.name == "input" and is_real(n.type)]


def _lengths(known: Known) -> list[str]:
    told = [f"{name} is {length}" for name, length in known.lengths.items()]
    return [", ".join(told)] if told else []


def _expect_found(
    spec: ModelSpec,
    names: Sequence[str],
    opened: Opened,
    blocks: Sequence[str],
    titles: Titles,
) -> None:
    """RunError for a name with nothing to open."""
    for name in names:
        if name not in opened.found and name not in blocks:
            raise _nothing_to_expand(spec.name, name, [*titles.names.values(), *blocks])


def _nothing_to_expand(model: str, name: str, known: Sequence[str]) -> RunError:
    near = did_you_mean(name, sorted(set(known)))
    return RunError(
        f"{model} has nothing to expand that is called {name}",
        help=f"{near}give a value, a definition that it uses, a block or a fused group",
    )


# ------------------------------------------------------------------------------- passes


def _expect_no_numbers(values: bool, row: int | None) -> None:
    if values or row is not None:
        raise RunError(
            "a graph between passes is drawn without numbers", help="leave --values and --row out"
        )


def _of_passes(
    model: Model, view: AnyView | None, stage: str | None, names: tuple[str, ...], depth: int
) -> Picture:
    """The graph after a pass; in the view ``passes`` before and after beside each other."""
    name = model.name
    if view == "passes":
        if names or depth:
            help = "leave --expand and --depth out, or draw the graph after one: --stage PASS"
            raise RunError("what passes changed is drawn as it is", help=help)
        found = changes(model, stage)
        if not found:
            what = "no pass" if stage is None else stage
            raise RunError(f"{what} changes nothing in {name}", help="draw another pass or view")
        titles = ", ".join(change.name for change in found)
        return Picture(model, "passes", draw_changes(f"{name}: {titles}", found, (MARKS,)))
    if view not in (None, "forward"):
        raise RunError(
            f"a graph after a pass has no view {view}", help="leave --view out, or draw passes"
        )
    assert stage is not None
    snapshot = stage_snapshot(model, stage)
    diagram, opened = draw_stage(f"{name} after {stage}", snapshot, depth, names)
    for wanted in names:
        if wanted not in opened:
            raise _nothing_to_expand(name, wanted, [box.name for box in diagram.boxes])
    return Picture(model, stage, diagram)


MARKS = "+ added, − removed, ~ changed; the rest is unchanged"


def as_json(picture: Picture, files: Sequence[Any]) -> dict[str, Any]:
    """What was drawn where, for a machine."""
    return {
        "model": picture.model.name,
        "view": picture.view,
        "files": [str(path) for path in files],
        "boxes": len(picture.diagram.boxes),
        "arrows": len(picture.diagram.arrows),
        "steps": len(picture.moments),
        "notes": list(picture.diagram.notes),
    }
