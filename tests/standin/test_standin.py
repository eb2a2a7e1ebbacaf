"""The stand-in for CuPy refuses what CuPy refuses, and counts what it says it counts."""

from __future__ import annotations


def test_a(cupy):
    import cupy as cp

    assert cp is cupy
