"""A stand-in for CuPy: arrays "on the device" that are NumPy's within, for tests without a GPU.

    with standin.installed() as cupy:
        module.predict(…)
        assert not cupy.counts.to_host

It has what `surface.json` records of CuPy and refuses what CuPy refuses: NumPy arrays beside its
own, implicit conversion, keywords that CuPy does not have. It counts what goes over the bus, with
the line that asked (`cupy.counts`), checks that streams wait for each other, runs raw kernels on
the host with their arguments checked, and fails where a test asks (`cupy.fail_after`,
`cupy.no_device`, `cupy.set_memory`). A name that CuPy has and no test needed yet raises
NotImplementedError; one that CuPy lacks, AttributeError.

Where CuPy 14.2 means something else than NumPy 2 by the same call (sources: its documentation
"Differences between CuPy and NumPy", and its code as named):

- reductions and single elements are arrays of no dimension (documentation);
- indices out of range wrap around, in `take`, `a[i]`, `a[i] = v`, `*_along_axis`, `add.at`
  (documentation; `_routines_indexing.pyx`: the kernels of take and scatter take them modulo);
- of several values for one place any may stay (documentation): here that is an error;
- a mask as index, `nonzero`, `flatnonzero`, `where(c)` read how many there are
  (`_prepare_mask_indexing_single`, `_ndarray_argwhere`);
- an index or value from the host is sent each time, in silence (`_prepare_slice_list`): counted;
- setting whole slices from the host is refused (`ndarray.fill`, `cupy.copyto`);
- of methods of ufuncs, `reduce` and `accumulate` are for add and multiply alone, `at` for some and
  some types (`_kernel.pyx`, `_scatter_op_single`); no ufunc has `where=`;
- `take` has no `mode`, `einsum` no `out`, `as_strided` no `writeable` (signatures);
- `broadcast_to`, `diagonal` give views that can be written to (no array is read-only);
- `ravel_multi_index` and `put` wrap by default (docstrings);
- a copy from pinned memory is not waited for (`ndarray.set`, `_array_default`), a freed block goes
  to the next array of the same stream at once (documentation of the memory pool);
- kernels take arrays without their strides (documentation of RawKernel).

What it does not tell: rounding (sums in another order, `power` by `pow`, atomic additions in any
order), what CuPy allocates within a call, how long anything takes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from .device import DEVICE
from .errors import StreamOrderError, UndefinedResultError
from .modules import Module, modules

__all__ = ["StreamOrderError", "UndefinedResultError", "installed"]


@contextmanager
def installed() -> Iterator[ModuleType]:
    """`import cupy` finds the stand-in, as after a start: nothing held or counted. Not nested."""
    if isinstance(sys.modules.get("cupy"), Module):
        raise RuntimeError("the stand-in is installed already")
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_cupys(name)}
    made = modules()
    DEVICE.start()
    sys.modules.update(made)
    try:
        yield made["cupy"]
    finally:
        for name in list(sys.modules):
            if _is_cupys(name):
                del sys.modules[name]
        sys.modules.update(before)
        DEVICE.start()


def _is_cupys(name: str) -> bool:
    return name == "cupy" or name.startswith("cupy.")
