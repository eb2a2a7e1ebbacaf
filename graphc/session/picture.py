"""A picture that has been drawn: as SVG, DOT, a page or an image, in a file or in a notebook."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from graphc.rendering.pictures.diagram import Diagram
from graphc.rendering.pictures.dot import to_dot
from graphc.rendering.pictures.engines import Engine, LayoutError, dot_image
from graphc.rendering.pictures.moments import Moment
from graphc.rendering.pictures.placing import Placed, place
from graphc.rendering.pictures.svg import caption_lines, paint
from graphc.runtime import RunError, write_atomic
from graphc.runtime.folder import file_stem

if TYPE_CHECKING:
    from graphc.session.model import Model

__all__ = ["FORMATS", "Picture"]

FORMATS = (".dot", ".gv", ".svg", ".html", ".png", ".pdf", ".gif")
MOST_BOXES = 400
"""Boxes of a picture that can still be read."""
SECONDS = 1.6
"""How long a frame of an animation stays, and as long again for every second line of caption."""


class Picture:
    """A diagram of ``model``. Of the view ``steps``, ``moments`` tell the story frame by frame.

    ``svg``, ``dot`` and ``html`` are texts; :meth:`save` writes any format; Jupyter shows it.
    ``engine`` is the Graphviz that lays out: the system's ``dot`` or the ``wheel``'s, None for
    what there is. A picture that has its positions already, ``placed``, needs none.
    """

    def __init__(
        self,
        model: Model,
        view: str,
        diagram: Diagram,
        moments: tuple[Moment, ...] = (),
        engine: Engine | None = None,
        placed: Placed | None = None,
    ) -> None:
        self.model = model
        self.view = view
        self.diagram = diagram
        self.moments = moments
        self.engine = engine
        self._known = placed

    def __repr__(self) -> str:
        boxes, arrows = len(self.diagram.boxes), len(self.diagram.arrows)
        return f"<graphc picture {self.diagram.title}: {boxes} boxes, {arrows} arrows>"

    def _repr_svg_(self) -> str:
        return self.svg

    @property
    def file_name(self) -> str:
        """A name for the file of a picture that nobody named."""
        ending = "html" if self.view == "steps" else "svg"
        return f"{file_stem(self.model.name)}-{self.view}.{ending}"

    @cached_property
    def placed(self) -> Placed:
        """The diagram with positions. RunError where it is too large or Graphviz fails."""
        if self._known is not None:
            return self._known
        count = len(self.diagram.boxes)
        if count > MOST_BOXES:
            raise RunError(
                f"the picture would have {count:,} boxes, more than can be read",
                help="open less (--depth 0), draw --view forward, or write DOT for other tools: "
                "-o FILE.dot",
            )
        try:
            return place(self.diagram, self.engine)
        except LayoutError as problem:
            raise RunError(problem.message, help=problem.help) from problem

    @cached_property
    def svg(self) -> str:
        """The picture as SVG; of a story its last frame."""
        return self.frames[-1] if self.moments else paint(self.placed)

    @cached_property
    def frames(self) -> list[str]:
        """A story as SVGs, one a step; of another view the picture alone."""
        if not self.moments:
            return [self.svg]
        room = caption_lines(self.moments, self.placed.width)
        return [paint(self.placed, moment, room) for moment in self.moments]

    @property
    def dot(self) -> str:
        """The whole picture as DOT, whatever its size. RunError where it shows pixels."""
        if self._has_pixels:
            raise RunError(
                "DOT knows no pixels, which matrices are drawn as",
                help="write SVG, a page or PNG: -o FILE.svg, .html or .png",
            )
        return to_dot(self.diagram)

    @property
    def html(self) -> str:
        """One page that needs no network: with the model's text, and for a story its steps."""
        from graphc.session.pages import page_of

        return page_of(self)

    # ------------------------------------------------------------------------- files

    def save(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write the picture in the format of the path's ending; the files that were written.

        A story is numbered files in ``.svg``, ``.dot`` and ``.pdf``, a page in ``.html``, an
        animation in ``.gif``, a film strip in ``.png``.
        """
        target = Path(path)
        write = self._writer(target)
        self.model.expect_other_file(target)
        if target.is_dir() or not target.parent.is_dir():
            what = "is a folder" if target.is_dir() else "lies in a folder that is not there"
            raise RunError(f"{target} {what}", help="name a file in a folder that exists")
        return write(target)

    def _writer(self, target: Path) -> Callable[[Path], list[Path]]:
        kind = target.suffix.lower()
        if kind == ".gif" and not self.moments:
            raise RunError("only steps can be animated", help="add --view steps")
        writers = {
            ".dot": self._save_dot,
            ".gv": self._save_dot,
            ".svg": self._save_svg,
            ".html": lambda path: _written({path: self.html.encode()}),
            ".png": self._save_image,
            ".pdf": self._save_image,
            ".gif": self._save_image,
        }
        if kind not in writers:
            raise RunError(
                f"{target} has no ending that says what to draw",
                help=f"end it in one of {', '.join(FORMATS)}",
            )
        return writers[kind]

    def _save_svg(self, path: Path) -> list[Path]:
        return _written({p: svg.encode() for p, svg in _numbered(path, self.frames)})

    def _save_dot(self, path: Path) -> list[Path]:
        return _written({p: dot.encode() for p, dot in _numbered(path, self._dots())})

    @property
    def _has_pixels(self) -> bool:
        return any(box.image is not None for box in self.diagram.boxes)

    def _dots(self) -> list[str]:
        if not self.moments:
            return [self.dot]
        return [to_dot(self.diagram, moment) for moment in self.moments]

    def _save_image(self, path: Path) -> list[Path]:
        kind = path.suffix.lower()
        try:
            return _written(self._images(path, kind))
        except (ImportError, LayoutError) as problem:
            svg = _free(path.with_suffix(".svg"))
            files = self._save_svg(svg)
            where = str(files[0]) if len(files) == 1 else f"{files[0]} … {files[-1]}"
            raise RunError(
                f"cannot make {kind[1:].upper()}: {_lacking(problem)}; the SVG is in {where}",
                help=_HELP[self._needed(kind)],
            ) from problem

    def _needed(self, kind: str) -> str:
        if kind == ".pdf":
            return "pdf"
        return "image" if self.moments or self._has_pixels else "either"

    def _images(self, path: Path, kind: str) -> dict[Path, bytes]:
        from graphc.rendering.pictures import raster

        if kind == ".pdf":
            pages = _numbered(path, self._dots())
            return {page: dot_image(dot, "pdf") for page, dot in pages}
        if kind == ".gif":
            stays = [SECONDS * (1 + len(m.caption) / 2) for m in self.moments]
            return {path: raster.to_gif(list(zip(self.frames, stays, strict=True)))}
        if self.moments:
            return {path: raster.film_strip(self.frames)}
        try:
            return {path: raster.png(self.svg)}
        except ImportError:
            if self._has_pixels:
                raise
            return {path: dot_image(self.dot, "png")}


_HELP = {
    "pdf": "install Graphviz, whose program dot writes PDF",
    "image": "pip install 'graphc[images]'",
    "either": "pip install 'graphc[images]', or install Graphviz",
}


def _lacking(problem: Exception) -> str:
    if isinstance(problem, ImportError):
        return f"{_PACKAGES.get(problem.name or '', problem.name)} is not installed"
    if isinstance(problem.__context__, ImportError):
        return "neither resvg-py nor Graphviz is installed"
    return str(problem)


_PACKAGES = {"PIL": "pillow", "resvg_py": "resvg-py"}
"""Packages by what they are imported as."""


def _numbered(path: Path, texts: list[str]) -> list[tuple[Path, str]]:
    """``steps.svg`` is ``steps-01.svg`` and so on where there are several."""
    if len(texts) == 1:
        return [(path, texts[0])]
    digits = max(2, len(str(len(texts))))
    return [
        (path.with_name(f"{path.stem}-{number:0{digits}}{path.suffix}"), text)
        for number, text in enumerate(texts, start=1)
    ]


def _free(path: Path) -> Path:
    """The path, or one beside it that is not taken."""
    candidate, number = path, 2
    while candidate.exists():
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return candidate


def _written(files: dict[Path, bytes]) -> list[Path]:
    for path, data in files.items():
        write_atomic(path, data)
    return list(files)
