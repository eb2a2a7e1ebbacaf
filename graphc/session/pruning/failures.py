"""What ends a pruning before its time, or makes it long, in words for people."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from graphc.numerics.hessian import LIMIT, TooLargeError
from graphc.numerics.pruning.cost import exact_cost
from graphc.numerics.pruning.definite import LostPrecisionError, NotPositiveDefinite
from graphc.numerics.pruning.engine import Outcome
from graphc.runtime import RunError, RunFolder
from graphc.runtime.wording import count, listing
from graphc.session.pruning.plan import Settled
from graphc.session.pruning.records import CURES, MEANINGS

__all__ = ["kept_so_far", "long_way", "nothing_removed", "unfit"]

_LONG = 60.0
"""Seconds from which it is told how long exact inverses take."""


@contextlib.contextmanager
def unfit(settled: Settled, fitting: Callable[[], str]) -> Iterator[None]:
    """A network that a method does not fit. ``fitting`` gives the curvature that does."""
    try:
        yield
    except NotPositiveDefinite as problem:
        raise RunError(
            "the damped Hessian is not positive definite: its smallest eigenvalue without damping "
            f"is {problem.smallest_eigenvalue:.3g}",
            help=f"train on to a minimum, or give --damping {problem.suggested_damping:.3g}, or "
            "leave damping out, and the least that is enough is taken",
        ) from problem
    except LostPrecisionError as problem:
        raise RunError(
            "deletions have used up the precision of the inverse",
            help="raise --damping, or compute it anew more often: --schedule gradual --steps N",
        ) from problem
    except TooLargeError as problem:
        raise RunError(
            f"curvature = exact is not for {problem.n:,} parameters: {_takes(settled, problem)}",
            help=f"take --curvature {fitting()}, which fits",
        ) from problem


def long_way(settled: Settled, n: int, rounds: int, fitting: Callable[[], str]) -> str | None:
    """What exact inverses of n parameters take, where that is long; the Hessian comes on top."""
    if (settled.plan.method, settled.curvature) != ("obs", "exact") or n > LIMIT:
        return None
    cost = exact_cost(n)
    if cost.seconds * rounds < _LONG:
        return None
    return (
        f"exact inverses for {n:,} parameters take {_size(cost.bytes)}, and in "
        f"{count(rounds, 'round')} about {_duration(cost.seconds * rounds)}; "
        f"--curvature {fitting()} takes less"
    )


def _takes(settled: Settled, problem: TooLargeError) -> str:
    """Optimal Brain Damage keeps a diagonal only, so it is the time that is too long."""
    each = ", before each deletion" if settled.schedule == "recompute" else ""
    if settled.plan.method == "obd":
        return f"the diagonal of the Hessian takes about {_duration(problem.seconds)}{each}"
    cost = exact_cost(problem.n)
    return (
        f"the Hessian and its inverse take {_size(cost.bytes)} and about "
        f"{_duration(problem.seconds + cost.seconds)}{each}"
    )


def _size(bytes: float) -> str:
    """Memory in the unit that a person thinks of it in."""
    return f"{bytes / 1e12:.3g} TB" if bytes >= 1e12 else f"{bytes / 1e9:.3g} GB"


def _duration(seconds: float) -> str:
    """A time in the unit that a person thinks of it in."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} seconds"


def kept_so_far(problem: RunError, folder: RunFolder) -> RunError:
    """The error, with where to find what was pruned before it."""
    if not folder.last.exists():
        return problem
    kept = f"what was pruned before is in {folder.path}"
    return RunError(problem.message, help=f"{problem.help}; {kept}" if problem.help else kept)


def nothing_removed(outcome: Outcome, settled: Settled) -> BaseException:
    """Why the first deletion was the last."""
    if outcome.stopped == "interrupted":
        return KeyboardInterrupt()
    event = outcome.events[-1] if outcome.events else None
    failed = [check for check in event.checks if not check.holds] if event else []
    if outcome.stopped == "check" and failed:
        told = listing(
            f"{MEANINGS[c.name]} is {c.value:.3g}, more than {c.limit:.3g}" for c in failed
        )
        return RunError(f"nothing was removed: {told}", help=CURES[failed[0].name])
    first = "the first round" if settled.retrain else "the first deletion"
    if outcome.stopped == "score":
        what = f"{first} makes {settled.plan.stop} worse on the training part"
    elif event is not None and outcome.stopped == "max_rise":
        what = f"{first} lets the objective rise by {event.objective - outcome.start:.3g}"
    else:
        what = "no weight can go"
    return RunError(f"nothing was removed: {what}", help="ask for less, or for smaller steps")
