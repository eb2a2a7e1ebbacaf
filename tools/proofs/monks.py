"""Optimal Brain Surgeon on MONK's problems, as Hassibi and Stork (1993) report it.

    python tools/proofs/monks.py --data FOLDER                    # about a minute
    python tools/proofs/monks.py --data FOLDER --methods obs obd magnitude

``FOLDER`` holds monks-1.train.csv, monks-1.test.csv and so on: a header
``class,a1,a2,a3,a4,a5,a6``, then one example a line, attributes counted from 1. For each problem
and seed the network of ``models/monks*.gc`` is trained to a minimum and pruned as its prune section
says: weight by weight, the exact Hessian computed anew before each deletion, no retraining, until
the next one would make the training accuracy drop. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import graphc  # noqa: E402, what the path leads to
from graphc.session.pruning import prune  # noqa: E402


@dataclass(frozen=True)
class Report:
    """What Hassibi and Stork (1993) report: weights before and after, accuracies in percent."""

    weights: int
    left: int
    train: float
    test: float


REPORTED = {
    1: Report(58, 14, 100, 100),
    2: Report(39, 15, 100, 100),
    3: Report(39, 4, 93.4, 97.2),
}


@dataclass(frozen=True)
class Result:
    """One network: weights left, accuracies in percent, and the norm of the gradient before."""

    seed: int
    left: int
    train: float
    test: float
    gradient: float

    def keeps(self, report: Report) -> bool:
        """Whether neither accuracy, rounded as in print, is below the reported one."""
        return self.train >= report.train and self.test >= report.test


def pruned(model: graphc.Model, seed: int, method: str) -> Result:
    """Train a network from a seed and prune it."""
    run = model.train(seed=seed, folder=False)
    norm = run.summary["gradient_norm"]
    done = prune(run, method=method, folder=False)
    accuracies = {
        part: round(100 * done.run.evaluate(part)["metrics"]["accuracy"], 1)
        for part in ("train", "test")
    }
    left = int(sum(mask.sum() for mask in done.masks.values()))
    return Result(seed, left, **accuracies, gradient=norm)


def row(problem: int, method: str, results: Sequence[Result], seconds: float) -> str:
    """A line of the table. Only networks that are as good as the reported one count."""
    report = REPORTED[problem]
    good = sorted(result.left for result in results if result.keeps(report))
    best = min((r for r in results if r.keeps(report)), key=lambda r: r.left, default=None)
    figures = (
        ("none", "", "", "")
        if best is None
        else (best.left, f"{best.train:g} / {best.test:g}", statistics.median_low(good), best.seed)
    )
    spread = ", ".join(f"{left}: {count}" for left, count in sorted(Counter(good).items()))
    reported = f"{report.left} ({report.train:g} / {report.test:g})"
    gradient = max(result.gradient for result in results)
    cells = (
        f"{problem}, {method}", report.weights, reported, *figures,
        f"{len(good)} of {len(results)}", spread, f"{gradient:.0e}", f"{seconds:.0f}",
    )  # fmt: skip
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


HEAD = (
    "problem, method", "weights", "left in 1993 (train / test, %)", "best here",
    "train / test, %", "median", "best seed", "as good as 1993", "left: networks",
    "gradient at most", "s",
)  # fmt: skip


def table(
    problems: Iterable[int], methods: Sequence[str], seeds: int, folder: Path
) -> Iterator[str]:
    """The lines, each as soon as it is known."""
    yield "| " + " | ".join(HEAD) + " |"
    yield "|" + "---|" * len(HEAD)
    for problem in problems:
        model = graphc.compile(ROOT / "models" / f"monks{problem}.gc", data=folder)
        for method in methods:
            start = time.perf_counter()
            results = [pruned(model, seed, method) for seed in range(seeds)]
            yield row(problem, method, results, time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description="OBS on MONK's problems.")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--problems", type=int, nargs="+", default=[1, 2, 3], choices=REPORTED)
    parser.add_argument("--methods", nargs="+", default=["obs"])
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    for line in table(given.problems, given.methods, given.seeds, given.data):
        print(line, flush=True)


if __name__ == "__main__":
    main()
