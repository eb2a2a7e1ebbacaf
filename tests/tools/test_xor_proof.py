"""Deleting one weight of nine: Optimal Brain Surgeon finds one that XOR can spare."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "proofs"))

import xor as proof

Network = tuple[int, proof.Vector]


@pytest.fixture(scope="module")
def xor() -> proof.Xor:
    return proof.Xor()


@pytest.fixture(scope="module")
def twenty(xor: proof.Xor) -> list[Network]:
    return list(xor.solved(20))


def assert_proved(counts: proof.Counts) -> None:
    """OBS keeps 95% of the networks where there is such a weight, and the others far fewer."""
    there_is = counts.still["any", proof.COMPENSATE]
    assert there_is == counts.networks
    assert counts.own("obs") >= 0.95 * there_is
    assert counts.own("obd") <= 0.5 * there_is
    assert counts.own("magnitude") <= 0.5 * there_is


def test_twenty_networks(xor: proof.Xor, twenty: list[Network]):
    assert_proved(proof.counted(xor, twenty))


def half_compensated(found: proof.Deleted) -> proof.Deleted:
    pairs = zip(found.after[proof.STAY], found.after[proof.COMPENSATE], strict=True)
    halves = [0.5 * (stay + move) for stay, move in pairs]
    return proof.Deleted(found.chosen, {**found.after, proof.COMPENSATE: halves})


def chosen_by_damage(found: proof.Deleted) -> proof.Deleted:
    return proof.Deleted({**found.chosen, "obs": found.chosen["obd"]}, found.after)


@pytest.mark.parametrize("change", [half_compensated, chosen_by_damage])
def test_a_surgeon_that_is_wrong_is_found(
    change: Callable[[proof.Deleted], proof.Deleted],
    xor: proof.Xor,
    twenty: list[Network],
    monkeypatch: pytest.MonkeyPatch,
):
    right = xor.deleted
    monkeypatch.setattr(xor, "deleted", lambda theta: change(right(theta)))
    counts = proof.counted(xor, twenty)
    with pytest.raises(AssertionError):
        assert_proved(counts)


def test_pruning_a_run_is_the_same(xor: proof.Xor):
    (line,) = proof.pruned(xor, 1)
    assert line == "By graphc prune: OBS 1, OBD 0, magnitude 0; the same parameters in 3 of 3."


@pytest.mark.slow
def test_a_hundred_networks(xor: proof.Xor):
    counts = proof.counted(xor, xor.solved(100))
    assert_proved(counts)
    assert counts.own("obd") <= 25
    assert counts.own("magnitude") <= 25
    assert len(counts.minima) >= 5
