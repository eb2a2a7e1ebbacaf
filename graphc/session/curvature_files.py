"""Curvature as files: the density of eigenvalues as a picture, a matrix as arrays."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np

from graphc.runtime import RunError, write_atomic
from graphc.runtime.folder import file_stem
from graphc.runtime.wording import count
from graphc.session.curvature import Curvature
from graphc.session.matrices import Kind
from graphc.session.showing import Plot, expect_matplotlib

__all__ = ["expect_npz", "save_matrix", "show_density"]

_PLACES = 600
_TITLES = {
    "hessian": "the Hessian",
    "gauss_newton": "the Gauss-Newton matrix",
    "fisher": "the empirical Fisher matrix",
    "exact_fisher": "the exact Fisher matrix",
}


def show_density(
    found: Curvature,
    *,
    of: Kind = "hessian",
    probes: int = 10,
    steps: int = 80,
    seed: int = 0,
) -> Plot:
    """The spectral density of a matrix as a picture, with its error over probes."""
    expect_matplotlib()
    from graphc.rendering.density_plot import draw_density
    from graphc.rendering.plot_style import Heading

    known = found.density(of=of, probes=probes, steps=min(steps, found.size), seed=seed)
    places = np.linspace(*known.range, _PLACES)
    heights, errors = known.at(places)
    subject = found.subject
    name = subject.model.name if subject.path is None else str(subject.path)
    heading = Heading(
        f"{name}: eigenvalues of {_TITLES[of]}",
        f"{count(found.size, 'parameter')}, {count(found.problem.examples, 'example')}; "
        f"{probes} probes, widened by {known.width:.2g}; shaded: ± 2 standard errors",
    )
    facts = {"of": of, "probes": probes, "steps": steps, "width": known.width, "range": known.range}
    stem = file_stem(subject.model.name if subject.path is None else subject.path.name)
    figure = draw_density(places, heights, errors, heading)
    return Plot("density", f"{stem}-density", subject.run, figure, heading, facts)


def expect_npz(path: str | os.PathLike[str]) -> None:
    """RunError for a path that does not end in .npz or lies in no folder."""
    if Path(path).suffix.lower() != ".npz":
        raise RunError(f"{path} does not end in .npz", help=f"name it {Path(path).stem}.npz")
    if not Path(path).parent.is_dir():
        raise RunError(f"there is no folder {Path(path).parent}", help="make it first")


def save_matrix(
    found: Curvature, path: str | os.PathLike[str], *, of: Kind = "hessian", limit: int = 10_000
) -> Path:
    """Write parameters, gradient and a matrix, whole or not at all.

    Arrays: ``matrix [n, n]``, ``parameters [n]``, ``gradient [n]``, ``objective``; ``names`` and
    ``ends`` say which entries are whose: those of the first name come before the first end, and so
    on. RunError for a matrix beyond ``limit`` parameters.
    """
    expect_npz(path)
    matrix = found.matrix(of, limit=limit)
    stream = io.BytesIO()
    np.savez(
        stream,
        matrix=matrix,
        parameters=found.point,
        gradient=found.gradient,
        objective=np.array(found.objective),
        names=np.array(list(found.layout.shapes)),
        ends=np.array([part.stop for part in found.layout.slices.values()]),
    )
    write_atomic(Path(path), stream.getvalue())
    return Path(path)
