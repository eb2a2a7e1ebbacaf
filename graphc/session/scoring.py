"""What a run or a model scores: which state, on which data, and where both came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from graphc.runtime import Arrays, Evaluation, Module, RunError, evaluate
from graphc.runtime.examples import load_examples
from graphc.session.loading import gradients_of
from graphc.session.model import Model, compile
from graphc.session.parts import Part, data_folder
from graphc.session.run import Run, is_run, latest_run, load
from graphc.session.targets import HOST, Choice, expect_target

__all__ = ["Question", "Scores", "find_run", "score"]

_FEW = 1000
"""Models with no more parameters than this show gradients at example values unasked."""


@dataclass(frozen=True)
class Question:
    """What is to be evaluated. ``path`` is a run folder or a model file; ``data`` the folder that
    its data lie in, or a file in place of them."""

    path: str
    part: Part | None = None
    data: str | None = None
    at: dict[str, str] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    precision: Literal["f32", "f64"] | None = None
    init: bool = False
    gradients: bool = False
    target: str = HOST


@dataclass(frozen=True)
class Scores:
    """The answer. ``part`` names the data in a word, ``place`` in words, ``origin`` the state;
    ``choice`` is the target where that was left to graphc."""

    model: str
    part: str
    place: str
    origin: str
    state: Arrays
    evaluation: Evaluation
    gradients: tuple[float, Arrays] | None
    run: Path | None
    choice: Choice | None

    def as_json(self) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "ok": True,
            "model": self.model,
            "run": None if self.run is None else str(self.run),
            "part": self.part,
            **self.evaluation,
        }
        if self.gradients is not None:
            answer["penalised_objective"], answer["gradients"] = self.gradients
        if self.choice is not None:
            answer["target"] = self.choice.as_json()
        return answer


def score(question: Question) -> Scores:
    """Evaluate. RunError where there is nothing to evaluate, or no data."""
    expect_target(question.target)
    model, run = _subject(question)
    model = model.with_target(question.target, training=False)
    if run is not None:
        run.model = model
    state = model.init() if run is None else run.state
    origin = "initial parameters" if run is None else f"{run.path}"
    examples_wanted = bool(question.at) or not (model.has_data or question.data)
    if examples_wanted and question.part is None:
        return _at_examples(question, model, run, state, origin)
    return _on_data(question, model, run, state, origin)


def find_run(path: str, folder: str | None = None, *, target: str = HOST) -> Run:
    """The run in a folder, or the latest finished run of a model file. ``folder`` is the one that
    the run's data lie in by now, ``target`` what predicts."""
    expect_target(target)
    if is_run(path):
        return _predicting(load(path, data=folder), target)
    model = compile(path, data=folder)
    found = latest_run(model)
    if found is None:
        raise _never_trained(model)
    return _predicting(load(found, data=folder), target)


def _predicting(run: Run, target: str) -> Run:
    run.model = run.model.with_target(target, training=False)
    return run


def _subject(question: Question) -> tuple[Model, Run | None]:
    """The model, and its run unless the initial parameters are asked for."""
    if is_run(question.path):
        if question.sets or question.precision or question.init:
            raise RunError(
                "a run has settings and parameters of its own",
                help="give --set, --precision and --init with a model file",
            )
        run = load(question.path, data=question.data, at=question.at)
        return run.model, run
    model = compile(
        question.path,
        set=question.sets,
        at=question.at,
        precision=question.precision,
        data=question.data,
    )
    other = question.init or bool(question.sets) or question.precision is not None
    found = None if other else latest_run(model)
    if found is not None:
        run = load(found, data=question.data, at=question.at)
        return run.model, run
    if not question.init and not model.has_examples:
        raise _never_trained(model)
    return _to_read(question, model), None


def _to_read(question: Question, model: Model) -> Model:
    """In f64 unless another precision is asked for: numbers at example values are compared with
    those on paper."""
    if model.has_data or question.precision is not None:
        return model
    return compile(question.path, set=question.sets, at=question.at, precision="f64")


def _never_trained(model: Model) -> RunError:
    path = model.checked.request.source.name
    return RunError(
        f"there is no finished run of {path} in the folder runs",
        help=f"train it: graphc train {path}; or give the folder of a run",
    )


def _at_examples(
    question: Question, model: Model, run: Run | None, state: Arrays, origin: str
) -> Scores:
    wanted = model.has_objective and (question.gradients or model.parameter_count <= _FEW)
    return Scores(
        model.name,
        "examples",
        f"at its example values in {model.spec.train.precision}",
        origin,
        state,
        model.evaluate_examples(state),
        model.loss_and_gradients(state) if wanted else None,
        None if run is None else run.path,
        model.choice,
    )


def _on_data(
    question: Question, model: Model, run: Run | None, state: Arrays, origin: str
) -> Scores:
    over = model if run is None else run.over()
    module, parts = over.parts()
    other = question.data is not None and data_folder(question.data) is None
    whole: Part = "all" if other else parts.default()
    part = question.part or whole
    raw = parts.part(part, model.name)
    evaluation = evaluate(module, state, raw, model.spec.train.batch, part=f"the {part} part")
    return Scores(
        model.name,
        part,
        question.data if question.data and other and part == "all" else f"{part} part",
        origin,
        state,
        evaluation,
        _gradients(module, state, raw) if question.gradients else None,
        None if run is None else run.path,
        model.choice,
    )


def _gradients(module: Module, state: Arrays, raw: Arrays) -> tuple[float, Arrays]:
    """Of all examples as one batch; for a model that takes one example a step, their mean."""
    examples = load_examples(module, state, raw, part="the data")
    total, count = 0.0, 0
    sums: Arrays = {}
    for batch, size in examples.batches(examples.count):
        objective, gradients = gradients_of(module, state, batch)
        total += objective * size
        count += size
        for name, gradient in gradients.items():
            sums[name] = sums.get(name, 0) + gradient * size
    return total / count, {name: value / count for name, value in sums.items()}
