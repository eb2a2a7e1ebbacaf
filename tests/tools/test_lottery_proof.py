"""A winning ticket, trained from its masks and its seed, is the pruned run: shown on digits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import graphc

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "proofs"))

import lottery
from lottery import AGAIN, DENSE, RANDOM, TICKET, Collection, Result

from graphc.runtime import Arrays
from graphc.session.pruning import Pruning, prune

slow = pytest.mark.slow


# ------------------------------------------------------------------------------- networks


@pytest.fixture(scope="module")
def model() -> graphc.Model:
    settings = {"train.epochs": 4, "train.seed": 5}
    return graphc.compile(lottery.ROOT / "models" / "digits.gc", set=settings)


@pytest.fixture(scope="module")
def once(model: graphc.Model) -> Pruning:
    """After one round."""
    run = model.train(folder=False)
    return prune(run, method="lottery", scope="layer", steps=1, sparsity=0.2, folder=False)


@pytest.fixture(scope="module")
def pruned(once: Pruning) -> Pruning:
    """After two more, from the pruned run."""
    options = {"method": "lottery", "scope": "layer", "steps": 2, "sparsity": 1 - 0.8**3}
    return prune(once.run, folder=False, **options)


@slow
def test_a_ticket_is_the_pruned_run(model: graphc.Model, pruned: Pruning):
    ticket = model.train(masks=pruned.masks, folder=False)
    assert ticket.evaluate("test") == pruned.run.evaluate("test")
    for name, mask in pruned.masks.items():
        np.testing.assert_array_equal(ticket.state[name], pruned.run.state[name])
        np.testing.assert_array_equal(ticket.state[f"{name}:mask"], mask)


@slow
def test_each_layer_loses_a_fifth_a_round(once: Pruning, pruned: Pruning):
    events = [event for event in (*once.events, *pruned.events) if event.kind == "deletion"]
    expected = [once.summary["weights"] * 0.8**number for number in (1, 2, 3)]
    np.testing.assert_allclose([event.left for event in events], expected, atol=1)
    for name, mask in pruned.masks.items():
        assert np.isclose(mask.mean(), 0.512, atol=1 / mask.size) if mask.ndim == 2 else mask.all()
        assert np.all(mask <= once.masks[name])


@slow
def test_the_ticket_began_with_its_own_weights(model: graphc.Model, pruned: Pruning):
    at_once = model.with_sets({"train.optimizer": "sgd{0.0}"})
    began = at_once.train(masks=pruned.masks, epochs=1, folder=False).state
    for name, mask in pruned.masks.items():
        np.testing.assert_array_equal(began[name], model.init(5)[name] * mask)


def other_seed(model: graphc.Model, masks: Arrays) -> graphc.Run:
    return model.train(masks=masks, seed=6, folder=False)


def other_places(model: graphc.Model, masks: Arrays) -> graphc.Run:
    return model.train(masks=lottery.shuffled(masks, 0), folder=False)


def one_weight_more(model: graphc.Model, masks: Arrays) -> graphc.Run:
    more = {name: np.array(mask) for name, mask in masks.items()}
    first = more["h.dense2.W"]
    first.flat[np.flatnonzero(first == 0)[0]] = 1
    return model.train(masks=more, folder=False)


@slow
@pytest.mark.parametrize("trained", [other_seed, other_places, one_weight_more])
def test_another_network_is_no_ticket(
    trained: Callable[[graphc.Model, Arrays], graphc.Run],
    model: graphc.Model,
    pruned: Pruning,
):
    other = trained(model, pruned.masks)
    with pytest.raises(SystemExit, match="not the pruned run"):
        lottery.expect_same(other, pruned.run)


@slow
def test_all_networks_of_a_seed(model: graphc.Model, pruned: Pruning):
    found = list(lottery.results_of(model, 5, rounds=(1, 3)))
    assert [(result.kind, result.rounds) for result in found] == [
        (DENSE, 0), *((kind, number) for number in (1, 3) for kind in (TICKET, AGAIN, RANDOM)),
    ]  # fmt: skip
    ticket = next(result for result in found if (result.kind, result.rounds) == (TICKET, 3))
    assert ticket.test == pruned.run.evaluate("test")["metrics"]["accuracy"]
    assert len(ticket.validation) == 4


# ------------------------------------------------------------------------------- words


def collection(ticket: float, again: float) -> Collection:
    """Three seeds, dense networks of 98.0, 98.1 and 98.2%, the others at 21% so much better."""
    found = []
    for seed, dense in enumerate((0.980, 0.981, 0.982)):
        found.append(Result(DENSE, seed, 0, 2, dense, [0.95, 0.97]))
        for kind, gain in ((TICKET, ticket), (AGAIN, again), (RANDOM, again)):
            found.append(Result(kind, seed, lottery.CLAIMED, 2, dense + gain, [0.9, 0.92]))
    return Collection(tuple(found))


@pytest.mark.parametrize(
    ("ticket", "again", "holds"),
    [
        (0.0, -0.01, True),
        (0.002, -0.005, True),
        (-0.0009, -0.01, True),
        (-0.002, -0.01, False),
        (0.0, -0.001, False),
        (0.0, 0.0, False),
    ],
)
def test_the_claim_is_of_numbers(ticket: float, again: float, holds: bool):
    found = collection(ticket, again)
    assert found.holds() is holds
    assert ("DOES NOT" in "\n".join(lottery.verdict(found))) is not holds


def test_the_table_has_means_and_spreads():
    lines = list(lottery.tables(collection(0.001, -0.01)))
    row = "| 21.0% | 2 | 98.10 ± 0.10 | 98.20 ± 0.10 | 97.10 ± 0.10 | 97.10 ± 0.10 | 3 |"
    assert lines[1] == row


def test_results_are_kept(tmp_path: Path):
    found, path = collection(0.0, -0.01).results, tmp_path / "results"
    assert lottery.kept_results(path) == []
    assert list(lottery.keep(found[:2], path)) == list(found[:2])
    list(lottery.keep(found[2:], path))
    assert tuple(lottery.kept_results(path)) == found


@slow
def test_the_figure_is_a_picture(tmp_path: Path):
    found = collection(0.0, -0.01)
    more = [replace(result, rounds=3) for result in found.results if result.rounds]
    path = tmp_path / "lottery.svg"
    lottery.draw(Collection((*found.results, *more)), path)
    assert path.read_text().startswith("<?xml")
    assert "3 seeds, 2 epochs" in path.read_text()
