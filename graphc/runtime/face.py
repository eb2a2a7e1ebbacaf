"""What the runtime asks of a generated module, as types.

The compiler writes such modules; nothing here imports the compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, SupportsFloat, TypeAlias

from numpy.typing import NDArray

__all__ = ["Array", "Arrays", "Module", "Raw", "Signature", "Trainer", "readers", "row_wise"]

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = dict[str, Array]
"""Arrays by name: a state, a batch, or outputs."""
Raw: TypeAlias = Mapping[str, Array]
"""Columns of a data file by name; each has one row an example, shape ``[n, ...]``."""
Signature: TypeAlias = Mapping[str, Any]


class Trainer(Protocol):
    """A state that learns, one step a batch.

    One that goes down by a line search has ``gradient_norm``, that after the last step, and
    ``converged``, whether further steps would change nothing; look with ``getattr``.
    """

    def step(self, batch: Arrays) -> SupportsFloat:
        """One update; the objective before it, penalties included.

        A number, or an array of no dimension on a device: reading that with ``float`` waits for
        the device, so whoever does not show it multiplies and adds only.
        """

    def state(self) -> Arrays:
        """A copy of everything that the next step depends on.

        What a step on a device could not tell is raised here: FloatingPointError names the first
        step whose objective was not finite, no update was made from it on; ValueError and
        IndexError are of labels and indices.
        """


class Module(Protocol):
    """A generated module. ``fit`` and ``restore`` may be there too; look with ``getattr``. One that
    computes on a device has what :class:`graphc.runtime.device.Device` says."""

    REAL: Any
    classes: Mapping[str, Sequence[str]]
    signature: Signature
    Trainer: Callable[..., Trainer]

    def init(self, seed: int = 0) -> Arrays:
        """A fresh state."""

    def prepare(self, raw: Raw, state: Arrays) -> Arrays:
        """Inputs and targets from raw columns."""

    def predict(self, state: Arrays, inputs: Arrays) -> Arrays:
        """Outputs by name."""

    def losses(self, state: Arrays, batch: Arrays) -> tuple[float, dict[str, float]]:
        """The objective without penalties, and each loss."""

    def metrics(self, state: Arrays, batch: Arrays) -> dict[str, Any]:
        """Each metric of the batch given."""


def row_wise(signature: Signature, group: str) -> list[str]:
    """The names in a group of the signature (``inputs``, ``outputs``, ...) with one row an example.

    In a model without a batch every name is: prepared arrays gain a leading axis of examples.
    """
    batch = signature["batch"]
    entries = signature[group]
    if batch is None:
        return list(entries)
    return [name for name, entry in entries.items() if list(entry["shape"])[:1] == [batch]]


def readers(signature: Signature, names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each raw column with those of ``names`` that read it, columns that none reads left out."""
    for column, read_by in signature["columns"].items():
        wanted = [name for name in read_by if name in names]
        if wanted:
            yield column, wanted
