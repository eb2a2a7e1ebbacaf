"""Runs that are pruned: every method, what is kept, and that the first run stays as it is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.runtime import initial_state
from graphc.runtime.replay import replay
from graphc.session.masking import masks_of
from graphc.session.pruning import prune
from graphc.session.training import train_config

MLP = """
model small

input  x: real[n, 3]
target y: label{2}[n]

logits = x |> dense{4} |> tanh |> dense{2}

loss   ce       = cross_entropy(logits, y)
metric accuracy = accuracy(logits, y)
output probs    = softmax(logits)

data {
  split = shuffled{validation = 0.25, seed = 1}
}

regularize {
  l2{1e-2} on weights
}

train {
  epochs    = 3
  batch     = 8
  optimizer = adam{lr = 0.05}
  precision = PRECISION
}
"""
PRECISE = MLP.replace("PRECISION", "f64")
CONVERGED = (
    PRECISE.replace("batch     = 8", "batch     = all")
    .replace("adam{lr = 0.05}", "lbfgs{}")
    .replace("epochs    = 3", "epochs    = 300")
    .replace("  split = shuffled{validation = 0.25, seed = 1}\n", "")
)
NORMED = PRECISE.replace("|> tanh", "|> batch_norm |> tanh")


def points(count: int = 32) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(count, 3))
    return {"x": x, "y": (x[:, 0] + 0.5 * x[:, 1] ** 2 + 0.3 * draw.normal(size=count) > 0) * 1}


def trained(text: str, folder: Any = False, **sets: object) -> graphc.Run:
    model = graphc.compile(text, set={"train.epochs": 3, **sets} if sets else {})
    return model.over(None, points()).train(folder=folder)


@pytest.fixture(scope="module")
def quick() -> graphc.Run:
    return trained(PRECISE)


@pytest.fixture(scope="module")
def converged() -> graphc.Run:
    return trained(CONVERGED)


def pruned(run: graphc.Run, **options: Any) -> Any:
    return prune(run, data=points(), folder=options.pop("folder", False), compact=False, **options)


def left(found: Any) -> int:
    return sum(
        int(np.count_nonzero(mask))
        for name, mask in found.masks.items()
        if name in found.settled.plan.parameters
    )


def zeros_are_held(state: Any, masks: Any) -> bool:
    return all(np.all(np.asarray(state[name])[mask == 0] == 0) for name, mask in masks.items())


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


WAYS = [
    ("magnitude", None),
    ("random", None),
    ("movement", None),
    ("obd", "exact"),
    ("obd", "backpropagated"),
    ("obs", "exact"),
    ("obs", "fisher"),
    ("obs", "rows"),
    ("lottery", None),
]


UNITS = [("magnitude", None), ("obs", "exact"), ("obs", "rows")]
"""Ways whose units are tried each time; those of the others take longer than they tell."""


@pytest.mark.parametrize(
    ("method", "curvature", "remove"),
    [
        *((*way, "weights") for way in WAYS),
        *(
            pytest.param(*way, "units", marks=() if way in UNITS else pytest.mark.slow)
            for way in WAYS
        ),
    ],
)
def test_every_method_reaches_its_goal(
    quick: graphc.Run, method: str, curvature: str | None, remove: str
) -> None:
    if (curvature, remove) == ("rows", "units"):
        with pytest.raises(graphc.RunError, match="it removes single weights"):
            pruned(quick, method=method, curvature=curvature, remove=remove, sparsity=0.5)
        return
    more = {} if curvature is None else {"curvature": curvature}
    every = (method, curvature, remove) == ("obs", "exact", "weights")
    for schedule in ("gradual", "one_shot", "recompute") if every else ("gradual",):
        found = pruned(
            quick, method=method, remove=remove, sparsity=0.5, schedule=schedule, steps=2, **more
        )
        total = found.summary["weights"]
        assert total == 20
        assert found.summary["left"] == left(found)
        assert left(found) == 10 if remove == "weights" else 5 <= left(found) <= 10
        assert zeros_are_held(found.run.state, found.masks)
        deletions = [each for each in found.events if each.kind == "deletion"]
        assert sum(len(each.removed) for each in deletions if not each.undone) >= total - left(
            found
        )
        assert all(np.isfinite([each.predicted, each.measured]).all() for each in deletions)
        assert found.run.evaluate(data=points())["objective"] > 0


@pytest.mark.parametrize("precision", ["f32", pytest.param("f64", marks=pytest.mark.slow)])
def test_the_first_run_stays_as_it_is_and_the_pruned_one_goes_on_with_its_masks(
    here: Path, precision: str
) -> None:
    run = trained(MLP.replace("PRECISION", precision), folder="runs/small-1")
    before = fingerprint(here / "runs/small-1")
    found = pruned(run, sparsity=0.5, retrain=1, folder=None, steps=2, schedule="gradual")
    assert fingerprint(here / "runs/small-1") == before
    assert found.run.path == Path("runs/small-1-pruned-1")
    again = graphc.load(found.run.path)
    masks = masks_of(again.model, again.state)
    assert sum(int(np.count_nonzero(mask == 0)) for mask in masks.values()) == 10
    assert zeros_are_held(again.state, masks)
    for name, value in found.run.state.items():
        assert np.array_equal(again.state[name], value), name
    module, parts = again.model.over(None, points()).parts()
    objective = objective_of(module, again.state, parts.validation)
    assert objective == found.scores["validation after"]["objective"]
    later = again.resume(points(), epochs=4)
    told = json.loads((Path(found.run.path) / "summary.json").read_text("utf-8"))
    assert told["epochs"] == 4
    assert told["pruning"]["left"] == found.summary["left"], "how it was pruned is still known"
    assert zeros_are_held(later.last, masks)
    assert not np.array_equal(later.last["logits.dense1.W"], again.last["logits.dense1.W"])
    assert all(np.array_equal(later.last[f"{name}:mask"], mask) for name, mask in masks.items())


def test_a_pruned_run_is_pruned_further_from_its_masks(quick: graphc.Run) -> None:
    first = pruned(quick, method="magnitude", sparsity=0.5)
    with pytest.raises(graphc.RunError, match="reached already: of 20 weights 10 are left"):
        pruned(first.run, method="magnitude", sparsity=0.5)
    second = pruned(first.run, method="obs", sparsity=0.75)
    assert (left(first), left(second)) == (10, 5)
    assert all(np.all(second.masks[name] <= mask) for name, mask in first.masks.items())


def test_where_training_has_converged_the_rise_is_what_was_predicted(converged: graphc.Run) -> None:
    assert converged.summary["converged"]
    found = pruned(converged, method="obs", curvature="exact", sparsity=0.05, strict=True)
    assert found.warnings == []
    (event,) = found.events
    assert event.predicted == pytest.approx(event.measured, rel=0.1)
    assert 0 < event.measured < 1e-3
    assert found.run.stopped == "finished"
    trained_on = pruned(converged, method="obs", sparsity=0.5, retrain=50)
    assert [each.kind for each in trained_on.events if each.round == 1] == [
        "deletion",
        "retraining",
    ]
    after_training = [each for each in trained_on.events if each.kind == "retraining"]
    assert all(each.measured <= 1e-12 for each in after_training), "L-BFGS never goes up"


def test_a_minimum_is_pruned_and_not_what_validation_likes_best() -> None:
    split = "data {\n  split = shuffled{validation = 0.25, seed = 1}\n}"
    run = trained(CONVERGED.replace("data {\n}", split))
    assert run.summary["converged"]
    assert not np.array_equal(run.state["logits.dense1.W"], run.last["logits.dense1.W"])
    found = pruned(run, sparsity=0.05, retrain=2)
    gradients = [check for check in found.events[0].checks if check.name == "gradient"]
    assert gradients[0].value < 1e-7
    moved = pruned(run, sparsity=0.3)
    assert any("train in between" in line for line in moved.warnings)


def test_a_method_from_outside_takes_what_fits_it_from_the_section() -> None:
    section = "prune {\n  curvature = exact\n  schedule = recompute\n  sparsity = 25%\n}\n"
    run = trained(PRECISE + section)
    found = pruned(run, method="magnitude")
    assert (found.settled.curvature, found.settled.schedule) == (None, "recompute")
    assert left(found) == 15
    ticket = pruned(run, method="lottery", steps=1, retrain=1)
    assert ticket.settled.schedule == "geometric"
    with pytest.raises(graphc.CompileError, match="does not prune by"):
        pruned(run, method="magnitude", curvature="exact")


def test_movement_is_the_sum_of_minus_weights_times_gradients_along_training(
    quick: graphc.Run,
) -> None:
    from graphc.session.loading import gradients_of
    from graphc.session.pruning.world import Network

    model = quick.model.over(None, points()).with_sets({"prune.method": "movement"}).with_masks()
    from graphc.session.masking import state_with_masks

    state = state_with_masks(model, quick.state, {})
    network = Network(model, state, model.spec.prune)
    network.epochs = 2
    theta = network.layout.pack(state)
    found = network.moved(theta, np.ones(theta.size, bool))

    from graphc.runtime.examples import load_examples
    from graphc.runtime.split import epoch_order

    module, parts = model.parts()
    examples = load_examples(module, state, parts.train, part="the training part")
    trainer = module.Trainer(dict(state), 8, steps_per_epoch=3, epochs=2)
    by_hand = np.zeros(theta.size)
    for epoch in range(2):
        for batch, _ in examples.shuffled(epoch_order(examples.count, 0, epoch), 8):
            before = trainer.state()
            gradients = gradients_of(module, before, batch, training=True)[1]
            by_hand -= network.layout.pack(before) * network.layout.pack(gradients)
            trainer.step(batch)
    assert found == pytest.approx(by_hand, rel=1e-12)
    assert np.array_equal(network.layout.pack(network.state), theta), "its result is not used"


@pytest.mark.parametrize("rewind", [0, 2])
def test_a_lottery_ticket_goes_back_to_the_very_state_of_that_epoch(
    quick: graphc.Run, rewind: int
) -> None:
    """After one round, what is left was trained from there: done again by hand it is the same."""
    found = pruned(quick, method="lottery", rewind=rewind, sparsity=0.5, steps=1)
    model = quick.model.over(None, points()).with_masks()
    module, parts = model.parts()
    state = initial_state(module, parts.train, model.spec.train.seed)
    if rewind:
        *_, state = replay(
            module, state, parts.train, train_config(model), epochs=rewind, every=10**9
        )
        stopped = trained(PRECISE, **{"train.epochs": rewind})
        for name in ("logits.dense1.W", "logits.dense2.b"):
            assert np.array_equal(state[name], stopped.last[name])
    network_state = {**state, **{f"{n}:mask": m for n, m in found.masks.items()}}
    for name, mask in found.masks.items():
        for key in (
            name,
            *(key for key in state if key.startswith(f"{name}:") and "mask" not in key),
        ):
            network_state[key] = state[key] * mask
    config = train_config(model)
    examples = replay_from(module, network_state, parts.train, config, rewind)
    watched = [objective_of(module, each, parts.validation) for each in examples]
    best = examples[int(np.argmin(watched))]
    for name in found.masks:
        assert np.array_equal(found.run.state[name], best[name]), name


def replay_from(module: Any, state: Any, raw: Any, config: Any, start: int) -> list[Any]:
    """The states after each epoch from ``start`` on."""
    from graphc.runtime.examples import load_examples
    from graphc.runtime.split import epoch_order

    examples = load_examples(module, state, raw, part="the training part")
    trainer = module.Trainer(
        {n: a.copy() for n, a in state.items()}, 8, steps_per_epoch=3, epochs=3
    )
    found = []
    for epoch in range(start, 3):
        for batch, _ in examples.shuffled(epoch_order(examples.count, config.seed, epoch), 8):
            trainer.step(batch)
        found.append({name: array.copy() for name, array in trainer.state().items()})
    return found


def objective_of(module: Any, state: Any, raw: Any) -> float:
    return float(graphc.runtime.evaluate(module, state, raw, 8, part="validation")["objective"])


def test_random_pruning_is_the_same_each_time_and_another_in_each_round(quick: graphc.Run) -> None:
    gone = [
        [each.removed.tolist() for each in pruned(quick, method="random", **more).events]
        for more in ({}, {}, {"set": {"prune.seed": 1}})
    ]
    assert gone[0] == gone[1] != gone[2]
    from graphc.numerics.pruning import saliency

    assert not np.array_equal(saliency.random(20, 0), saliency.random(20, 1))


def test_states_of_layers_are_those_of_the_result(here: Path) -> None:
    """Retraining moves the means of batch_norm, and so the objective; an undone one does not."""
    run = trained(NORMED, folder="runs/normed-1")
    mean = next(name for name in run.model.spec.states if "mean" in name)
    kept = pruned(run, method="magnitude", sparsity=0.5, retrain=1, schedule="one_shot")
    assert not np.array_equal(kept.run.state[mean], run.state[mean])
    last = [each for each in kept.events if each.kind == "retraining"][-1]
    whole = kept.run.model.over(None, points())
    module, parts = whole.parts()
    scored = graphc.runtime.evaluate(module, kept.run.state, parts.train, 8, part="train")
    assert scored["losses"]["ce"] == pytest.approx(last.scores["train"]["ce"], rel=1e-9)
    # Two rounds, of which the second breaks the bound and is undone with its training.
    rises = [each.objective - kept.outcome.start for each in kept.events]
    bound = pruned(
        run,
        method="magnitude",
        sparsity=0.95,
        max_rise=max(rises[-1], 0) + 1e-3,
        retrain=1,
        steps=4,
        schedule="recompute",
    )
    assert bound.summary["stopped"] == "max_rise"
    whole_events = [each for each in bound.events if not each.undone]
    scored = graphc.runtime.evaluate(module, bound.run.state, parts.train, 8, part="train")
    assert scored["losses"]["ce"] == pytest.approx(whole_events[-1].scores["train"]["ce"], rel=1e-9)


def test_frozen_parameters_stay_and_pruned_on_params_takes_biases_too() -> None:
    frozen = PRECISE.replace(
        "optimizer = adam{lr = 0.05}", "frozen on logits.dense1.*\n  optimizer = adam{lr = 0.05}"
    )
    run = trained(frozen)
    found = pruned(run, method="obs", sparsity=0.5)
    assert found.settled.plan.parameters == ("logits.dense2.W",)
    assert np.array_equal(found.run.state["logits.dense1.W"], run.state["logits.dense1.W"])
    every = trained(PRECISE + "\nprune {\n  pruned on params\n}\n")
    found = pruned(every, method="obs", sparsity=0.5)
    assert found.summary["weights"] == 26


def test_the_first_step_for_the_worse_stops(converged: graphc.Run) -> None:
    found = pruned(converged, method="magnitude", stop="accuracy", schedule="recompute")
    assert found.summary["stopped"] == "score"
    assert found.summary["why"] == "the next deletion makes accuracy worse"
    start, end = (scores["train"]["accuracy"] for scores in found.summary["scores"])
    assert end >= start > found.events[-1].scores["train"]["accuracy"]
    assert found.events[-1].undone
    with pytest.raises(graphc.RunError, match="first deletion makes ce worse on the training part"):
        pruned(converged, method="magnitude", stop="ce", schedule="recompute")


def test_a_model_with_example_values_only_or_without_a_batch(here: Path) -> None:
    text = """
model tiny
param  a: real[2, 2] = [[1, 0.1], [0.2, 2]]
input  x: real[2] = [1, 2]
loss   error = sum((x @ a - [2, 5])^2)
train {
  epochs    = 5
  optimizer = sgd{0.01}
  precision = f64
}
"""
    model = graphc.compile(text)
    arrays = {"x": np.array([[1.0, 2.0], [0.5, 1.0]])}
    run = model.over(None, arrays).train(folder=False)
    found = prune(run, data=arrays, folder=False, compact=False, method="obs", sparsity=0.5)
    assert left(found) == 2


# ------------------------------------------------------------------ what goes wrong on the way


def interrupt_after(monkeypatch: pytest.MonkeyPatch, target: Any, name: str, calls: int) -> None:
    true, count = getattr(target, name), iter(range(calls))

    def call(*arguments: Any, **more: Any) -> Any:
        if next(count, None) is None:
            raise KeyboardInterrupt
        return true(*arguments, **more)

    monkeypatch.setattr(target, name, call)


@pytest.mark.parametrize(
    ("where", "calls"),
    [
        ("scores", 0),
        ("scores", 3),
        ("retrain", 1),
        ("state_of", 1),
        *(pytest.param(where, 2, marks=pytest.mark.slow) for where in ("scores", "retrain")),
        *(pytest.param("state_of", calls, marks=pytest.mark.slow) for calls in (0, 2, 3)),
    ],
)
def test_interrupted_at_any_moment_nothing_is_left_or_a_whole_run(
    quick: graphc.Run, here: Path, monkeypatch: pytest.MonkeyPatch, where: str, calls: int
) -> None:
    from graphc.session.pruning.world import Network

    folder = here / "kept"
    with monkeypatch.context() as patch:
        interrupt_after(patch, Network, where, calls)
        try:
            found = pruned(
                quick,
                method="magnitude",
                sparsity=0.5,
                retrain=1,
                schedule="recompute",
                folder=folder,
            )
        except KeyboardInterrupt:
            found = None
    if found is None and not folder.exists():
        assert calls <= (2 if where == "scores" else 1), "no round was whole"
        return
    again = graphc.load(folder)
    assert zeros_are_held(again.state, masks_of(again.model, again.state))
    if found is not None:
        assert found.summary["stopped"] == again.stopped == "interrupted"
        lines = [json.loads(line) for line in (folder / "pruning.jsonl").read_text().splitlines()]
        assert sum(line["removed"] for line in lines if not line["undone"]) == 20 - left(found)


def test_a_full_disk_leaves_no_folder(
    quick: graphc.Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graphc.runtime import atomic

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        write = atomic._write_through
        patch.setattr(
            atomic,
            "_write_through",
            lambda path, data: (
                full(path, data) if "safetensors" in path.name else write(path, data)
            ),
        )
        with pytest.raises(graphc.RunError, match="No space left on device"):
            pruned(quick, sparsity=0.5, folder=here / "kept")
    assert list(here.iterdir()) == []


def test_an_error_on_the_way_says_where_the_rest_is(
    quick: graphc.Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graphc.session.pruning.world import Network

    true, count = Network.scores, iter(range(4))

    def scores(self: Network, theta: Any) -> Any:
        if next(count, None) is None:
            raise graphc.RunError("the fourth deletion fails", help="")
        return true(self, theta)

    monkeypatch.setattr(Network, "scores", scores)
    with pytest.raises(graphc.RunError, match="the fourth deletion fails") as caught:
        pruned(quick, method="magnitude", schedule="recompute", folder=here / "kept")
    assert caught.value.help == f"what was pruned before is in {here / 'kept'}"
    again = graphc.load(here / "kept")
    gone = sum(int(np.count_nonzero(m == 0)) for m in masks_of(again.model, again.state).values())
    assert gone == 3


def test_a_bound_on_moves_of_nothing_is_broken_and_told(quick: graphc.Run) -> None:
    found = pruned(quick, sparsity=0.2, set={"prune.max_move": 0})
    assert any("the largest move of a weight that stays" in told for told in found.warnings)


def test_a_network_too_large_for_the_exact_hessian_is_told_before_anything_is_done(
    quick: graphc.Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graphc.numerics import layered

    # Every weight by a tangent of its own, as in a network that is not made of layers alone.
    monkeypatch.setattr(layered, "_links", lambda problem, at: None)
    for function in (layered.hessian_matrix, layered.hessian_diagonal):
        monkeypatch.setattr(function, "__kwdefaults__", {**function.__kwdefaults__, "limit": 5})
    for method, words, fitting in (
        ("obs", "the Hessian and its inverse take", "--curvature rows"),
        ("obd", "the diagonal of the Hessian takes about", "--curvature backpropagated"),
    ):
        with pytest.raises(graphc.RunError, match="not for 26 parameters") as caught:
            pruned(quick, method=method, curvature="exact", folder=here / "kept")
        assert words in caught.value.message
        assert fitting in (caught.value.help or "")
        assert not (here / "kept").exists()
    with pytest.raises(graphc.RunError) as caught:
        pruned(quick, method="obs", curvature="exact", remove="units", sparsity=0.5)
    assert "--curvature fisher" in (caught.value.help or "")


def test_what_an_exact_inverse_takes_is_told_before_it_is_computed(
    quick: graphc.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graphc.numerics.pruning.cost import Cost
    from graphc.session.pruning import failures

    happened: list[str] = []
    more = {
        "schedule": "recompute",
        "steps": 3,
        "sparsity": 0.5,
        "notice": happened.append,
        "report": lambda event: happened.append(event.kind),
    }
    pruned(quick, **more)
    assert happened == ["deletion"] * 3
    happened.clear()
    monkeypatch.setattr(failures, "exact_cost", lambda n: Cost(4 * 10**9, 120.0))
    pruned(quick, **more)
    assert happened[0] == (
        "exact inverses for 26 parameters take 4 GB, and in 3 rounds about 6 minutes; "
        "--curvature rows takes less"
    )
    assert happened[1:] == ["deletion"] * 3
