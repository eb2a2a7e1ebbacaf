"""The peers that tests compare with, as parameters: PyTorch in its tier, JAX among the long
proofs. A test of a peer that is not installed is skipped and says so."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

PEERS = [
    pytest.param("torch", marks=pytest.mark.peers),
    pytest.param("jax", marks=pytest.mark.slow),
]
_INSTALL = {
    "torch": "PyTorch is not installed: pip install graphc[peers]",
    "jax": "JAX is not installed: pip install jax",
}


def peer_module(name: str) -> ModuleType:
    """The interpreter of that library; skips the test where the library is absent."""
    pytest.importorskip(name, reason=_INSTALL[name])
    return importlib.import_module(f"{name}_graph")
