"""Formulas and derivations: what a graph means, for a person to read.

This room reads graphs and computes no gradient of its own: derivatives are those that the passes
build, brought into a readable form.
"""

from graphc.rendering.derivation import derive
from graphc.rendering.derivation_text import derivation_latex, derivation_text
from graphc.rendering.formulas import Leaf, compose
from graphc.rendering.local import Formulas, LocalDerivative, local_derivatives
from graphc.rendering.numbers import Numbers
from graphc.rendering.steps import Contribution, Derivation, Path, Step

__all__ = [
    "Contribution",
    "Derivation",
    "Formulas",
    "Leaf",
    "LocalDerivative",
    "Numbers",
    "Path",
    "Step",
    "compose",
    "derivation_latex",
    "derivation_text",
    "derive",
    "local_derivatives",
]
