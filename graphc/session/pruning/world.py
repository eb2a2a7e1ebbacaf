"""A trained network as pruning sees it: its objective, its scores, and how it goes on training."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from graphc.model import PrunePlan
from graphc.numerics.problem import Problem
from graphc.numerics.pruning.engine import Scores
from graphc.numerics.pruning.saliency import movement
from graphc.numerics.vectors import Layout, Mask, Vector
from graphc.runtime import (
    Arrays,
    DivergedError,
    FailedError,
    Module,
    RunError,
    TrainResult,
    initial_state,
    train,
)
from graphc.runtime.evaluation import evaluate_examples
from graphc.runtime.examples import Examples, load_examples, on_device
from graphc.runtime.replay import replay
from graphc.session.loading import gradients_of
from graphc.session.masking import state_with_masks
from graphc.session.model import Model
from graphc.session.problem import MEMORY, Objective
from graphc.session.run import Run
from graphc.session.training import train_config

__all__ = ["Network", "Ticket", "minimum"]


class Network:
    """A masked model at a state, over the parts of its data.

    Vectors are all learned parameters in double precision; training is in the model's own. What
    training changes beside parameters, states of layers, is kept here.
    """

    def __init__(self, model: Model, state: Arrays, plan: PrunePlan) -> None:
        self.model = model
        self.state = state
        self.plan = plan
        self.epochs = 0
        """Of a training between deletions."""
        self.module, self.parts = model.parts()
        self.movements: Vector | None = None
        self._trainings = 0
        self._confirmed = state

    # ------------------------------------------------------------------ what it is

    @cached_property
    def objective(self) -> Objective:
        return Objective(self.model, self.state, self.parts.train, memory=MEMORY, penalties=True)

    @cached_property
    def problem(self) -> Problem:
        return self.objective.problem()

    @property
    def layout(self) -> Layout:
        return self.objective.layout

    def scores(self, theta: Vector) -> Scores:
        """Losses without penalties and metrics that are one number, on training and validation, in
        the model's own precision."""
        state, size = {**self.state, **self._weights(theta)}, self.model.spec.train.batch
        return {
            name: _numbers(evaluate_examples(self.module, state, examples, size))
            for name, examples in self._held.items()
        }

    @cached_property
    def _held(self) -> dict[str, Examples]:
        raw = {"train": self.parts.train, "validation": self.parts.validation}
        loaded = {
            name: load_examples(self.module, self.state, rows, part=f"the {name} part")
            for name, rows in raw.items()
            if rows is not None
        }
        return {name: on_device(self.module, examples) for name, examples in loaded.items()}

    def _weights(self, theta: Vector) -> Arrays:
        """Parameters by name, in the model's own precision."""
        arrays = self.layout.unpack(theta)
        return {name: np.asarray(w, self.state[name].dtype) for name, w in arrays.items()}

    @cached_property
    def row_weights(self) -> frozenset[str]:
        """Weights of linear maps that are used once, whose inputs are known."""
        try:
            return frozenset(next(self.problem.layers(self.layout.pack(self.state))))
        except RunError:
            return frozenset()

    # ------------------------------------------------------------------ training

    def state_of(self, theta: Vector, alive: Mask) -> Arrays:
        """A state to train from or to keep: parameters and masks, optimizers as they begin."""
        masks = self.layout.unpack(alive.astype(np.float64))
        return state_with_masks(self.model, {**self.state, **self._weights(theta)}, masks)

    def retrain(self, theta: Vector, alive: Mask) -> Vector:
        """More epochs from θ, optimizer and schedule as at the start of a training."""
        return self._take(self._trained(self.module, self.state_of(theta, alive), self.epochs))

    def _trained(self, module: Module, state: Arrays, epochs: int, **more: Any) -> Arrays:
        config = replace(train_config(self.model), epochs=epochs, patience=None)
        config = replace(config, seed=config.seed + self._trainings)
        self._trainings += 1
        watched: Any = _Watching(module, self) if self.plan.method == "movement" else module
        with _naming_training():
            result = train(watched, state, self.parts.train, self.parts.validation, config, **more)
        return self._trained_state(result)

    def _trained_state(self, result: TrainResult) -> Arrays:
        """The best epoch's state, or the last one's where a driver went for a minimum."""
        if result.stopped == "interrupted":
            raise KeyboardInterrupt
        return result.state if self.model.spec.driver is None else result.last

    def _take(self, state: Arrays) -> Vector:
        """Go on with a trained state. Where layers have states, the objective is another now."""
        kept = (*self.model.spec.parameters, *self.model.spec.states)
        self._hold({**self.state, **{name: state[name] for name in kept}})
        return self.layout.pack(state)

    def confirm(self) -> None:
        """What layers hold belongs to a result from here on."""
        self._confirmed = self.state

    def go_back(self) -> None:
        """To what layers held when it was last confirmed: a training in between was undone."""
        self._hold(self._confirmed)

    def _hold(self, state: Arrays) -> None:
        """The state of all but parameters. Where it is another, so is the objective."""
        changed = state is not self.state
        self.state = state
        if changed and self.model.spec.states:
            self.__dict__.pop("objective", None)
            self.__dict__.pop("problem", None)

    # ------------------------------------------------------------------ movement

    def moved(self, theta: Vector, alive: Mask) -> Vector:
        """Movement scores of all training so far; before any, of a training from θ whose result
        is not used."""
        if self.movements is None:
            self.movements = np.zeros(self.layout.size)
            self._trained(self.module, self.state_of(theta, alive), self.epochs)
        return self.movements

    def note_step(self, state: Arrays, batch: Arrays) -> None:
        """Add a step of training to the movement scores: weights before it times gradients."""
        _, gradients = gradients_of(self.module, state, batch, training=True)
        assert self.movements is not None, "a training that is watched has scores"
        self.movements += movement(self.layout.pack(state), self.layout.pack(gradients))


class Ticket(Network):
    """A network that is trained again and again from the state that it began with, or had after
    ``plan.rewind`` epochs (Frankle and Carbin, 2019; Frankle et al., 2020)."""

    @cached_property
    def beginning(self) -> Arrays:
        """The state to go back to, its optimizers as they were there."""
        seed = self.model.spec.train.seed
        state = initial_state(self.module, self.parts.train, seed)
        if not self.plan.rewind:
            return state
        config, epochs = train_config(self.model), self.plan.rewind
        *_, last = replay(
            self.module, state, self.parts.train, config, epochs=epochs, every=sys.maxsize
        )
        return last

    def retrain(self, theta: Vector, alive: Mask) -> Vector:
        masks = self.layout.unpack(alive.astype(np.float64))
        state = state_with_masks(self.model, self.beginning, masks, fresh=False)
        config = replace(train_config(self.model), epochs=self.epochs)
        with _naming_training():
            result = train(
                self.module,
                state,
                self.parts.train,
                self.parts.validation,
                config,
                start_epoch=self.plan.rewind,
            )
        return self._take(self._trained_state(result))


def minimum(run: Run) -> Arrays:
    """The state of a run that is pruned: the best, or the last where a driver has converged to a
    minimum of the training part, which the best by a validation part need not be."""
    converged = run.model.spec.driver is not None and (run.summary or {}).get("converged")
    return run.last if converged else run.state


class _Watching:
    """A module whose trainer shows each step to a network before it takes it."""

    def __init__(self, module: Module, network: Network) -> None:
        self._module = module
        self._network = network

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def Trainer(self, *args: Any, **more: Any) -> Any:
        return _WatchedTrainer(self._module.Trainer(*args, **more), self._network)


class _WatchedTrainer:
    def __init__(self, trainer: Any, network: Network) -> None:
        self._trainer = trainer
        self._network = network

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trainer, name)

    def step(self, batch: Arrays) -> Any:
        self._network.note_step(self._trainer.state(), batch)
        return self._trainer.step(batch)


@contextlib.contextmanager
def _naming_training() -> Iterator[None]:
    """A training that diverges, or that fails, is one between deletions."""
    try:
        yield
    except (DivergedError, FailedError) as problem:
        raise RunError(f"retraining failed: {problem.message}", help=problem.help) from problem


def _numbers(evaluation: Any) -> dict[str, float]:
    values = {**evaluation["losses"], **evaluation["metrics"]}
    return {name: value for name, value in values.items() if isinstance(value, float)}
