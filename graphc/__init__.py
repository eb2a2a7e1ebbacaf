"""graphc: a model file says what a network is; the compiler writes how it is computed and trained.

>>> import graphc
>>> model = graphc.compile("models/digits.gc")   # doctest: +SKIP
>>> run = model.train()                          # doctest: +SKIP
>>> run.evaluate()["metrics"]["accuracy"]        # doctest: +SKIP
0.97

Importing this package loads nothing else: the compiler comes with the first name that needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphc.schedule import CostReport
    from graphc.session import CompileError, Model, Run, RunError, compile, load
    from graphc.session.curvature import curvature
    from graphc.session.explaining import explain
    from graphc.session.picture import Picture
    from graphc.session.pruning import Pruning, prune
    from graphc.session.pruning_shown import show_pruning
    from graphc.session.rendering import render
    from graphc.session.showing import show_curves, show_surface, show_weights

__version__ = "0.1.0"

__all__ = [
    "CompileError",
    "CostReport",
    "Model",
    "Picture",
    "Pruning",
    "Run",
    "RunError",
    "__version__",
    "compile",
    "curvature",
    "explain",
    "load",
    "prune",
    "render",
    "show_curves",
    "show_pruning",
    "show_surface",
    "show_weights",
]


_ELSEWHERE = {
    "CostReport": "graphc.schedule",
    "Picture": "graphc.session.picture",
    "Pruning": "graphc.session.pruning",
    "curvature": "graphc.session.curvature",
    "explain": "graphc.session.explaining",
    "prune": "graphc.session.pruning",
    "render": "graphc.session.rendering",
    "show_curves": "graphc.session.showing",
    "show_pruning": "graphc.session.pruning_shown",
    "show_surface": "graphc.session.showing",
    "show_weights": "graphc.session.showing",
}
"""Where names come from; all others from ``graphc.session`` itself."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'graphc' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_ELSEWHERE.get(name, "graphc.session")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
