"""A kernel as its caller sees it: source, and what to give it, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from graphc.ir import Kind, Size

__all__ = ["Entry", "Kernel"]


@dataclass(frozen=True)
class Entry:
    """A function that is launched, and its arguments in their order.

    Arrays come by pointer and lie in memory in order (C-contiguous): ``inputs``, ``outputs``, by
    the id of the value, then one of ``partials`` for each total. ``numbers`` are ids of numbers of
    the run, by value as f64. ``sizes`` are symbolic dimensions, by value as int64. Last come, where
    it ``draws``, the seed (uint64) and the step (int64), both by value; where it combines,
    ``blocks``, the number of blocks that wrote partials (int64); where it is an update, the
    array ``trouble`` (int64): nothing is done where its first element is not negative.
    """

    name: str
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    partials: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()
    sizes: tuple[str, ...] = ()
    draws: bool = False
    blocks: bool = False
    trouble: bool = False


@dataclass(frozen=True)
class Kernel:
    """Functions in CUDA C++ that compute one group.

    ``main`` is launched first. Of kind *elements* it goes through ``elements``, one a thread, with
    any number of blocks and threads; of kind *rows* through ``rows`` of ``columns`` elements, one
    row a block. The threads of a block are a power of two, at most 1024, where it is of kind
    *rows* or there are totals. ``total``, where there are totals, is launched behind it as one
    block. Each block writes one element of each array of partials: f64 of reals, int64 of
    integers, ``totals`` says which.

    ``key`` is the same for kernels that differ in names and titles alone.
    ``in_place`` says of each output which inputs may be the very same array; no input may be that
    of two.
    """

    title: str
    kind: Literal["elements", "rows"]
    source: str
    key: str
    main: Entry
    total: Entry | None
    elements: Size
    rows: Size
    columns: Size
    totals: Mapping[int, Kind] = field(default_factory=dict)
    in_place: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
