"""A model text under construction, and the register of features that write into one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np

import graphc
from graphc.model.prelude import load_prelude

Shape = tuple[int, ...]
"""Of one example: the batch axis stands in front."""


@dataclass
class Draft:
    """A model text being written."""

    seed: int
    rng: np.random.Generator
    kind: str
    small: bool
    head: list[str] = field(default_factory=list)
    """Statements that stand first: definitions, hypers."""
    lines: list[str] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    """Names of the features drawn."""
    batch: dict[str, np.ndarray] = field(default_factory=dict)

    def any_of(self, items: list[str]) -> str:
        return items[int(self.rng.integers(len(items)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def width(self) -> int:
        return int(self.rng.integers(2, 4 if self.small else 6))

    def activation(self, place: int = 0) -> str:
        """They take turns, so that a new one is in some network and changes no other choice."""
        known = activations()
        return known[(self.seed + place) % len(known)]

    def bind(self, expression: str, shape: Shape) -> str:
        name = f"h{len(self.shapes)}"
        self.lines.append(f"{name} = {expression}")
        self.shapes[name] = shape
        return name

    def source(self) -> str:
        """One of the two values bound last."""
        return self.any_of(list(self.shapes)[-2:])

    def like(self, shape: Shape) -> str:
        """A value of that shape."""
        return self.any_of([name for name, other in self.shapes.items() if other == shape])

    def once(self, statement: str) -> None:
        if statement not in self.head:
            self.head.append(statement)

    @property
    def text(self) -> str:
        return "\n".join(["model drawn", *self.head, *self.lines, ""])


Feature = Callable[[Draft, str], None]
FEATURES: dict[str, tuple[int | None, Feature]] = {}
"""By name: the rank of the values that a feature takes (None: any), and what it writes."""


def feature(rank: int | None = None) -> Callable[[Feature], Feature]:
    def register(function: Feature) -> Feature:
        FEATURES[function.__name__] = (rank, function)
        return function

    return register


@cache
def activations() -> list[str]:
    """Functions of ``activations.gc`` that keep the shape of one tensor, a new one included."""
    found = []
    for name, definition in load_prelude().definitions.items():
        tree = definition.tree
        if tree.span.source.name == "prelude/activations.gc" and len(tree.parameters) == 1:
            text = f"model m\ninput x: real[n, 4]\nparam w: real[4] = 1\noutput o = {name}(w * x)\n"
            if _keeps_shape(text):
                found.append(name)
    return found


def _keeps_shape(text: str) -> bool:
    model = graphc.compile(text)
    return model.module.signature["outputs"]["o"]["shape"] == ["n", 4]
