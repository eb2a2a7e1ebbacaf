"""One weight of nine: networks 2-2-1 that solve XOR, and whether they still do after a deletion.

    python tools/proofs/xor.py             # half a minute
    python tools/proofs/xor.py --prune     # and each deletion by `graphc prune` too: some minutes

Networks of ``models/xor221.gc`` are trained to a minimum, seed by seed, until 100 solve XOR: all
four outputs are on the right side of 0.5. Of each, one weight is deleted without retraining. Which
one, is the choice of Optimal Brain Surgeon, of Optimal Brain Damage or of magnitude; what the other
eight do, stay or compensate as the inverse Hessian says, is asked apart from that, so that it is
seen which of the two matters. Exhaustive search tries all nine.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import graphc  # noqa: E402, what the path leads to
from graphc.numerics.hessian import dense  # noqa: E402
from graphc.numerics.pruning import saliency  # noqa: E402
from graphc.numerics.pruning.surgeon import Surgeon  # noqa: E402
from graphc.numerics.vectors import Vector  # noqa: E402
from graphc.session.problem import make_problem  # noqa: E402
from graphc.session.pruning import prune  # noqa: E402

METHODS = ("obs", "obd", "magnitude")
STAY, COMPENSATE = "stay", "compensate"
OWN = {"obs": COMPENSATE, "obd": STAY, "magnitude": STAY}
"""What the other weights do under each method as it was published."""


class Xor:
    """The model, compiled once: networks of it, and what they are after a deletion."""

    def __init__(self, decay: float = 1e-4) -> None:
        self.model = graphc.compile(ROOT / "models" / "xor221.gc", set={"decay": str(decay)})
        module, parts = self.model.parts()
        self.module, self.batch = module, module.prepare(parts.train, module.init())
        self.problem = make_problem(self.model, module.init(), parts.train)

    def trained(self, seed: int) -> Vector:
        """Parameters θ [9] after L-BFGS from a seed."""
        trainer = self.module.Trainer(self.module.init(seed), 4)
        for _ in range(self.model.spec.train.epochs):
            trainer.step(self.batch)
            if trainer.converged:
                break
        return self.problem.layout.pack(trainer.state())

    def solves(self, theta: Vector) -> bool:
        state = {**self.module.init(), **self.problem.layout.unpack(theta)}
        truth = self.module.predict(state, {"x": self.batch["x"]})["truth"]
        return bool(np.array_equal(truth > 0.5, self.batch["y"] > 0.5))

    def solved(self, count: int) -> Iterator[tuple[int, Vector]]:
        """Seeds and parameters of the first networks that solve XOR."""
        seed = 0
        while count:
            theta = self.trained(seed)
            if self.solves(theta):
                yield seed, theta
                count -= 1
            seed += 1

    def deleted(self, theta: Vector) -> Deleted:
        """All nine deletions of one weight."""
        hessian = dense(lambda rows: self.problem.hessian(theta, rows), theta.size)
        surgeon = Surgeon(hessian, "auto")
        ranks = {
            "obs": surgeon.saliencies(theta),
            "obd": saliency.obd(theta, np.diagonal(hessian)),
            "magnitude": saliency.magnitude(theta),
        }
        zeroed = [np.where(np.arange(theta.size) == q, 0.0, theta) for q in range(theta.size)]
        moved = [
            theta + Surgeon(hessian, surgeon.damping).delete(q, theta).step
            for q in range(theta.size)
        ]
        return Deleted(
            {method: int(np.argmin(rank)) for method, rank in ranks.items()},
            {STAY: zeroed, COMPENSATE: moved},
        )


@dataclass(frozen=True)
class Deleted:
    """Which weight each method chooses, and θ [9] after each deletion of one weight, by what the
    others do."""

    chosen: dict[str, int]
    after: dict[str, list[Vector]]

    def by(self, method: str) -> Vector:
        """θ after a method as it was published."""
        return self.after[OWN[method]][self.chosen[method]]


@dataclass
class Counts:
    """How many networks still solve XOR, by who chose the weight and what the others do."""

    networks: int = 0
    seeds: int = 0
    still: Counter[tuple[str, str]] = field(default_factory=Counter)
    minima: set[str] = field(default_factory=set)
    """Values of the objective: networks of another value are another minimum."""

    def add(self, xor: Xor, seed: int, theta: Vector) -> None:
        deleted = xor.deleted(theta)
        self.networks, self.seeds = self.networks + 1, seed + 1
        self.minima.add(f"{xor.problem.value(theta):.5g}")
        for others, networks in deleted.after.items():
            fit = [xor.solves(network) for network in networks]
            for method, index in deleted.chosen.items():
                self.still[method, others] += fit[index]
            self.still["any", others] += any(fit)
            self.still["each", others] += sum(fit)

    def own(self, method: str) -> int:
        """Of a method as it was published."""
        return self.still[method, OWN[method]]


def counted(xor: Xor, networks: Iterable[tuple[int, Vector]]) -> Counts:
    """Counts over seeds and parameters of networks that solve XOR."""
    counts = Counts()
    for seed, theta in networks:
        counts.add(xor, seed, theta)
    return counts


TITLES = {
    "obs": "OBS",
    "obd": "OBD",
    "magnitude": "magnitude",
    "any": "exhaustive search",
}


def table(counts: Counts) -> Iterator[str]:
    """In Markdown; what a method is as it was published stands in bold."""
    yield "| the weight is chosen by | the others stay | the others compensate |"
    yield "|---|---|---|"
    for key, title in TITLES.items():
        cells = [
            f"**{counts.still[key, others]}**"
            if OWN.get(key) == others
            else str(counts.still[key, others])
            for others in (STAY, COMPENSATE)
        ]
        yield f"| {title} | {' | '.join(cells)} |"
    mean = [f"{counts.still['each', others] / 9:.0f}" for others in (STAY, COMPENSATE)]
    yield f"| chance: the mean over all nine | {' | '.join(mean)} |"


def decays(count: int) -> Iterator[str]:
    """The same for other weight decays, and for none."""
    yield "| weight decay | seeds | minima | OBS | OBD | magnitude | exhaustive search |"
    yield "|---|---|---|---|---|---|---|"
    for decay in (1e-3, 1e-4, 1e-5, 1e-6, 0.0):
        xor = Xor(decay)
        counts = counted(xor, xor.solved(count))
        own = " | ".join(str(counts.own(method)) for method in METHODS)
        found = counts.still["any", COMPENSATE]
        yield f"| {decay:g} | {counts.seeds} | {len(counts.minima)} | {own} | {found} |"


def pruned(xor: Xor, count: int) -> Iterator[str]:
    """The methods by `graphc prune`, from the same seeds, and whether the parameters are those
    that the tables count."""
    still, same = Counter[str](), 0
    for seed, theta in xor.solved(count):
        run = xor.model.train(seed=seed, folder=False)
        deleted = xor.deleted(theta)
        for method in METHODS:
            after = xor.problem.layout.pack(prune(run, method=method, folder=False).run.state)
            still[method] += xor.solves(after)
            same += np.allclose(after, deleted.by(method), rtol=1e-9, atol=1e-12)
    counts = ", ".join(f"{TITLES[method]} {still[method]}" for method in METHODS)
    yield f"By graphc prune: {counts}; the same parameters in {same} of {3 * count}."


def main() -> None:
    parser = argparse.ArgumentParser(description="Deletions of one weight from XOR networks.")
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--prune", action="store_true", help="delete by graphc prune too")
    given = parser.parse_args()
    xor = Xor()
    counts = counted(xor, xor.solved(given.networks))
    print(
        f"{counts.networks} of {counts.seeds} networks solve XOR, at {len(counts.minima)} minima."
    )
    print("Of these still do after one weight is deleted:\n")
    print("\n".join(table(counts)), end="\n\n", flush=True)
    for line in decays(given.networks):
        print(line, flush=True)
    if given.prune:
        print("\n" + "\n".join(pruned(xor, given.networks)))


if __name__ == "__main__":
    main()
