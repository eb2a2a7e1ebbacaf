"""States of masked models: which weights are left, and a state that begins without the others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from graphc.model.program import MASK
from graphc.runtime import Array, Arrays, RunError
from graphc.runtime.wording import did_you_mean, listing
from graphc.session.model import Model

__all__ = ["masks_of", "state_with_masks"]


def masks_of(model: Model, state: Mapping[str, Array]) -> Arrays:
    """The mask of each learned parameter, 0 where a weight was removed; ones without masks."""
    return {
        name: state.get(f"{name}:{MASK}", np.ones_like(state[name])) for name in model.spec.learned
    }


def state_with_masks(
    model: Model, state: Mapping[str, Array], masks: Mapping[str, ArrayLike], *, fresh: bool = True
) -> Arrays:
    """A state of a masked model: the weights of ``state`` times their masks, and the masks.

    ``masks`` hold 0 or 1 (or truth values) in the shape of the parameter, by its full name; a
    parameter that is not among them keeps all its weights. States of layers, constants of the data
    and the seed are those of ``state``; states of optimizers are what they are before the first
    step, or with ``fresh`` false those of ``state`` times the mask, the step then likewise.
    RunError for a model without masks, a name that is not learned (a frozen parameter has no mask)
    or an array that is not a mask of it.
    """
    if not model.masked:
        raise RunError(f"{model.name} is compiled without masks", help="take model.with_masks()")
    _expect_learned(model, masks)
    began = model.init(int(state["seed"]))
    kept = {*model.spec.parameters, *model.spec.states, "seed", "epochs", "steps_per_epoch"}
    new = {name: state[name] if _stays(name, kept, state, fresh) else began[name] for name in began}
    for group in model.generated.programs.spec.groups:
        for name in group.parameters:
            mask = _mask(name, masks.get(name, 1), np.shape(new[name]))
            real = np.asarray(new[name]).dtype
            for key in (name, *(f"{name}:{moment.name}" for moment in group.states)):
                new[key] = np.where(mask, new[key], 0).astype(real)
            new[f"{name}:{MASK}"] = mask.astype(real)
    return {name: np.array(array) for name, array in new.items()}


def _stays(name: str, kept: set[str], state: Mapping[str, Array], fresh: bool) -> bool:
    return name in state and (name in kept or not fresh)


def _expect_learned(model: Model, masks: Mapping[str, ArrayLike]) -> None:
    learned = model.spec.learned
    unknown = [name for name in masks if name not in learned]
    frozen = [name for name in unknown if name in model.spec.parameters]
    if frozen:
        raise RunError(
            f"{listing(frozen)} is frozen: without an optimizer there is nothing to hold a mask",
            help="leave it out, or give it an optimizer in the train section",
        )
    if unknown:
        raise RunError(
            f"{model.name} learns no parameter {listing(unknown)}",
            help=f"{did_you_mean(unknown[0], learned)}it learns {listing(learned)}",
        )


def _mask(name: str, given: ArrayLike, shape: tuple[int, ...]) -> Array:
    """A mask as truth values. ``1`` keeps everything."""
    mask = np.asarray(given)
    if mask.ndim == 0 and mask == 1:
        mask = np.ones(shape, dtype=bool)
    if mask.shape != shape:
        raise RunError(f"the mask of {name} has shape {list(mask.shape)}, {name} {list(shape)}")
    if mask.dtype.kind not in "bifu" or not ((mask == 0) | (mask == 1)).all():
        raise RunError(f"the mask of {name} holds other values than 0 and 1")
    return mask.astype(bool)
