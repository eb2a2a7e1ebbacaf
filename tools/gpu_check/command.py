"""The command line of the check: what is asked for, in which order and time, and the answer."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gpu_check.items import run_item
from gpu_check.peers import NETWORKS
from gpu_check.prepare import SLOW, missing, prepare
from gpu_check.prepared import ROOT, Entry, StaleError, read_manifest
from gpu_check.report import PREPARE, Report, unmeasured
from gpu_check.rows import Row, writing
from gpu_check.running import Command, Part, run_part, shares

__all__ = ["main"]

GOOD, BAD, IMPOSSIBLE = 0, 1, 2

ABOUT = """\
Everything that needs a GPU, in one command of ten minutes at most.

    PYTHONPATH=. python tools/gpu_check [--only PART]... [-m MODEL]... [-o FILE]

It tells the machine, compares the modules for CuPy with those for NumPy over all models, checks
memory and transfers of a training step, runs the tests marked gpu, and measures training steps
beside PyTorch. Each model and network has a process of its own; each part has its share of the
time, and a part that fails or runs out of it is told as such while the others go on. The report is
rewritten as results come in.

The machine needs an NVIDIA GPU, CuPy and NumPy; PyTorch for the peers and for counting transfers;
pytest for the tests. Models are compiled there if lark, networkx and safetensors are installed.
Where they are not, compile them where they are, and take the folder along:

    PYTHONPATH=. python tools/gpu_check --prepare             writes .gpu_check (ignored by git)
    PYTHONPATH=. python tools/gpu_check                       there: finds .gpu_check and uses it

The folder is of one state of the checkout: of another it is compiled anew, or refused where that
cannot be done.

Exit status: 0 all was done and is right, 1 something failed or was left out, 2 nothing can be
checked here.
"""

FOLDER = ROOT / ".gpu_check"
RESULTS = ROOT / "tools" / "bench" / "RESULTS-gpu.md"
MINUTES = 9.5
MACHINE = Part("device", ("machine",), 1, limit=60)

MEMORY = ("digits", "lenet300", "lenet5", "transformer", "lstm", "784-4096-4096-10")
"""Models whose memory is looked at: from small to large, one with maps, one with many steps."""

STRICT = {"NVIDIA_TF32_OVERRIDE": "0", "CUPY_TF32": "0"}
"""What f32 means to the libraries that are called."""


def main() -> int:
    options = _options()
    if options.item is not None:
        part, item = options.item
        emit = writing(options.rows, part, item)
        run_item(part, item, options.prepared, emit, options.seconds)
        return GOOD
    if options.unmeasured:
        (options.output or RESULTS).write_text(unmeasured(), encoding="utf-8")
        return GOOD
    if options.prepare is not None:
        return _prepare(options.prepare)
    return _check(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="gpu_check",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = ("parity", "memory", "tests", "benchmarks")
    parser.add_argument(
        "--prepare", nargs="?", const=FOLDER, type=Path, metavar="FOLDER",
        help="compile all models for both targets, and do nothing else",
    )  # fmt: skip
    parser.add_argument("--prepared", type=Path, default=FOLDER, metavar="FOLDER",
                        help="where compiled modules lie (.gpu_check)")  # fmt: skip
    parser.add_argument("--only", action="append", choices=parts, metavar="PART",
                        help=f"a part alone: {', '.join(parts)}")  # fmt: skip
    parser.add_argument("-m", "--model", action="append", metavar="NAME",
                        help="a model or network alone")  # fmt: skip
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"all in all ({MINUTES})")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE",
                        help="the report (of a whole check bench/RESULTS-gpu.md)")  # fmt: skip
    parser.add_argument("--records", type=Path, metavar="FILE", help="all rows as JSON")
    parser.add_argument("--unmeasured", action="store_true",
                        help="write the report of a checkout that no GPU has run")  # fmt: skip
    parser.add_argument("--item", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=600.0, help=argparse.SUPPRESS)
    return parser.parse_args()


def _prepare(folder: Path) -> int:
    lacking = missing()
    if lacking:
        return _refuse(f"compiling needs {', '.join(lacking)}, not installed here")
    start = time.monotonic()
    entries = prepare(folder)
    for entry in entries:
        if entry.problem:
            print(f"{entry.name}, {entry.precision}: {entry.problem}")
    bad = sum(bool(entry.problem) for entry in entries)
    seconds = time.monotonic() - start
    print(f"{len(entries) - bad} of {len(entries)} compiled into {folder} in {seconds:.0f} s")
    return BAD if bad else GOOD


def _check(options: argparse.Namespace) -> int:
    start = time.monotonic()
    ends = start + 60 * options.minutes
    report = Report({MACHINE.name: MACHINE.items}, [])

    def told(rows: Sequence[Row]) -> None:
        report.rows += rows
        report.seconds = time.monotonic() - start
        for row in rows:
            if row.bad:
                print(f"{row.part}, {row.item}, {row.what}: {row.status}: {row.detail}", flush=True)

    def kept(rows: Sequence[Row]) -> None:
        told(rows)
        _keep(options, report)

    command = _command(options.prepared)
    os.environ.update(STRICT)
    run_part(MACHINE, ends - time.monotonic(), command, report.rows.extend)
    if any(row.bad for row in report.rows):
        return _refuse(report.rows[-1].detail)
    try:
        parts = _parts(_entries(options.prepared), options)
    except StaleError as problem:
        return _refuse(
            f"{problem}, and compiling needs {', '.join(missing())}, not installed here",
            f"compile them where they are installed: {PREPARE}",
        )
    if not parts:
        return _refuse("no part has a model of that name")
    report.planned |= {part.name: part.items for part in parts}
    for number, part in enumerate(parts):
        seconds = shares(parts[number:], ends - time.monotonic())
        print(f"{part.name}: {len(part.items)} items, {seconds:.0f} s at most", flush=True)
        run_part(part, seconds, command, kept)
    print(report.text())
    return GOOD if report.good else BAD


def _command(prepared: Path) -> Command:
    """This tool again, for one item."""

    def command(part: str, item: str, rows: Path, seconds: float) -> list[str]:
        start = [sys.executable, str(Path(__file__).resolve().parent), "--item", part, item]
        files = ["--prepared", str(prepared), "--rows", str(rows)]
        return [*start, *files, "--seconds", f"{seconds:.1f}"]

    return command


def _entries(folder: Path) -> list[Entry]:
    """The modules of this checkout, compiled now where they are not there."""
    try:
        return read_manifest(folder)
    except StaleError:
        if missing():
            raise
    return prepare(folder)


def _parts(entries: Sequence[Entry], options: argparse.Namespace) -> list[Part]:
    names = dict.fromkeys(e.name for e in entries if e.kind == "model")
    models = sorted(names, key=lambda name: name not in SLOW)
    chosen = options.model

    def some(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in names if not chosen or name in chosen)

    beside = max(1, min(8, (os.cpu_count() or 1) // 2))
    parts = [
        Part("parity", some(models), 40, beside, limit=150),
        Part("memory", some(MEMORY), 15, 3 if beside > 3 else 1),
        Part("tests", () if chosen else ("pytest",), 10),
        Part("benchmarks", some(tuple(NETWORKS)), 45),
    ]
    return [part for part in parts if part.items and part.name in (options.only or part.name)]


def _keep(options: argparse.Namespace, report: Report) -> None:
    """The report of a whole check goes into the results; that of a partial one where it is told."""
    whole = not (options.only or options.model)
    output = options.output or (RESULTS if whole else None)
    if output is not None:
        output.write_text(report.text(), encoding="utf-8")
    if options.records is not None:
        rows = [asdict(row) for row in report.rows]
        options.records.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _refuse(message: str, help: str = "") -> int:
    print(f"gpu_check: {message}", file=sys.stderr)
    if help:
        print(f"  help: {help}", file=sys.stderr)
    return IMPOSSIBLE
