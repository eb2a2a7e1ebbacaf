"""Modules that compute on a device: what they have more, and what of a state goes there.

A module without these functions computes where its arrays are, and everything here leaves it
and its arrays as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast

from graphc.runtime.computing import on_machine
from graphc.runtime.face import Arrays, Module

__all__ = ["Device", "device_of", "state_for_evaluation"]


class Device(Protocol):
    """What a module has that computes on a device; each of its functions takes arrays of both
    places."""

    def place(self, arrays: Arrays) -> Arrays:
        """The same arrays on the device, those that are there already as they are."""

    def room(self) -> int:
        """Bytes that are free there."""

    def joined(self, batches: Iterator[tuple[Arrays, int]], count: int) -> Arrays:
        """The batches one behind the other, as arrays of ``count`` rows on the device; what has no
        row an example is that of the first batch."""

    def ahead(self, batches: Iterator[tuple[Arrays, int]]) -> Iterator[tuple[Arrays, int]]:
        """The same pairs with arrays on the device, the next copied while one is worked on. A batch
        is copied before the one after it is asked for."""


def device_of(module: Module) -> Device | None:
    """The device that a module computes on; None where that is the host."""
    return None if getattr(module, "place", None) is None else cast(Device, module)


def state_for_evaluation(module: Module, state: Arrays) -> Arrays:
    """A state whose parameters, states of layers and constants are on the module's device, so that
    no batch has to take them there. What optimizers keep of a parameter, ``W:m``, and the counters
    are not read in an evaluation and stay."""
    device = device_of(module)
    if device is None:
        return state
    known = (*module.signature["parameters"], *module.signature["state"])
    read = {name: state[name] for name in known if name in state and ":" not in name}
    with on_machine():
        return {**state, **device.place(read)}
