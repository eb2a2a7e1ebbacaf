"""The report of a training step as text: a line a node under its group, then totals and memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphc.schedule import CostGroup, CostReport, CostRow

__all__ = ["report_text"]

WIDTH = 100
"""Columns of a terminal that every table fits."""

_GAP = 2
_NARROW = 9
"""Columns that a shortened cell keeps."""

Cells = tuple[str, ...]


def report_text(report: CostReport) -> str:
    """Rows, totals, and peak memory where it is planned."""
    tables = [_head(report), _rows(report), _totals(report)]
    if report.peak is not None:
        tables.append(_peak(report))
    elif report.device_memory is not None:
        tables.append([f"device memory, bytes: {report.device_memory:,}"])
    return "\n\n".join("\n".join(line.rstrip() for line in table) for table in tables)


def _head(report: CostReport) -> list[str]:
    what = f"{report.model}: a training step"
    if report.step == "forward":
        what = f"{report.model} learns nothing; its losses, metrics and outputs"
    if report.driver:
        what = f"{report.model}: objective and gradients once"
    sizes = [f"{name} = {size}" for name, size in report.dims.items()]
    head = [", ".join([what, *sizes, report.precision])]
    if report.driver:
        head += [
            f"A step of {report.driver} takes them as often as its line search asks for them, and",
            "its own arithmetic beside; that is not counted, and its memory is not planned.",
        ]
    return head


def _rows(report: CostReport) -> list[str]:
    """A line a row, under headings for parts and groups."""
    head = ("#", "value", "operator", "type", "line", "flops", "bytes", "slot")
    cells = [head, *map(_cells, report.rows)]
    if report.peak is None:
        cells = [row[:-1] for row in cells]
    first, *texts = _table(cells, right={0, 5, 6}, shrink=(1, 2, 3))
    lines = [first]
    part, group = "", None
    for row, text in zip(report.rows, texts, strict=True):
        if row.part != part:
            lines.append(row.part)
        if row.group is not None and row.group != group:
            lines.append(_group_line(report.groups[row.group]))
        part, group = row.part, row.group
        lines.append(text)
    return lines


def _cells(row: CostRow) -> Cells:
    name = row.value or (f"∂{row.gradient_of}" if row.gradient_of else "")
    return (
        str(row.number),
        name,
        row.operator,
        row.type.removeprefix("real") or "scalar",
        row.line.replace(".gc:", ":"),
        f"{row.flops:,}",
        f"{row.bytes_moved:,}",
        _memory(row),
    )


def _memory(row: CostRow) -> str:
    """The slot, or what else its memory is, and whether an operand was there before."""
    where = "" if row.slot is None else str(row.slot)
    if row.target:
        where = row.target if row.part == "update" else "gradient"
    return f"{where} in place" if row.in_place else where


def _group_line(group: CostGroup) -> str:
    numbers = f" ({group.flops:,} flops, {group.bytes_moved:,} bytes as one)"
    return f"  # {_cut(f'{group.kind}: {group.title}', WIDTH - 4 - len(numbers))}{numbers}"


def _totals(report: CostReport) -> list[str]:
    parts = [(name, f"{work:,}", f"{moved:,}") for name, (work, moved) in report.parts.items()]
    rows = [("", "flops", "bytes moved"), *parts]
    rows.append(("total", f"{report.flops:,}", f"{report.bytes_moved:,}"))
    rows.append(("with each group as one", "", f"{report.bytes_with_groups:,}"))
    intensity = f"arithmetic intensity: {report.intensity:.3g} flops a byte"
    return [*_table(rows, {1, 2}), intensity]


def _peak(report: CostReport) -> list[str]:
    assert report.peak is not None
    parts = dataclasses.asdict(report.peak)
    rows = [("peak memory", "bytes")]
    rows += [(name.replace("_", " "), f"{size:,}") for name, size in parts.items() if size]
    return _table([*rows, ("total", f"{report.peak.total:,}")], {1})


def _table(rows: Sequence[Cells], right: Set[int], shrink: Sequence[int] = ()) -> list[str]:
    """Rows as aligned lines; ``right`` are columns of numbers. Where that is too wide, the columns
    ``shrink`` are shortened, each in its turn."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for column in shrink:
        over = sum(widths) + _GAP * (len(widths) - 1) - WIDTH
        widths[column] -= max(0, min(over, widths[column] - _NARROW))
    return [_line(row, widths, right) for row in rows]


def _line(row: Cells, widths: Sequence[int], right: Set[int]) -> str:
    cells = []
    for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
        text = _cut(cell, width)
        cells.append(text.rjust(width) if number in right else text.ljust(width))
    return (" " * _GAP).join(cells)


def _cut(text: str, width: int) -> str:
    """A text without its middle where it is too long: names differ at their ends."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
