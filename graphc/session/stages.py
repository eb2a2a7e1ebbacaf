"""What is there after each arrow of the way from text to source, as text.

The passes are shown for training, or for evaluation where nothing is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches

from graphc.backends.targets import load_target
from graphc.diagnostics import Diagnostics
from graphc.ir import print_graph
from graphc.language import format_file, parse
from graphc.model import Program
from graphc.passes import EVALUATION, FORWARD, TRAINING, lower
from graphc.runtime import RunError
from graphc.session.checking import Checked, deep_recursion
from graphc.session.generated import budget_errors
from graphc.session.model import Model
from graphc.session.targets import lacking_errors

__all__ = ["dump_passes", "stage", "stage_names"]


def stage_names() -> list[str]:
    """Everything that ``--stop-after`` takes, in order."""
    passes = [step.name for step in (*TRAINING, *EVALUATION, *FORWARD)]
    return ["parse", "model", *dict.fromkeys(passes), "schedule", "source"]


def stage(model: Model, name: str) -> str:
    """The text of one stage. RunError for a name that is none."""
    checked = model.checked
    with deep_recursion(checked.spec.path):
        if name == "parse":
            return format_file(parse(checked.request.source, Diagnostics()))
        if name == "model":
            return _graph_text(checked.program)
        if name == "schedule":
            return _schedule(model)
        if name == "source":
            return model.source
        return _after_pass(checked, name)


def dump_passes(model: Model) -> Iterator[str]:
    """The graph at the start of each part, and after every pass that changed it."""
    texts: list[str] = []
    before: dict[str, str] = {}

    def observe(part: str, passed: str, program: Program) -> None:
        text = _graph_text(program)
        if text != before.get(part):
            title = f"after {passed}" if passed else "at the start"
            texts.append(f"== {part}, {title}\n{text}")
        before[part] = text

    _lower(model.checked, observe)
    yield from texts


def _lower(checked: Checked, observe: Callable[[str, str, Program], None]) -> None:
    """Run the passes on a copy: the model keeps its program."""
    with deep_recursion(checked.spec.path):
        lower(checked.program.copy(), observe)


def _after_pass(checked: Checked, name: str) -> str:
    """The graph after the first time that a pass ran, in training where it runs there."""
    found: dict[str, str] = {}

    def observe(part: str, passed: str, program: Program) -> None:
        if passed == name and part not in found:
            found[part] = _graph_text(program)

    if name in stage_names():
        _lower(checked, observe)
    for part in ("training", "evaluation"):
        if part in found:
            return found[part]
    near = get_close_matches(name, stage_names(), n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise RunError(
        f"no stage is called {name}", help=f"{hint}stages are: {', '.join(stage_names())}"
    )


def _schedule(model: Model) -> str:
    training = model.generated.programs.training
    if training is None:
        raise RunError(
            f"{model.name} learns nothing, so no training step is planned",
            help="declare a parameter and a loss",
        )
    reuse = model.checked.request.reuse
    with lacking_errors(), budget_errors():
        return load_target(model.target).schedule_text(model.spec, training, reuse=reuse)


def _graph_text(program: Program) -> str:
    return print_graph(program.graph, program.roots)
