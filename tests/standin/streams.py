"""Streams and events: which work of the device is known to come before which.

Every use of a block is noted with its stream and a tick. A stream knows how far others have come
from the events that it waited for, the host from what it synchronised with. Streams that block
are in order with the default stream, those that do not (`non_blocking=True`) with nothing.
"""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any, ClassVar

import numpy as np

from .counts import caller
from .errors import StreamOrderError

__all__ = ["Copy", "Event", "Stream", "Use", "ordered"]


class _Clock:
    ticks = itertools.count(1)


class Stream:
    """`cupy.cuda.Stream`."""

    null: ClassVar[Stream]
    _local = threading.local()
    _all: ClassVar[list[Stream]] = []
    _host: ClassVar[dict[Stream, int]] = {}
    """How far the host knows that streams have come."""

    def __init__(
        self,
        null: bool = False,
        non_blocking: bool = False,
        ptds: bool = False,
        priority: int | None = None,
    ) -> None:
        if ptds:
            raise NotImplementedError("the stand-in has no default stream a thread")
        self.is_null, self.is_non_blocking = null, non_blocking and not null
        self.priority = priority or 0
        self.copies: list[Copy] = []
        self._known: dict[Stream, int] = {}
        self._outer: list[Stream] = []
        Stream._all.append(self)

    def __repr__(self) -> str:
        kind = "non-blocking" if self.is_non_blocking else "blocking"
        return "the default stream" if self.is_null else f"a {kind} stream"

    @classmethod
    def start(cls) -> None:
        """Only the default stream is left."""
        cls._all.clear()
        cls._host.clear()
        cls.null = Stream(null=True)
        cls._local.current = cls.null

    @classmethod
    def current(cls) -> Stream:
        return getattr(cls._local, "current", cls.null)

    @property
    def ptr(self) -> int:
        return 0 if self.is_null else id(self)

    @property
    def done(self) -> bool:
        self.synchronize()
        return True

    def __enter__(self) -> Stream:
        self._outer.append(Stream.current())
        Stream._local.current = self
        return self

    def __exit__(self, *_: object) -> None:
        Stream._local.current = self._outer.pop()

    def use(self) -> Stream:
        Stream._local.current = self
        return self

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Work that comes after waits for what the event has seen."""
        _merge(self._known, event.seen)

    def synchronize(self) -> None:
        """The host waits for all work of the stream."""
        _synchronized({**self._known, self: next(_Clock.ticks)})


class Event:
    """`cupy.cuda.Event`: how far streams had come when it was recorded."""

    def __init__(
        self, block: bool = False, disable_timing: bool = False, interprocess: bool = False
    ) -> None:
        if interprocess:
            raise NotImplementedError("the stand-in has one process")
        self.seen: dict[Stream, int] = {}
        self.timed = not disable_timing
        self.time = 0.0

    def record(self, stream: Stream | None = None) -> None:
        stream = stream or Stream.current()
        self.seen = {**stream._known, stream: next(_Clock.ticks)}
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        _synchronized(self.seen)

    @property
    def done(self) -> bool:
        self.synchronize()
        return True


class Copy:
    """A copy from pinned memory that the device has not made yet."""

    def __init__(self, target: np.ndarray, source: np.ndarray, stream: Stream) -> None:
        self._target, self._source, self._line = target, source, caller()
        self._expected = source.tobytes()
        self._made = False
        self.tick = next(_Clock.ticks)
        stream.copies.append(self)

    def make(self) -> None:
        """Copy, if it is still to do."""
        if not self._made:
            self.check()
            self._made = True
            np.copyto(self._target, self._source, casting="no")

    def check(self) -> None:
        """The source must stay as it was until the host knows that the copy is made."""
        if self._source.tobytes() != self._expected:
            raise StreamOrderError(
                f"pinned memory was overwritten before it was copied, asked for by {self._line}"
            )


class Use:
    """Who read and wrote a block last."""

    __slots__ = ("_readers", "_writer")

    def __init__(self) -> None:
        self._writer: tuple[Stream, int] | None = None
        self._readers: dict[Stream, int] = {}

    def read(self, stream: Stream) -> None:
        self._readers[stream] = next(_Clock.ticks)

    def write(self, stream: Stream) -> None:
        self._writer = stream, next(_Clock.ticks)
        self._readers.clear()

    def writes(self) -> list[tuple[Stream, int]]:
        return [] if self._writer is None else [self._writer]

    def all(self) -> list[tuple[Stream, int]]:
        return [*self.writes(), *self._readers.items()]


def ordered(by: Stream, at: int, stream: Stream) -> bool:
    """Whether what `by` did at a tick comes before what a stream does now."""
    if by is stream or at <= Stream._host.get(by, 0) or at <= stream._known.get(by, 0):
        return True
    blocking = not (by.is_non_blocking or stream.is_non_blocking)
    return blocking and (by.is_null or stream.is_null)


def device_synchronized() -> None:
    """The host waits for everything."""
    tick = next(_Clock.ticks)
    _synchronized(dict.fromkeys(list(Stream._all), tick))


def elapsed(start: Event, end: Event) -> float:
    """Milliseconds between two events."""
    if not (start.timed and end.timed):
        raise ValueError("an event of disable_timing has no time")
    return 1e3 * (end.time - start.time)


def _synchronized(seen: dict[Stream, int]) -> None:
    """The host knows how far streams have come: their copies are made and their sources free."""
    for stream, tick in seen.items():
        waiting = [copy for copy in stream.copies if copy.tick <= tick]
        for copy in waiting:
            copy.make()
            copy.check()
        stream.copies = [copy for copy in stream.copies if copy.tick > tick]
    _merge(Stream._host, seen)


def _merge(known: dict[Any, int], seen: dict[Any, int]) -> None:
    for stream, tick in seen.items():
        known[stream] = max(known.get(stream, 0), tick)


Stream.start()
