"""Passes: program to program, one a file, in one visible pipeline."""

from graphc.passes.pipeline import EVALUATION, FORWARD, TRAINING, lower, product_passes, run_passes

__all__ = ["EVALUATION", "FORWARD", "TRAINING", "lower", "product_passes", "run_passes"]
