"""`graphc curvature`: conditioning, negative curvature and sharpness of a trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from graphc.cli.options import data_option, json_option, output_options
from graphc.cli.terminal import Terminal

if TYPE_CHECKING:
    from graphc.numerics.stochastic import Estimate
    from graphc.session.curvature_report import CurvatureReport

__all__ = ["command"]

_TITLES = {
    "hessian": "Hessian",
    "gauss_newton": "generalised Gauss-Newton matrix",
    "fisher": "empirical Fisher matrix",
    "exact_fisher": "exact Fisher matrix",
}


@click.command("curvature")
@click.argument("run", metavar="RUN|MODEL")
@click.option(
    "--part",
    type=click.Choice(["train", "validation", "test", "all"]),
    help="Part of the data; the training part by default.",
)
@click.option("--rows", type=click.IntRange(min=1), help="As many rows of it, evenly spaced.")
@click.option(
    "--at",
    type=click.Choice(["best", "last", "init"]),
    default="best",
    show_default=True,
    help="Best epoch, last epoch, or initial parameters.",
)
@click.option(
    "--of",
    type=click.Choice(list(_TITLES)),
    default="hessian",
    show_default=True,
    help="The matrix.",
)
@click.option(
    "--top", type=click.IntRange(min=1), default=10, show_default=True, help="Eigenvalues shown."
)
@click.option(
    "--exact",
    type=click.IntRange(min=0),
    metavar="N",
    default=2000,
    show_default=True,
    help="Parameters up to which all eigenvalues are computed; more are sampled by Lanczos.",
)
@click.option(
    "--density", metavar="FILE", help="Draw the density of eigenvalues: FILE.svg, .png or .pdf."
)
@click.option(
    "--save",
    metavar="FILE.npz",
    help="Write parameters, gradient and the whole matrix, up to 10,000 parameters or --exact.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@data_option
@json_option
@output_options
@click.pass_obj
def command(
    terminal: Terminal,
    run: str,
    part: Any,
    rows: int | None,
    at: Any,
    of: Any,
    top: int,
    exact: int,
    density: str | None,
    save: str | None,
    seed: int,
    data: str | None,
) -> None:
    """Report the curvature of a run's objective: conditioning, negative curvature, sharpness.

    A model file means its latest finished run here. Everything is computed in f64, with penalties
    and without draws, over a part of the data. Each number comes with how it was found, and with
    its error where it is not exact. Drawing needs matplotlib: pip install 'graphc[images]'.
    """
    from graphc.session import showing
    from graphc.session.curvature import curvature
    from graphc.session.curvature_files import expect_npz, save_matrix, show_density

    if density is not None:
        showing.expect_target(density)
    if save is not None:
        expect_npz(save)
    found = curvature(run, part=part, rows=rows, at=at, data=data)
    report = found.report(of=of, top=top, limit=exact, seed=seed)
    written = {}
    if density is not None:
        written["density"] = str(show_density(found, of=of, seed=seed).save(density))
    if save is not None:
        written["matrix"] = str(save_matrix(found, save, of=of, limit=max(exact, 10_000)))
    if terminal.json:
        terminal.say_json({**report.as_json(), "written": written})
        return
    _show(report, terminal)
    for what, file in written.items():
        if not terminal.quiet:
            terminal.say_error(f"wrote the {what} in {file}")


def _show(report: CurvatureReport, terminal: Terminal) -> None:
    if not terminal.quiet:
        also = "" if report.precision == "f64" else f"; the model trains in {report.precision}"
        terminal.say(f"{report.model}: {_TITLES[report.matrix]}, {report.origin}")
        examples = "1 example" if report.examples == 1 else f"{report.examples:,} examples"
        terminal.say(f"{examples}, {report.place}, in f64{also}\n")
    lines = _lines(report)
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        terminal.say(f"{name.ljust(width)}  {text}")
    terminal.say(f"\neigenvalues of largest magnitude, {len(report.values)} of {report.n:,}")
    for value, residual in zip(report.values, report.residuals, strict=True):
        terminal.say(f"  {value:14.6g}   residual {residual:.1e}")
    if not terminal.quiet:
        terminal.say("")
        for what, how in report.how.items():
            terminal.say(f"{what}: {how}")


def _lines(report: CurvatureReport) -> list[tuple[str, str]]:
    reached = "converged" if report.converged else "NOT converged: a minimum would have"
    below = f"{'below' if report.converged else 'less than'} {report.gradient_below:g}"
    if report.condition is None:
        condition = f"not known beyond --exact: {report.n:,} parameters"
    elif report.condition == float("inf"):
        condition = "infinite: singular to rounding"
    else:
        condition = f"{report.condition:.4g}"
    return [
        ("parameters", f"{report.n:,}"),
        ("objective", f"{report.objective:.6g}"),
        ("gradient norm", f"{report.gradient_norm:.4g}, {reached} {below}"),
        ("largest eigenvalue", f"{_estimate(report.largest)} (sharpness)"),
        ("smallest eigenvalue", _estimate(report.smallest)),
        ("condition number", condition),
        ("negative", _share(report.negative, report.n)),
        ("near zero", f"{_share(report.near_zero, report.n)}, within {report.zero_below:.2g}"),
        ("trace", _estimate(report.trace)),
        (
            "sharpness in a box",
            f"{report.box.percent:.4g}% or more, epsilon = {report.box.epsilon:g}",
        ),
    ]


def _estimate(estimate: Estimate) -> str:
    return str(estimate) if estimate.error else f"{estimate.value:.6g}"


def _share(share: Estimate, n: int) -> str:
    """Of all eigenvalues: a number where it is exact, else a percentage with its error."""
    if share.error:
        return f"{share.value:.2%} ± {share.error:.2%} of {n:,}"
    return f"{round(share.value * n):,} of {n:,} ({share.value:.1%})"
