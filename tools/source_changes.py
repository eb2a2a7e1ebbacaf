"""Show which models' generated source the working tree alters, compared with a revision.

    python tools/source_changes.py [REV] [-m MODEL]... [--diff]

Each models/*.gc is compiled twice, by the code of REV (HEAD unless given) and by that of the
working tree with its uncommitted changes; functions on request (`--product`) and the modules for
other targets are compared too.
Both compile the same text: that of the working tree, or of REV for a model only REV has.

Exit status: 0 nothing changed, 1 something did, 2 a failure.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from module_parts import parts

ROOT = Path(__file__).resolve().parent.parent
WORKER = Path(__file__).resolve().with_name("generated_sources.py")
SAME, CHANGED, FAILED, INTERRUPTED = 0, 1, 2, 130

Texts = dict[str, Any]
"""Of one model, as generated_sources.py writes them."""


class Failure(Exception):
    """The comparison cannot be made; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """What was found out about one model: a line to print, and the status it asks for."""

    status: int
    line: str
    diff: str = ""


# ------------------------------------------------------------------- the two compilers


def unpack(root: Path, revision: str, folder: Path) -> str:
    """Write the files of a revision into a folder; the short name of its commit."""
    commit = git(root, "rev-parse", "--short", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit.returncode:
        raise Failure(f"{revision} is no revision of {root}")
    archive = folder.with_suffix(".zip")
    packed = git(root, "archive", "--format=zip", "-o", str(archive), commit.stdout.strip())
    if packed.returncode:
        raise Failure(packed.stderr.strip())
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return commit.stdout.strip()


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as problem:
        raise Failure("git is not installed") from problem


@contextmanager
def compiling(code: Path, models: Sequence[Path], work: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that compiles models by the code in a folder; none is left when this ends."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(code),
        "XDG_CACHE_HOME": str(work / "cache"),  # what one revision keeps is not for the other
    }
    command = [sys.executable, str(WORKER), str(code), str(work / "sources.json")]
    with (work / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [*command, *map(str, models)], env=environment, stdout=errors, stderr=errors
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def result(process: subprocess.Popen[bytes], work: Path, who: str) -> dict[str, Texts]:
    if process.wait():
        said = (work / "errors").read_text(encoding="utf-8", errors="replace").strip()
        raise Failure(f"the code of {who} cannot compile:\n{said}")
    found: dict[str, Texts] = json.loads((work / "sources.json").read_text(encoding="utf-8"))
    return found


def compile_both(
    old: Path, new: Path, models: Sequence[Path], who: str
) -> tuple[dict[str, Texts], dict[str, Texts]]:
    """What the code in two folders generates, side by side; working files lie beside ``old``."""
    work_before, work_after = old.with_name("before-work"), old.with_name("after-work")
    work_before.mkdir()
    work_after.mkdir()
    with (
        compiling(old, models, work_before) as before,
        compiling(new, models, work_after) as after,
    ):
        return result(before, work_before, who), result(after, work_after, "the working tree")


# ----------------------------------------------------------------------- what to compare


def chosen(old: Path, new: Path, names: Sequence[str]) -> dict[str, Path]:
    """Model files by name, those of the working tree first; all of them unless some are named."""
    files = {p.stem: p for folder in (old, new) for p in sorted(folder.glob("models/*.gc"))}
    unknown = [name for name in names if name not in files]
    if unknown:
        raise Failure(f"no model is called {', '.join(unknown)}; there are {', '.join(files)}")
    return {name: files[name] for name in sorted(files) if not names or name in names}


def compare(name: str, before: Texts, after: Texts, temporary: Path) -> Outcome:
    """Both texts of one model. One that the working tree cannot compile is a failure."""
    if "error" in after:
        return Outcome(FAILED, f"the working tree cannot compile it: {first_line(after)}")
    if "error" in before:
        return Outcome(CHANGED, f"only the working tree can compile it: {first_line(before)}")
    if before == after:
        return Outcome(SAME, "unchanged")
    for side, texts in (("before", before), ("after", after)):
        folder = temporary / side
        folder.mkdir(exist_ok=True)
        on_request = "\n\n# ---- on request\n" + "".join(texts["products"].values())
        (folder / f"{name}.py").write_text(texts["module"] + on_request, encoding="utf-8")
    added, removed, diff = difference(temporary, name)
    where = altered(parts(before["module"]), parts(after["module"]))
    where += [f"{part} (on request)" for part in altered(before["products"], after["products"])]
    said = ", ".join(where) or "order of the parts"
    return Outcome(CHANGED, f"changed (+{added} −{removed}): {said}", diff)


def first_line(texts: Texts) -> str:
    error: str = texts["error"]
    return error.splitlines()[0]


def altered(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Names of the parts that differ, in the order of the module."""
    return [name for name in {**after, **before} if before.get(name) != after.get(name)]


def difference(folder: Path, name: str) -> tuple[str, str, str]:
    """Lines added and removed, and the unified diff."""
    color = "--color=always" if sys.stdout.isatty() else "--color=never"
    command = ("diff", "--no-index", "--no-ext-diff", "--no-textconv")
    files = (f"before/{name}.py", f"after/{name}.py")
    added, removed, _ = git(folder, *command, "--numstat", *files).stdout.split("\t", 2)
    prefixes = ("--src-prefix=", "--dst-prefix=")
    return added, removed, git(folder, *command, color, *prefixes, *files).stdout


# ---------------------------------------------------------------------------- the answer


def changes(root: Path, revision: str, names: Sequence[str], show_diff: bool) -> int:
    """Print a line a model; the exit status."""
    with tempfile.TemporaryDirectory(prefix="source-changes-") as folder:
        temporary = Path(folder)
        old = temporary / "revision"
        who = f"{revision} ({unpack(root, revision, old)})"
        models = chosen(old, root, names)
        before, after = compile_both(old, root, list(models.values()), who)
        outcomes = {name: compare(name, before[name], after[name], temporary) for name in models}
        width = max(map(len, outcomes), default=0)
        for name, outcome in outcomes.items():
            places = {revision: old, "the working tree": root}
            lacking = [p for p, at in places.items() if not (at / f"models/{name}.gc").exists()]
            print(f"{name:{width}}  {outcome.line}", *(f"[not in {place}]" for place in lacking))
            if show_diff and outcome.diff:
                print(outcome.diff)
    found = [outcome.status for outcome in outcomes.values()]
    failed = f", {found.count(FAILED)} cannot be compared" if FAILED in found else ""
    summary = f"{found.count(CHANGED)} of {len(found)} models differ"
    print(f"{summary} between {who} and the working tree{failed}")
    return max(found, default=SAME)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revision", nargs="?", default="HEAD", metavar="REV")
    parser.add_argument(
        "-m", "--model", action="append", default=[], metavar="MODEL", help="only this one"
    )
    parser.add_argument("--diff", action="store_true", help="print the unified diffs")
    options = parser.parse_args()
    # An end by a signal also takes the way out through the `with` blocks.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return changes(ROOT, options.revision, options.model, options.diff)
    except Failure as problem:
        print(f"source_changes: {problem}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # a pager that was left; nothing more can be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
