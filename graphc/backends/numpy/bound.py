"""Lines that a trainer runs once: what its steps look up, under names of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphc.backends.printing.text import CLOCKS_OF_A_RUN
from graphc.backends.printing.writer import WIDTH, Writer, quoted

__all__ = ["bare", "spelled", "write_equal", "write_functions", "write_run_lengths"]


def write_equal(w: Writer, names: list[str], text: str) -> None:
    """``a = b = text``, on as many lines as that takes."""
    row: list[str] = []
    for name in names:
        if row and 4 * w.indent + len(" = ".join([*row, name, text])) > WIDTH:
            w.line(" = ".join([*row, text]))
            row, text = [], row[0]
        row.append(name)
    w.line(" = ".join([*row, text]))


def write_functions(w: Writer, functions: Mapping[str, str], singles: Mapping[str, str]) -> None:
    """Local names of NumPy's functions, as many to a line as fit; those of single numbers."""
    row: dict[str, str] = {}
    for source, name in functions.items():
        longer = {**row, source: name}
        if row and 4 * w.indent + len(_assigned(longer)) > WIDTH:
            w.line(_assigned(row))
            longer = {source: name}
        row = longer
    if row:
        w.line(_assigned(row))
    for source, name in singles.items():
        w.line(f"{name} = self._constant({quoted(name)}, lambda: _single(np.{source}))")


def _assigned(row: Mapping[str, str]) -> str:
    return f"{', '.join(row.values())} = {', '.join(f'np.{source}' for source in row)}"


def spelled(text: str) -> str:
    """A number as part of a name: ``0_5``, ``minus_1``, ``64_n``."""
    plain = bare(text).replace(" * ", "_").replace(" + ", "_plus_")
    plain = plain.replace("e-", "em").replace("e+", "e").replace("-", "minus_")
    return plain.replace(".", "_")


def bare(text: str) -> str:
    """Without brackets around all of it."""
    return text[1:-1] if text.startswith("(") else text


def write_run_lengths(w: Writer, clocks: Iterable[str], clock_of: Mapping[str, str]) -> None:
    """Lengths of the run that the clocks need, from the trainer."""
    read = {name for clock in clocks for name in CLOCKS_OF_A_RUN.get(clock, ())}
    for name in clock_of:
        if name in read:
            w.line(f"{name} = self._{name}")
