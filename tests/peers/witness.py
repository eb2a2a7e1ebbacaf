"""A peer library as a witness of what a compiled model computes.

``peer`` is a module with a table of operators and the few functions of calculus that a library
offers (``torch_graph``, ``jax_graph``). The model's side is its generated module, after every pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from forward_graph import Forward, forward, sizes

import graphc

Arrays = dict[str, np.ndarray]


@dataclass
class Witness:
    """A model at a state and a batch, seen by a peer library."""

    peer: ModuleType
    model: graphc.Model
    state: Mapping[str, Any]
    batch: Mapping[str, np.ndarray]
    training: bool = False
    graph: Forward = field(init=False)
    real: Any = field(init=False)
    dims: dict[str, int] = field(init=False)
    leaves: dict[str, Any] = field(init=False)
    """States and clocks."""
    draws: dict[int, Any] = field(init=False)
    parameters: dict[str, Any] = field(init=False)
    """What is trained, as the library's tensors."""

    def __post_init__(self) -> None:
        self.graph = forward(self.model, training=self.training)
        self.real = self.peer.REAL["f64"]
        self.dims = sizes(self.model, self.batch)
        given = {**self.state, **self.batch, **_clocks(self.state)}
        seed, step = int(self.state["seed"]), int(self.state["step"])
        real = self.state_type
        draws = self.graph.draws(given, dims=self.dims, real=real, seed=seed, step=step)
        self.draws = {id: self._tensor(value) for id, value in draws.items()}
        learned = self.model.spec.learned
        self.parameters = {name: self._tensor(self.state[name]) for name in learned}
        others = {name: v for name, v in given.items() if name not in learned}
        self.leaves = {name: self._tensor(np.asarray(v)) for name, v in others.items()}

    @property
    def state_type(self) -> Any:
        """The model's type of real numbers; the peer always computes in f64."""
        return {"f32": np.float32, "f64": np.float64}[self.model.spec.train.precision]

    def _tensor(self, array: Any) -> Any:
        return self.peer.tensor(array, self.real)

    # -- functions of the parameters

    def value(self, role: str = "objective", name: str = "") -> Any:
        """A result of any role, as an array."""
        (value,) = self._values(self.parameters, [self.graph.roots[role, name]])
        return self.peer.array(value)

    def objective(self, parameters: Any, inputs: Any = None) -> Any:
        """The scalar that is minimised, of the whole batch or of ``inputs`` in its place."""
        return self._values(parameters, [self.graph.roots["objective", ""]], inputs)[0]

    def _values(
        self, parameters: Any, wanted: list[int], inputs: Any = None, known: Any = None
    ) -> list[Any]:
        leaves = {**self.leaves, **parameters, **(inputs or {})}
        dims = self.dims if inputs is None else {**self.dims, str(self.model.spec.batch): 1}
        own = {id: inputs[key] for id in self.draws if (key := _of_draw(id)) in (inputs or {})}
        return self.graph.evaluate(
            self.peer.TABLE,
            leaves,
            real=self.real,
            dims=dims,
            wanted=wanted,
            known={**self.draws, **own, **(known or {})},
        )

    # -- what the library finds

    def value_and_gradients(self) -> tuple[float, Arrays]:
        value, gradients = self.peer.value_and_gradients(self.objective, self.parameters)
        return float(value), self._arrays(gradients)

    def hessian_products(self, tangents: Mapping[str, np.ndarray]) -> Arrays:
        given = {name: self._tensor(v) for name, v in tangents.items()}
        return self._arrays(self.peer.hessian_products(self.objective, self.parameters, given))

    def per_example_gradients(self) -> Arrays:
        """Each example alone, as a batch of one, with its part of the draws."""
        infos = self.model.spec.inputs
        whole = {name: (infos[name].type, self.leaves[name]) for name in self.batch}
        nodes = {id: self.graph.graph[id].tensor for id in self.draws}
        whole |= {_of_draw(id): (type, self.draws[id]) for id, type in nodes.items()}
        examples = {
            name: value[:, None]
            for name, (type, value) in whole.items()
            if type.shape and str(type.shape[0]) == self.model.spec.batch
        }
        found = self.peer.per_example_gradients(self.objective, self.parameters, examples)
        return self._arrays(found)

    def gauss_newton_products(self, tangents: Mapping[str, np.ndarray]) -> Arrays:
        """(I Jᵀ) ∇²E (I; J) v, E the objective as a function of parameters and cut values."""
        count = len(next(iter(tangents.values())))
        rows = [
            self._arrays(self._gauss_newton({n: self._tensor(v[k]) for n, v in tangents.items()}))
            for k in range(count)
        ]
        return {name: np.stack([row[name] for row in rows]) for name in self.parameters}

    def _gauss_newton(self, tangent: dict[str, Any]) -> dict[str, Any]:
        cuts = list(self.graph.cuts)
        names = [f"cut {id}" for id in cuts]

        def network(parameters: Any) -> list[Any]:
            return self._values(parameters, cuts)

        def loss(at: Any) -> Any:
            known = {id: at[name] for id, name in zip(cuts, names, strict=True)}
            root = self.graph.roots["objective", ""]
            return self._values({n: at[n] for n in self.parameters}, [root], None, known)[0]

        pushed = self.peer.jacobian_product(network, self.parameters, tangent)
        at = {**self.parameters, **dict(zip(names, network(self.parameters), strict=True))}
        along = {**tangent, **dict(zip(names, pushed, strict=True))}
        raised = {name: value[None] for name, value in along.items()}
        product = self.peer.hessian_products(loss, at, raised)
        seeds = [product[name][0] for name in names]
        pulled = self.peer.transposed_product(network, self.parameters, seeds)
        return {name: product[name][0] + pulled[name] for name in self.parameters}

    def _arrays(self, values: Mapping[str, Any]) -> Arrays:
        return {name: np.asarray(self.peer.array(value)) for name, value in values.items()}


def _of_draw(id: int) -> str:
    """The name under which one example's part of a draw is handed on."""
    return f"draw {id}"


def _clocks(state: Mapping[str, Any]) -> dict[str, Any]:
    """The run's clocks, as far as the state knows them."""
    step, epochs, each = (int(state.get(name, 0)) for name in COUNTERS)
    found: dict[str, Any] = {"step": float(step), "t": float(step + 1), "epochs": float(epochs)}
    if each:
        found |= {"epoch": step / each, "steps": float(epochs * each)}
    return found


COUNTERS = ("step", "epochs", "steps_per_epoch")
