"""SVG to PNG, and frames to an animated GIF or a film strip, with the extra ``images``.

Letters come from DejaVu Sans Mono, which Matplotlib ships, so that pictures do not depend on the
fonts of a machine.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["film_strip", "png", "to_gif"]

STRIP_WIDTH = 3
"""Frames beside each other in a film strip."""


def png(svg: str, zoom: float = 2.0) -> bytes:
    """The picture as PNG. ImportError without ``resvg-py``."""
    import resvg_py

    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg,
            zoom=zoom,
            font_files=_fonts(),
            monospace_family="DejaVu Sans Mono",
            skip_system_fonts=bool(_fonts()),
        )
    )


@cache
def _fonts() -> list[str]:
    try:
        import matplotlib
    except ImportError:
        return []  # the system's fonts have to do
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    return [str(folder / f"DejaVuSansMono{style}.ttf") for style in ("", "-Bold")]


def to_gif(frames: Sequence[tuple[str, float]]) -> bytes:
    """Frames, each with the seconds that it stays, as an animation that repeats. ImportError
    without ``pillow`` or ``resvg-py``."""
    images = [_image(svg, 1.0) for svg, _ in frames]
    output = io.BytesIO()
    first, *rest = (image.quantize(64) for image in images)
    durations = [int(seconds * 1000) for _, seconds in frames]
    first.save(output, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    return output.getvalue()


def film_strip(frames: Sequence[str]) -> bytes:
    """All frames in one PNG, row by row. ImportError without ``pillow`` or ``resvg-py``."""
    from PIL import Image

    images = [_image(svg, 1.0) for svg in frames]
    width, height = images[0].size
    across = min(STRIP_WIDTH, len(images))
    down = -(-len(images) // across)
    strip = Image.new("RGB", (width * across, height * down), "white")
    for number, image in enumerate(images):
        strip.paste(image, (number % across * width, number // across * height))
    output = io.BytesIO()
    strip.save(output, format="PNG")
    return output.getvalue()


def _image(svg: str, zoom: float) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(png(svg, zoom))).convert("RGB")
