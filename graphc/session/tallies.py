"""What a comparison of derivatives found, by parameter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.runtime.differences import Comparison
from graphc.session.targets import Choice

__all__ = ["GradCheck", "ParameterCheck", "Tally", "Worst", "entry_text"]


@dataclass(frozen=True)
class Worst:
    """The derivative that is furthest off. Order 1: of the objective, by an ``entry`` of
    ``parameter`` (empty for a scalar) or along a ``direction`` of it. Order 2: of the gradient by
    the entry, along a direction of all parameters."""

    order: int
    training: bool
    parameter: str
    entry: str
    direction: str
    exact: float
    numeric: float
    error: float

    def __str__(self) -> str:
        by = (
            f"{'first' if self.order == 1 else 'second'} derivative by {self.parameter}{self.entry}"
        )
        along = f" along {self.direction}" if self.direction else ""
        return f"{by}{along}{' in training' if self.training else ''}"


@dataclass
class Tally:
    """Derivatives compared, those left out at kinks, and the one furthest off."""

    checked: int = 0
    kinks: int = 0
    worst: Worst | None = None

    @property
    def error(self) -> float:
        """Relative; 0 where nothing was compared."""
        return self.worst.error if self.worst else 0.0

    def add(self, compared: Comparison) -> int | None:
        """Count; the position of what is further off than anything before, None if nothing is."""
        kinks = int(compared.kink.sum())
        self.kinks += kinks
        self.checked += compared.exact.size - kinks
        errors = np.where(compared.kink, -1.0, compared.error)
        at = int(np.argmax(errors))
        known = -1.0 if self.worst is None else self.worst.error
        return at if errors[at] > known else None

    def as_json(self) -> dict[str, Any]:
        return {"checked": self.checked, "kinks": self.kinks, "error": self.error}


@dataclass
class ParameterCheck:
    """First and second derivatives by one parameter. ``stopped``: a stop_gradient of the model
    may hide a part of the objective's change from it."""

    name: str
    shape: tuple[int, ...]
    stopped: bool
    tolerance: float
    first: Tally = field(default_factory=Tally)
    second: Tally = field(default_factory=Tally)

    @property
    def status(self) -> str:
        """``ok``, ``WRONG``, ``stopped`` (what stop_gradient asks for, so it tells nothing), or
        ``kinks`` (nowhere smooth enough to tell)."""
        if self.second.error > self.tolerance:
            return "WRONG"
        if self.first.error > self.tolerance:
            return "stopped" if self.stopped else "WRONG"
        return "ok" if self.first.checked and (self.second.checked or self.stopped) else "kinks"

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "shape": list(self.shape),
            "status": self.status,
            "first": self.first.as_json(),
            "second": self.second.as_json(),
        }


@dataclass(frozen=True)
class GradCheck:
    """What was found, and where: ``origin`` names the batch, ``moved`` how far the parameters
    were from their initial values, relative to their size; ``training`` says that training has
    gradients of its own, which were compared too. ``choice`` is the target where that was left to
    graphc."""

    model: str
    origin: str
    moved: float
    training: bool
    tolerance: float
    parameters: tuple[ParameterCheck, ...]
    frozen: tuple[str, ...]
    choice: Choice | None = None

    @property
    def ok(self) -> bool:
        return not self.named("WRONG")

    def named(self, status: str) -> list[str]:
        """The parameters of that status."""
        return [check.name for check in self.parameters if check.status == status]

    @property
    def worst(self) -> Worst | None:
        """The derivative furthest off, by parameters that stop_gradient leaves comparable."""
        tallies = [
            tally
            for check in self.parameters
            if check.status != "stopped"
            for tally in (check.first, check.second)
        ]
        found = [tally.worst for tally in tallies if tally.worst]
        return max(found, key=lambda worst: worst.error, default=None)

    def as_json(self) -> dict[str, Any]:
        worst = self.worst
        return {
            "ok": self.ok,
            "model": self.model,
            "batch": self.origin,
            "moved": self.moved,
            "training": self.training,
            "tolerance": self.tolerance,
            "parameters": [check.as_json() for check in self.parameters],
            "frozen": list(self.frozen),
            "worst": None if worst is None else dict(vars(worst)),
            **({} if self.choice is None else {"target": self.choice.as_json()}),
        }


def entry_text(flat: int, shape: tuple[int, ...]) -> str:
    """The index of an entry as NumPy writes it: ``[3, 7]``; nothing for a scalar."""
    return f"[{', '.join(str(int(i)) for i in np.unravel_index(flat, shape))}]" if shape else ""
