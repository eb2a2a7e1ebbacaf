"""A module on a device that is none: the face of one that computes there, over another module.

Its arrays hold NumPy arrays and refuse what would read or copy them unseen. What is read, placed,
copied ahead and given to a step from the host is counted; a fault can be put anywhere.
"""

from __future__ import annotations

import types
from collections import Counter

import numpy as np


class DeviceFailure(RuntimeError):
    """What the library of the device raises."""


DeviceFailure.__module__ = "cupy_backends.cuda.api.runtime"


class DeviceFull(MemoryError):
    """What it raises when its memory is full."""


DeviceFull.__module__ = "cupy.cuda.memory"


class Held:
    """An array on the device."""

    __array_ufunc__ = None

    def __init__(self, array, counts):
        self._there = np.asarray(array)
        self._counts = counts

    shape = property(lambda self: self._there.shape)
    dtype = property(lambda self: self._there.dtype)
    nbytes = property(lambda self: self._there.nbytes)

    def __array__(self, *args, **more):
        raise TypeError("an array on the device is not copied to the host unasked")

    def __float__(self):
        self._counts["read"] += 1
        return float(self._there)

    def __bool__(self):
        raise AssertionError("a hidden read")

    __int__ = __len__ = __iter__ = __bool__

    def __mul__(self, other):
        return Held(self._there * _number(other), self._counts)

    def __add__(self, other):
        return Held(self._there + _number(other), self._counts)

    __rmul__, __radd__ = __mul__, __add__

    def __getitem__(self, index):
        for part in index if isinstance(index, tuple) else (index,):
            assert isinstance(part, int | slice | type(...)), "an index that would be copied"
        return Held(self._there[index], self._counts)

    def take(self, rows, axis):
        assert isinstance(rows, Held), "rows that would be copied"
        self._counts["gathered"] += 1
        return Held(self._there.take(rows._there, axis=axis), self._counts)


def _number(value):
    """What arithmetic on the device takes: arrays that are there, and numbers."""
    if isinstance(value, Held):
        return value._there
    assert isinstance(value, int | float), "arithmetic with an array of the host"
    return value


class OnDevice(types.SimpleNamespace):
    """``module`` computed on the device, of which ``free`` bytes are free."""

    def __init__(self, module, free=10**9):
        face = {name: value for name, value in vars(module).items() if name not in dir(type(self))}
        super().__init__(**face)
        self.counts = counts = Counter()
        self.module, self.free, self.faults = module, free, {}
        self.trainers, self.events = [], []
        device = self

        class Trainer:
            def __init__(self, *args, **more):
                device.fault("Trainer")
                device.trainers.append(self)
                self._inner = module.Trainer(*args, **more)
                self._bad = None

            def step(self, batch):
                device.fault("step")
                device.events.append("step")
                counts["given"] += sum(not isinstance(array, Held) for array in batch.values())
                if self._bad is not None:
                    return Held(np.float64(np.nan), counts)
                now, before = int(self._inner._state["step"]), self._inner.state()
                try:
                    objective = self._inner.step(device.there(batch))
                except (IndexError, ValueError) as problem:
                    self._bad = problem
                    objective = np.nan
                if not np.isfinite(objective):
                    self._bad = self._bad or FloatingPointError(
                        f"the objective is {objective} at step {now}"
                    )
                    self._inner._state = before
                return Held(np.float64(objective), counts)

            def state(self):
                device.fault("state")
                counts["states"] += 1
                if self._bad is not None:
                    raise self._bad
                return self._inner.state()

        self.Trainer = Trainer

    def fault(self, place):
        """Raise what a test has put there, at the call that it says."""
        self.counts[place] += 1
        at, problem = self.faults.get(place, (None, None))
        if self.counts[place] == at:
            self.counts["after the fault"] = 0
            raise problem
        if any(self.counts[name] >= at for name, (at, _) in self.faults.items()):
            self.counts["after the fault"] += 1

    def there(self, arrays):
        return {n: a._there if isinstance(a, Held) else a for n, a in arrays.items()}

    def place(self, arrays):
        self.fault("place")
        fresh = {name for name, array in arrays.items() if not isinstance(array, Held)}
        self.counts["placed"] += len(fresh)
        self.events.append(f"place {' '.join(sorted(fresh))}")
        return {n: Held(a.copy(), self.counts) if n in fresh else a for n, a in arrays.items()}

    def room(self):
        self.fault("room")
        self.counts["trainers at room"] = len(self.trainers)
        return self.free

    def joined(self, batches, count):
        """Copied as they come; only so many bytes of the host are there at one time."""
        self.fault("joined")
        parts, rows = [], 0
        for arrays, few in batches:
            self.counts["parts joined"] += 1
            parts.append(arrays)
            rows += few
        assert rows == count
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return {name: Held(array, self.counts) for name, array in whole.items()}

    def ahead(self, batches):
        """One batch ahead: the next is copied before the present one is given."""
        waiting = None
        for arrays, count in batches:
            self.fault("ahead")
            self.events.append("copy")
            following = {n: Held(np.array(a), self.counts) for n, a in arrays.items()}, count
            if waiting is not None:
                yield waiting
            waiting = following
        if waiting is not None:
            yield waiting

    def prepare(self, raw, state):
        self.fault("prepare")
        assert not any(isinstance(array, Held) for array in state.values())
        return self.module.prepare(raw, state)

    def losses(self, state, batch):
        self._evaluated("losses", state, batch)
        return self.module.losses(self.there(state), self.there(batch))

    def metrics(self, state, batch):
        self._evaluated("metrics", state, batch)
        return self.module.metrics(self.there(state), self.there(batch))

    def predict(self, state, inputs):
        self._evaluated("predict", state, inputs)
        assert not any(isinstance(array, Held) for array in inputs.values())
        return self.module.predict(self.there(state), inputs)

    def restore(self, outputs, state):
        assert not any(isinstance(array, Held) for array in (*outputs.values(), *state.values()))
        restore = getattr(self.module, "restore", None)
        return outputs if restore is None else restore(outputs, state)

    def _evaluated(self, name, state, batch):
        self.fault(name)
        read = self.signature["parameters"]
        self.counts["state given"] += sum(not isinstance(state[n], Held) for n in read)
        self.counts["given"] += sum(not isinstance(array, Held) for array in batch.values())
