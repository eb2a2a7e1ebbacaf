"""Whole networks drawn at random from the language, against the peers' own derivatives.

A failing test prints the network's text: paste it into a file, and ``graphc compile`` shows it.
"""

from __future__ import annotations

import pytest
from comparison import PRODUCTS, SMALL, compare
from network_draft import FEATURES, Draft, activations
from networks import HEADS, draw_network
from peer_modules import peer_module

import graphc
from graphc.ops.functions import Tanh

SEEDS = range(48)
MORE = range(48, 148)


def check(peer: str, seed: int, precision: str) -> None:
    library, network = peer_module(peer), draw_network(seed)
    print(network.text)
    compare(library, network.text, network.batch, precision=precision, seed=seed, training=True)


@pytest.mark.peers
@pytest.mark.parametrize("seed", SEEDS)
def test_network(seed: int) -> None:
    check("torch", seed, "f64")


@pytest.mark.peers
@pytest.mark.parametrize("seed", SEEDS[::4])
def test_network_in_f32(seed: int) -> None:
    check("torch", seed, "f32")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["f64", "f32"])
@pytest.mark.parametrize("seed", MORE)
def test_more_networks(seed: int, precision: str) -> None:
    check("torch", seed, precision)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_network_against_jax(seed: int) -> None:
    """Without Gauss-Newton products, which take JAX long to compile."""
    library, network = peer_module("jax"), draw_network(seed)
    print(network.text)
    compare(library, network.text, network.batch, seed=seed, products=PRODUCTS[:2])


@pytest.mark.peers
def test_the_networks_cover_the_language() -> None:
    """Every feature, loss and activation of the prelude is in some network."""
    drafts = [draw_network(seed) for seed in SEEDS]
    used = set().union(*(draft.used for draft in drafts))
    extra = {"several losses", "l2", "another penalty", "dropout by rule"}
    extra |= {"embedding by index", "embedding by layer"}
    assert sorted({*FEATURES, *HEADS, *extra} - used) == []
    texts = "\n".join(draft.text for draft in drafts)
    assert [name for name in activations() if f" {name}(u)" not in texts] == []


@pytest.mark.peers
def test_whole_hessians_are_compared() -> None:
    small = [s for s in SEEDS if graphc.compile(draw_network(s).text).parameter_count <= SMALL]
    assert len(small) >= 10


@pytest.mark.peers
def test_the_same_seed_draws_the_same_network() -> None:
    first, second = draw_network(3), draw_network(3)
    assert first.text == second.text
    assert all((first.batch[name] == second.batch[name]).all() for name in first.batch)


def _network_with(word: str) -> Draft:
    return next(d for seed in SEEDS if word in (d := draw_network(seed)).text)


@pytest.mark.peers
def test_a_wrong_derivative_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A millionth off is found: the comparison is no rubber stamp."""
    library, network = peer_module("torch"), _network_with("|> dense{4} |> tanh")
    compare(library, network.text, network.batch)
    monkeypatch.setattr(Tanh, "partial", lambda self, i, xs, y: (1 + 1e-6) * (1.0 - y * y))
    with pytest.raises(AssertionError, match="gradient in evaluation"):
        compare(library, network.text, network.batch)
