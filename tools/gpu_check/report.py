"""RESULTS-gpu.md: what was measured, what failed, what was left out; without a GPU, what it would
hold and how to fill it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gpu_check.benchmarks import PEERS
from gpu_check.errors import FACTOR, RELATIVE, ROUNDINGS
from gpu_check.memory import STEPS, WATCHED
from gpu_check.parity import QUANTITIES
from gpu_check.peers import NETWORKS
from gpu_check.rows import Row

__all__ = ["COMMAND", "Report", "unmeasured"]

COMMAND = "PYTHONPATH=. python tools/gpu_check"
PREPARE = "PYTHONPATH=. python tools/gpu_check --prepare"

HEAD = f"""# Results on a GPU

Written by `{COMMAND}`, ten minutes at most."""

TOLERANCES = (
    f"f64 to {RELATIVE:.0e}, relative to the largest number of an array. f32 is compared with f64 "
    f"at the same numbers: the GPU may err {FACTOR:.0f} times as much as NumPy does in f32, and "
    f"{ROUNDINGS:.1e} more (32 roundings), for sums in another order err as much but not alike."
)

LONGEST = 400

TITLES = {
    "device": "Machine",
    "parity": "Parity with NumPy",
    "memory": "Memory and transfers of a training step, f32",
    "tests": "Tests marked gpu",
    "benchmarks": "Training step, strict f32",
}

ABOUT = {
    "device": "The GPU, its driver, and the versions of CUDA, CuPy and PyTorch.",
    "parity": "The modules for both targets on the same machine, state and batch, for every model "
    f"in `models` and one of draws: {', '.join(QUANTITIES)}, and each function on request that "
    f"the model has (Hessian-vector products, per-example gradients, …). {TOLERANCES}",
    "memory": "Bytes that CuPy's pool holds at most while a model trains beside the bytes that "
    f"were predicted, what is held more after {STEPS[1]} steps than after {STEPS[0]}, copies "
    f"between host and device in {WATCHED} steps on a batch that is on the device, and kernels a "
    "step, both by PyTorch's profiler.",
    "tests": "The tests that need a GPU, by pytest.",
    "benchmarks": "Whole training steps (cross-entropy, Adam, batch on the device, nothing read "
    f"back) of {', '.join(f'{n.name} at {n.batch}' for n in NETWORKS.values())}, beside "
    f"{'; '.join(PEERS)}; PyTorch with its fused Adam and no TF32. Microseconds a step, medians of "
    "rounds in turn with their range; ratios are PyTorch over graphc.",
}


@dataclass
class Report:
    """Grows with the rows; ``planned`` are the parts in order, with their items."""

    planned: dict[str, tuple[str, ...]]
    rows: list[Row]
    seconds: float = 0.0

    def text(self) -> str:
        sections = [HEAD + f" This run took {self.seconds:.0f} s.", self._summary()]
        for part in self.planned:
            rows = [row for row in self.rows if row.part == part]
            body = TABLES[part](rows) if rows else ["Nothing was told."]
            sections.append("\n".join([f"## {TITLES[part]}", "", ABOUT[part], "", *body]))
        sections.append("\n".join(["## Failed", "", *_listed(self._with("failed"))]))
        sections.append("\n".join(["## Left out", "", *_listed(self.left_out())]))
        return "\n\n".join(sections) + "\n"

    def left_out(self) -> list[Row]:
        """What was left out, and what was not reached."""
        seen = {(row.part, row.item) for row in self.rows}
        missing = [
            Row(part, item, "all of it", "left out", "not reached")
            for part, items in self.planned.items()
            for item in items
            if (part, item) not in seen
        ]
        return [*self._with("left out"), *missing]

    @property
    def good(self) -> bool:
        """Everything was done and nothing failed."""
        return not self._with("failed") and not self.left_out()

    def _with(self, status: str) -> list[Row]:
        return [row for row in self.rows if row.status == status]

    def _summary(self) -> str:
        passed = len(self._with("ok"))
        failed, left = len(self._with("failed")), len(self.left_out())
        return f"{passed} checks passed, {failed} failed, {left} were left out."


def unmeasured() -> str:
    """The file for a checkout whose GPU code has not run yet."""
    sections = [
        HEAD.replace("Written by", "To be written by"),
        "No GPU was at hand, so **nothing below is measured**. On a machine with an NVIDIA GPU, "
        f"CuPy and PyTorch the command above fills this file. Where lark, networkx or safetensors "
        f"lack there, run `{PREPARE}` first where they are installed and take the folder "
        "`.gpu_check` along.",
    ]
    for part, title in TITLES.items():
        alone = "told by every run" if part == "device" else f"alone by `{COMMAND} --only {part}`"
        sections.append(f"## {title}\n\nUnmeasured; {alone}. {ABOUT[part]}")
    return "\n\n".join(sections) + "\n"


def _listed(rows: Sequence[Row]) -> list[str]:
    """A line for all of an item that ended in the same way."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        grouped.setdefault((row.part, row.item, row.detail), []).append(row.what)
    lines = [
        f"- {part}, {item}, {', '.join(whats)}: {_cell(detail)}"
        for (part, item, detail), whats in grouped.items()
    ]
    return lines or ["Nothing."]


def _cell(text: str) -> str:
    """Text of an error, harmless in a table and in one line of reasonable length."""
    line = " ".join(text.replace("|", "\\|").replace("`", "'").split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


# ------------------------------------------------------------------------------- tables


def _machine(rows: Sequence[Row]) -> list[str]:
    return [f"- {row.what}: {_cell(row.detail)}" for row in rows]


def _parity(rows: Sequence[Row]) -> list[str]:
    """A table a precision: models down, quantities across, errors in the cells."""
    lines: list[str] = []
    for precision in ("f64", "f32"):
        own = [row for row in rows if row.values.get("precision") == precision]
        if own:
            lines += [f"Errors in {precision}:", "", *_errors(own), ""]
    return lines[:-1] if lines else _listed(rows)


def _errors(rows: Sequence[Row]) -> list[str]:
    asked = [row for row in rows if "quantity" in row.values]
    names = list(dict.fromkeys(row.values["quantity"] for row in asked))
    names.sort(key=lambda name: QUANTITIES.index(name) if name in QUANTITIES else len(QUANTITIES))
    cells = {(row.item, row.values["quantity"]): _error(row) for row in asked}
    table = [_line(["model", *names]), _line(["---"] * (len(names) + 1))]
    for model in dict.fromkeys(row.item for row in rows):
        table.append(_line([model, *(cells.get((model, name), "") for name in names)]))
    return table


def _error(row: Row) -> str:
    error = row.values.get("error")
    if row.status == "failed":
        return "**failed**" if error is None else f"**{error:.1e}**"
    if error is None:
        return "ok"
    return f"{error:.0e}" if error else "0"


def _memory(rows: Sequence[Row]) -> list[str]:
    heads = ["model, batch", "predicted, bytes", "held at most, bytes", "growth, bytes", "copies"]
    lines = [_line([*heads, "kernels a step"]), _line(["---"] * 6)]
    for model in dict.fromkeys(row.item for row in rows):
        found: dict[str, Any] = {}
        for row in rows:
            if row.item == model:
                found.update(row.values)
        cells = [f"{model}, {found.get('batch', '?')}"]
        for key in ("predicted", "held", "grown", "copies", "kernels"):
            cells.append(f"{found[key]:,}" if key in found else "")
        lines.append(_line(cells))
    return lines


def _tests(rows: Sequence[Row]) -> list[str]:
    counts = {status: sum(row.status == status for row in rows) for status in ("ok", "failed")}
    skipped = sum(row.status == "left out" for row in rows)
    told = [row.detail for row in rows if row.status == "told"]
    return told or [f"{counts['ok']} passed, {counts['failed']} failed, {skipped} skipped."]


def _benchmarks(rows: Sequence[Row]) -> list[str]:
    heads = ["network, batch", "graphc"]
    for peer in PEERS:
        heads += [peer, "÷ graphc"]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for network in dict.fromkeys(row.item for row in rows):
        own = {row.what: row.values for row in rows if row.item == network and row.values}
        cells = [f"{network}, {NETWORKS[network].batch}"]
        cells.append(_times(own["graphc"]["times"]) if "graphc" in own else "")
        for peer in PEERS:
            found = own.get(peer)
            cells += ["", ""] if found is None else [_times(found["times"]), _ratio(found)]
        lines.append(_line(cells))
    return [*lines, "", *_first_calls(rows)]


def _first_calls(rows: Sequence[Row]) -> list[str]:
    told = [
        f"{row.item} {row.what} {row.values['first']:.1f}" for row in rows if "first" in row.values
    ]
    return [f"Seconds until three steps were done, compiling included: {'; '.join(told)}."]


def _times(times: Sequence[float]) -> str:
    low, middle, high = min(times), statistics.median(times), max(times)
    return f"{middle * 1e6:.1f} ({low * 1e6:.1f}–{high * 1e6:.1f})"


def _ratio(found: dict[str, Any] | Any) -> str:
    ratios = found["ratios"]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


TABLES: dict[str, Callable[[Sequence[Row]], list[str]]] = {
    "device": _machine,
    "parity": _parity,
    "memory": _memory,
    "tests": _tests,
    "benchmarks": _benchmarks,
}
