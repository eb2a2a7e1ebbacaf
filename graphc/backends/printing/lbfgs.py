"""L-BFGS: its ``Trainer``, printed as it is into modules that train by it.

The memory lies in the optimizer's states: ``s1`` is the newest step, ``y1`` the change of the
gradient over it, zeros where there is none yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.backends.printing.descent import Descent, _steepest

__all__ = ["LBFGS", "Trainer"]

Arrays = dict[str, Any]
DRIVER: dict[str, Any] = {}


class Trainer(Descent):
    """Training by L-BFGS over all examples: a step is one iteration with its line search.

    The state holds the memory, so a run that is taken up again goes on as it would have. Batches
    of any size may come, `batch_size` is not needed; but all of them should be the same examples.
    """

    def _directions(self, batch: Arrays, here: Any, gradient: Any) -> Any:
        """What the memory says, and if that leads nowhere, without memory, down the gradient."""
        pairs = [
            tuple(self._moments[f"{kind}{i}"][self._kept].astype(np.float64) for kind in "sy")
            for i in range(1, DRIVER["memory"] + 1)
        ]
        pairs = [(s, y) for s, y in pairs if s @ y > 0.0]
        if pairs:
            yield -_two_loops(gradient, pairs)
            for name, moment in self._moments.items():
                if name != "mask":
                    moment.fill(0.0)
        yield _steepest(gradient)

    def _remember(self, step: Any, change: Any) -> None:
        """The newest pair, unless the curvature along it is not positive beyond rounding."""
        size = float(np.linalg.norm(step) * np.linalg.norm(change))
        if not step @ change > np.finfo(self._weights.dtype).eps * size:
            return
        for kind, new in (("s", step), ("y", change)):
            for i in range(DRIVER["memory"], 1, -1):
                np.copyto(self._moments[f"{kind}{i}"], self._moments[f"{kind}{i - 1}"])
            self._moments[f"{kind}1"][self._kept] = new


def _two_loops(gradient: Any, pairs: Any) -> Any:
    """The approximate inverse Hessian times the gradient; `pairs` of a step and the change of the
    gradient over it, the newest first (Nocedal and Wright, 2006, algorithm 7.4)."""
    result, shares = gradient.copy(), []
    for s, y in pairs:
        shares.append((s @ result) / (s @ y))
        result -= shares[-1] * y
    s, y = pairs[0]
    result *= (s @ y) / (y @ y)
    for (s, y), share in zip(pairs[::-1], shares[::-1], strict=True):
        result += (share - (y @ result) / (s @ y)) * s
    return result


LBFGS: list[Callable[..., Any]] = [_two_loops]
