"""Lottery tickets in LeNet-300-100 on MNIST, as Frankle and Carbin (2019) look for them.

    python tools/proofs/lottery.py --data FOLDER --seeds 0 1 2      # a quarter of an hour a seed
    python tools/proofs/lottery.py --results FILE --seeds           # only table and figure

``FOLDER`` holds the four files of MNIST. The network is ``models/lenet300.gc`` as it stands, with
fewer epochs. Of each seed it is trained, and pruned by ``method = lottery``: in each round a fifth
of the weights that are left in each layer goes, those of least magnitude, and the others go back to
what they were before training and are trained again. At some of the rounds what is left is trained

- as a *winning ticket*: from its own initial weights. This is the pruned run over again, and the
  script stops where it is not the same network to the bit;
- *re-initialised*: the same masks, other initial weights (and another order of the examples);
- with *random masks*: as many weights in each layer, drawn anew, from the initial weights.

All train for the same number of epochs by the same schedule, and are scored on the test part at
the epoch of best validation accuracy. At 21% all are also trained for longer.
Prints tables in Markdown, writes ``docs/pictures/lottery.svg``, ends with 1 where the claim of the
paper does not hold.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import graphc  # noqa: E402, what the path leads to
from graphc.runtime import Arrays  # noqa: E402
from graphc.session.pruning import prune  # noqa: E402

KEPT = 0.8
"""Share of the weights that a round leaves (Frankle and Carbin, 2019)."""
ROUNDS = (3, 7, 11)
"""Rounds after which what is left is compared: 51%, 21%, 8.6%."""
CLAIMED = 7
"""Rounds to 21%, where the claim is made."""
OTHER = 1000
"""Added to a seed for another one."""
DENSE, TICKET, AGAIN, RANDOM = KINDS = (
    "dense", "winning ticket", "re-initialised", "random masks",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One trained network: its accuracy on the test part, and on validation epoch by epoch."""

    kind: str
    seed: int
    rounds: int
    """Of pruning before; 0 for a dense one."""
    epochs: int
    test: float
    validation: list[float]


def results_of(
    model: graphc.Model, seed: int, rounds: Sequence[int] = ROUNDS, longer: int = 0
) -> Iterator[Result]:
    """All networks of a seed, each as soon as it is trained; dense ones and those at 21% also
    trained for ``longer`` epochs."""
    model = model.with_sets({"train.seed": seed})
    run = model.train(folder=False)
    yield _result(DENSE, seed, 0, run)
    if longer:
        yield _result(DENSE, seed, 0, model.train(epochs=longer, folder=False))
    done = 0
    for number in rounds:
        pruned = prune(
            run, method="lottery", scope="layer", steps=number - done, folder=False,
            sparsity=1 - KEPT**number,
        )  # fmt: skip
        run, done = pruned.run, number
        for kind, trained in _trained(model, seed, pruned.masks):
            if kind == TICKET:
                expect_same(trained, run)
            yield _result(kind, seed, number, trained)
        if longer and number == CLAIMED:
            for kind, trained in _trained(model, seed, pruned.masks, longer):
                yield _result(kind, seed, number, trained)


def _trained(
    model: graphc.Model, seed: int, masks: Arrays, epochs: int | None = None
) -> Iterator[tuple[str, graphc.Run]]:
    """The three networks under masks: as a ticket, re-initialised, and with random masks."""
    yield TICKET, model.train(masks=masks, epochs=epochs, folder=False)
    yield AGAIN, model.train(masks=masks, seed=seed + OTHER, epochs=epochs, folder=False)
    yield RANDOM, model.train(masks=shuffled(masks, seed), epochs=epochs, folder=False)


def _result(kind: str, seed: int, rounds: int, run: graphc.Run) -> Result:
    validation = [record["validation"]["metrics"]["accuracy"] for record in run.history]
    test = run.evaluate("test")["metrics"]["accuracy"]
    return Result(kind, seed, rounds, run.model.spec.train.epochs, test, validation)


def expect_same(ticket: graphc.Run, pruned: graphc.Run) -> None:
    """A ticket trained from its masks and seed has the parameters of the pruned run, to the bit."""
    names = pruned.model.spec.parameters
    other = [name for name in names if not np.array_equal(ticket.state[name], pruned.state[name])]
    if other:
        raise SystemExit(f"the ticket is not the pruned run: {', '.join(other)} differ")


def shuffled(masks: Arrays, seed: int) -> Arrays:
    """Masks of as many ones in each parameter, at random places."""
    draw = np.random.default_rng(seed)
    return {
        name: draw.permutation(mask.ravel()).reshape(mask.shape) for name, mask in masks.items()
    }


# ------------------------------------------------------------------------------- words


@dataclass(frozen=True)
class Collection:
    """Results of all seeds."""

    results: tuple[Result, ...]

    def of(self, kind: str, rounds: int, epochs: int = 0) -> list[Result]:
        """By seed; of trainings for ``epochs``, by default of the shorter ones."""
        wanted = kind, 0 if kind == DENSE else rounds, epochs or self.epochs[0]
        found = [r for r in self.results if (r.kind, r.rounds, r.epochs) == wanted]
        return sorted(found, key=lambda result: result.seed)

    def tests(self, kind: str, rounds: int, epochs: int = 0) -> list[float]:
        """Test accuracies in percent."""
        return [100 * result.test for result in self.of(kind, rounds, epochs)]

    def firsts(self, kind: str, rounds: int, epochs: int = 0) -> list[float]:
        """Validation accuracies after the first epoch, in percent."""
        return [100 * result.validation[0] for result in self.of(kind, rounds, epochs)]

    @property
    def rounds(self) -> list[int]:
        return sorted({result.rounds for result in self.results} - {0})

    @property
    def epochs(self) -> list[int]:
        return sorted({result.epochs for result in self.results})

    def differences(self, kind: str, other: str, epochs: int = 0) -> list[float]:
        """Of test accuracies at 21%, seed by seed, in percentage points."""
        base = {result.seed: result.test for result in self.of(other, CLAIMED, epochs)}
        return [
            100 * (result.test - base[result.seed])
            for result in self.of(kind, CLAIMED, epochs)
            if result.seed in base
        ]

    def holds(self, epochs: int = 0) -> bool:
        """Whether at 21% tickets are as accurate as the dense networks, by the mean and up to the
        spread of the latter, and every re-initialised network is worse than every dense one and
        every ticket."""
        dense, ticket, again = (
            self.tests(kind, CLAIMED, epochs) for kind in (DENSE, TICKET, AGAIN)
        )
        kept = statistics.mean(ticket) >= statistics.mean(dense) - _spread(dense)
        return kept and max(again) < min(*dense, *ticket)


HEAD = f"| weights left | epochs | {' | '.join(KINDS)} | seeds |\n|---|---|---|---|---|---|---|"


def tables(found: Collection) -> Iterator[str]:
    """Test accuracy and speed, by how many weights are left."""
    few, *more = found.epochs
    lines = [(number, few) for number in found.rounds] + [(CLAIMED, many) for many in more]
    yield f"Test accuracy, %, mean ± standard deviation over seeds:\n\n{HEAD}"
    yield from (_line(found, found.tests, number, epochs) for number, epochs in lines)
    yield f"\nValidation accuracy after the first of these epochs, %:\n\n{HEAD}"
    yield from (_line(found, found.firsts, number, few) for number in found.rounds)


def _line(
    found: Collection, values: Callable[[str, int, int], list[float]], rounds: int, epochs: int
) -> str:
    cells = [_mean(values(kind, rounds, epochs)) for kind in KINDS]
    counts = sorted({len(found.of(kind, rounds, epochs)) for kind in KINDS})
    seeds = " to ".join(str(count) for count in counts)
    return f"| {KEPT**rounds:.1%} | {epochs} | {' | '.join(cells)} | {seeds} |"


def verdict(found: Collection) -> Iterator[str]:
    """What the numbers say about the claim."""
    for epochs in found.epochs:
        yield f"\nAt {KEPT**CLAIMED:.0%}, {epochs} epochs, seed by seed, in percentage points:\n"
        for kind, other in ((TICKET, DENSE), (AGAIN, DENSE), (AGAIN, TICKET)):
            gaps = found.differences(kind, other, epochs)
            told = f"{min(gaps):+.2f} to {max(gaps):+.2f}"
            yield f"- {kind} minus {other}: {statistics.mean(gaps):+.2f} ({told})"
        yield f"\nThe claim {'holds' if found.holds(epochs) else 'DOES NOT HOLD'}."


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.2f} ± {_spread(values):.2f}" if values else ""


def _spread(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


# ------------------------------------------------------------------------------- figure


def draw(found: Collection, path: Path) -> None:
    """Accuracy over the weights that are left, and over the epochs at 21%."""
    from matplotlib.ticker import MaxNLocator

    from graphc.rendering.plot_style import Heading, figure_with, settled, styled
    from graphc.rendering.plots import figure_bytes

    seeds = len(found.of(DENSE, 0))
    epochs = len(found.of(DENSE, 0)[0].validation)
    heading = Heading(
        "Lottery tickets on MNIST",
        f"{seeds} seeds, {epochs} epochs: mean, low, high",
    )

    @styled
    def figure() -> bytes:
        whole = figure_with(heading, 3.5)
        left, right = whole.subplots(1, 2)
        for ax in (left, right):
            ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        _draw_densities(left, found)
        _draw_epochs(right, found)
        return figure_bytes(settled(whole), "png" if path.suffix == ".png" else "svg", heading)

    path.write_bytes(figure())


_LOOKS: dict[str, dict[str, Any]] = {
    DENSE: {"color": "#222222", "linestyle": (0, (2, 2))},
    TICKET: {"color": "#0072b2", "marker": "o", "markersize": 5},
    AGAIN: {"color": "#d55e00", "marker": "s", "markersize": 5},
    RANDOM: {"color": "#888888", "marker": "^", "markersize": 5},
}


def _draw_densities(ax: Any, found: Collection) -> None:
    dense = found.tests(DENSE, 0)
    ax.axhspan(min(dense), max(dense), color="#222222", alpha=0.12, linewidth=0)
    ax.axhline(statistics.mean(dense), **_LOOKS[DENSE], label=DENSE)
    shares = [100 * KEPT**number for number in found.rounds]
    for kind in (TICKET, AGAIN, RANDOM):
        values = [found.tests(kind, number) for number in found.rounds]
        means = [statistics.mean(each) for each in values]
        lows, highs = [min(each) for each in values], [max(each) for each in values]
        ax.vlines(shares, lows, highs, color=_LOOKS[kind]["color"], linewidth=1.2)
        ax.plot(shares, means, **_LOOKS[kind], label=kind)
    ax.set_xscale("log")
    ax.set_xlim(max(shares) * 1.25, min(shares) / 1.25)
    ax.set_xticks(shares, [f"{share:.2g}%" for share in shares])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("weights left")
    ax.set_title("test accuracy, %")
    ax.legend(loc="lower left")


def _draw_epochs(ax: Any, found: Collection) -> None:
    for kind in KINDS:
        curves = 100 * np.array([each.validation for each in found.of(kind, CLAIMED)])
        number = np.arange(1, curves.shape[1] + 1)
        color = _LOOKS[kind]["color"]
        ax.fill_between(number, curves.min(0), curves.max(0), color=color, alpha=0.15, linewidth=0)
        ax.plot(number, curves.mean(0), **_LOOKS[kind])
    ax.set_xticks(number)
    ax.set_xlabel("epoch")
    ax.set_title(f"validation accuracy, {KEPT**CLAIMED:.0%} left, %")


# ------------------------------------------------------------------------------- command


def kept_results(path: Path | None) -> list[Result]:
    """What earlier calls wrote, a JSON object a line."""
    if path is None or not path.exists():
        return []
    return [Result(**json.loads(line)) for line in path.read_text().splitlines()]


def keep(results: Iterable[Result], path: Path | None) -> Iterator[Result]:
    for result in results:
        if path is not None:
            with path.open("a") as file:
                file.write(json.dumps(dataclasses.asdict(result)) + "\n")
        yield result


def main() -> int:
    parser = argparse.ArgumentParser(description="Lottery tickets in LeNet-300-100.")
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, nargs="+", default=list(ROUNDS))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--longer", type=int, default=12, help="epochs of the longer training")
    parser.add_argument("--results", type=Path, metavar="FILE", help="add to these, and use them")
    parser.add_argument("--figure", type=Path, default=ROOT / "docs" / "pictures" / "lottery.svg")
    given = parser.parse_args()
    if given.seeds and given.data is None:
        parser.error("--data FOLDER: where are the files of MNIST?")
    results = kept_results(given.results)
    if given.seeds:
        text = ROOT / "models" / "lenet300.gc"
        model = graphc.compile(text, data=given.data, set={"train.epochs": given.epochs})
    for seed in given.seeds:
        start = time.perf_counter()
        trained = results_of(model, seed, sorted(given.rounds), given.longer)
        for result in keep(trained, given.results):
            results.append(result)
            minutes = (time.perf_counter() - start) / 60
            told = f"{result.kind}, {result.rounds} rounds, {result.epochs} epochs"
            print(
                f"seed {seed}, {minutes:4.1f} min  {told}: {result.test:.2%}",
                file=sys.stderr,
                flush=True,
            )
    found = Collection(tuple({(r.kind, r.seed, r.rounds, r.epochs): r for r in results}.values()))
    if CLAIMED not in found.rounds:
        parser.error(f"nothing was pruned to 21%: --seeds 0 1 2, and {CLAIMED} in --rounds")
    print("\n".join([*tables(found), *verdict(found)]))
    draw(found, given.figure)
    return 0 if found.holds() else 1


if __name__ == "__main__":
    sys.exit(main())
