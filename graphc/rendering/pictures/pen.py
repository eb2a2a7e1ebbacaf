"""What all painting is made of: lines of text, curves, coordinates, as SVG."""

from __future__ import annotations

from html import escape

from graphc.rendering.pictures.placing import ADVANCE, Point
from graphc.rendering.pictures.wording import columns, visible

__all__ = ["curve", "n", "written"]


def written(
    text: str, x: float, y: float, size: float, ink: str, anchor: str, attributes: str = ""
) -> str:
    """A line of text; its length is given, so that other fonts take the same room."""
    text = visible(text)
    length = columns(text) * ADVANCE * size
    fixed = f' textLength="{n(length)}" lengthAdjust="spacingAndGlyphs"' if len(text) > 1 else ""
    gap = f" {attributes}" if attributes else ""
    return (
        f'<text{gap} x="{n(x)}" y="{n(y)}" font-size="{n(size)}" fill="{ink}" '
        f'text-anchor="{anchor}"{fixed} xml:space="preserve" direction="ltr" '
        f'unicode-bidi="bidi-override">{escape(text)}</text>'
    )


def curve(points: tuple[Point, ...]) -> str:
    """The path of Bézier curves of three points each, from the first point on."""
    first, *rest = points
    curves = " ".join(f"{n(x)} {n(y)}" for x, y in rest)
    return f"M{n(first[0])} {n(first[1])}C{curves}"


def n(value: float) -> str:
    """A coordinate, two digits at most."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
