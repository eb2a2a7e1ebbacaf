"""A run folder: everything about one training run, and nothing that is ever executed.

model.gc            the model's text          files/            the files it uses
config.json         the resolved settings     metrics.jsonl     one line an epoch
best.safetensors    the best epoch's state    last.safetensors  the last whole epoch's
summary.json        how it ended              pruning.jsonl     one line a deletion
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from graphc.runtime.atomic import json_ready, read_regular, write_atomic, write_json_atomic
from graphc.runtime.checkpoint import CheckpointInfo, save_checkpoint
from graphc.runtime.errors import RunError
from graphc.runtime.face import Arrays

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

__all__ = ["RunFolder", "file_stem"]


@dataclass(frozen=True)
class RunFolder:
    """The folder at ``path``; make one with ``create`` or ``open``."""

    path: Path

    @classmethod
    def create(
        cls,
        model: str,
        text: str,
        *,
        files: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        version: str,
        path: str | Path | None = None,
        parent: str | Path = "runs",
    ) -> RunFolder:
        """A new folder, ``PARENT/MODEL-N`` with the next free number unless ``path`` is given.

        ``text`` is the model file's; ``files`` maps relative names to the texts of used files;
        ``version`` is graphc's. RunError when ``path`` holds something already.
        """
        folder = cls(_next_free(Path(parent), model) if path is None else _new(Path(path)))
        try:
            write_atomic(folder.model, text.encode())
            for name, content in (files or {}).items():
                target = folder.path / "files" / _safe(name)
                _make(target.parent)
                write_atomic(target, content.encode())
            # Last, because a folder counts as a run once it has its configuration.
            write_json_atomic(folder.path / "config.json", {**(config or {}), "graphc": version})
        except BaseException:
            folder.discard()
            raise
        return folder

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run. RunError for a folder that is missing or is not a run."""
        folder = cls(Path(path))
        if not folder.path.exists():
            raise RunError(f"there is no run {path}", help="see what is in the folder runs")
        if not folder.path.is_dir():
            raise RunError(f"{path} is a file, not a run folder", help="give the folder it is in")
        missing = [n for n in ("model.gc", "config.json") if not (folder.path / n).is_file()]
        if missing:
            raise RunError(
                f"{path} is not a run of graphc: it has no {' and no '.join(missing)}",
                help="give a folder that a training run made",
            )
        return folder

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Keeps other processes from training in this folder; RunError when one already does.

        The claim ends with the process, however that ends. Where there are no locks, it does
        nothing.
        """
        if fcntl is None:
            yield
            return
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            _lock(descriptor, self.path)
            yield
        finally:
            os.close(descriptor)

    def discard(self, *, begun: bool = False) -> None:
        """Take back a folder in which nothing was saved yet; one with a checkpoint stays, unless
        training has only ``begun`` and the checkpoint is what it began with."""
        if begun and not self.best.exists() and not self.history():
            self.last.unlink(missing_ok=True)
        if self.last.exists() or self.best.exists():
            return
        shutil.rmtree(self.path / "files", ignore_errors=True)
        for name in ("config.json", "model.gc", "metrics.jsonl", "pruning.jsonl", "summary.json"):
            with contextlib.suppress(OSError):
                (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.rmdir()

    @property
    def model(self) -> Path:
        """The model file's copy."""
        return self.path / "model.gc"

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch; it may not be there yet."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """The checkpoint of the last whole epoch."""
        return self.path / "last.safetensors"

    @property
    def metrics(self) -> Path:
        """One JSON object an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def pruning(self) -> Path:
        """One JSON object a deletion or retraining; only a pruned run has it."""
        return self.path / "pruning.jsonl"

    def model_text(self) -> str:
        """The text of the model file."""
        return _text(self.model)

    def files(self) -> dict[str, str]:
        """The texts of the used files by their relative names."""
        root = self.path / "files"
        found = sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else []
        return {p.relative_to(root).as_posix(): _text(p) for p in found}

    def config(self) -> dict[str, Any]:
        """The resolved settings, with graphc's version as ``graphc``."""
        return _json_object(self.path / "config.json")

    def summary(self) -> dict[str, Any] | None:
        """How the run ended; None while it has not."""
        path = self.path / "summary.json"
        return _json_object(path) if path.exists() else None

    def history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; a last line that was cut short is left out."""
        if not self.metrics.exists():
            return []
        lines = _text(self.metrics).split("\n")
        return [self._line(number, line) for number, line in enumerate(lines[:-1], start=1)]

    def append_epoch(self, record: Mapping[str, Any]) -> None:
        """Add a line to metrics.jsonl; it is on its way to the disk when this returns."""
        self.append_line(self.metrics.name, record)

    def append_line(self, name: str, record: Mapping[str, Any]) -> None:
        """The same for another file of JSON lines in the folder."""
        line = _as_line(record)
        path = self.path / name
        try:
            with path.open("ab") as file:
                file.write(line.encode())
        except OSError as problem:
            raise RunError(
                f"cannot write {path}: {problem.strerror or problem}",
                help="free some disk space, then resume the run",
            ) from problem

    def rewind(self, epoch: int) -> None:
        """Forget the lines of epochs after ``epoch``: a resumed run writes them again."""
        if not self.metrics.exists():
            return
        kept = [record for record in self.history() if record["epoch"] <= epoch]
        self.write_lines(self.metrics.name, kept)

    def write_lines(self, name: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Replace a file of JSON lines in the folder."""
        write_atomic(self.path / name, "".join(map(_as_line, records)).encode())

    def save_best(self, state: Arrays, info: CheckpointInfo) -> None:
        """Replace best.safetensors."""
        save_checkpoint(self.best, state, info)

    def save_last(self, state: Arrays, info: CheckpointInfo) -> None:
        """Replace last.safetensors."""
        save_checkpoint(self.last, state, info)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Replace summary.json."""
        write_json_atomic(self.path / "summary.json", dict(summary))

    def _line(self, number: int, line: str) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict) or not _is_epoch(record):
            raise RunError(f"line {number} of {self.metrics} is damaged", help="delete the line")
        return record


def _as_line(record: Mapping[str, Any]) -> str:
    return json.dumps(json_ready(dict(record)), ensure_ascii=False, allow_nan=False) + "\n"


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        raise RunError(
            f"another process is training in {path}",
            help="wait until it ends, or start a run of its own",
        ) from problem
    except OSError:
        return  # a file system without locks


def _is_epoch(record: Mapping[str, Any]) -> bool:
    counts = (record.get("epoch"), record.get("step"))
    return all(isinstance(count, int) and count >= 1 for count in counts)


def file_stem(name: str) -> str:
    """A name as a file's, without characters that lead elsewhere."""
    return re.sub(r"[^\w.-]", "_", name)


def _next_free(parent: Path, model: str) -> Path:
    """A fresh folder; making it is what claims the number, so two runs never share one."""
    stem = file_stem(model)
    taken = re.compile(re.escape(stem) + r"-(\d+)")
    _make(parent)
    found = [taken.fullmatch(entry.name) for entry in parent.iterdir()]
    number = max((int(match[1]) for match in found if match), default=0) + 1
    while True:
        path = parent / f"{stem}-{number}"
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        except OSError as problem:
            raise _cannot_make(path, problem) from problem
        else:
            return path


def _new(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file", help="name a folder that is not there yet")
    if path.is_dir() and any(path.iterdir()):
        raise RunError(
            f"the folder {path} holds something already",
            help="name a new folder, or resume the run in it",
        )
    return _make(path)


def _make(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise _cannot_make(path, problem) from problem
    return path


def _cannot_make(path: Path, problem: OSError) -> RunError:
    return RunError(
        f"cannot make the folder {path}: {problem.strerror or problem}",
        help="check the path and its permissions",
    )


def _safe(name: str) -> PurePosixPath:
    """A relative path that stays inside its folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or re.search(r"[\\:\0]", name):
        raise RunError(
            f"the file name '{name}' leads out of the run folder",
            help="use files that lie beside the model or below it",
        )
    return path


def _text(path: Path) -> str:
    try:
        return read_regular(path).decode()
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise RunError(
            f"cannot read {path}: {reason}", help="the run is damaged; start a new one"
        ) from problem


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_text(path))
    except (ValueError, RecursionError) as problem:
        raise RunError(
            f"{path} is damaged: {problem}", help="start a new run from model.gc"
        ) from problem
    if not isinstance(value, dict):
        raise RunError(f"{path} is not a JSON object", help="start a new run from model.gc")
    return value
