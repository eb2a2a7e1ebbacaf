"""A training run: its folder, its best state, and what can be asked of it.

A run is compiled again from the model text in its folder, under the settings and with the columns
that its configuration records. Nothing in the folder is ever executed.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from numpy.typing import ArrayLike

from graphc.diagnostics import Source
from graphc.runtime import (
    Arrays,
    ColumnInfo,
    Evaluation,
    Module,
    Place,
    Record,
    RunError,
    RunFolder,
    Table,
    evaluate,
    load_checkpoint,
    predict_table,
    read,
    write_atomic,
)
from graphc.runtime.folder import file_stem
from graphc.session.checking import Request, check
from graphc.session.generated import Generated
from graphc.session.model import Model, Report
from graphc.session.parts import DataLike, Part, data_folder, gathered, only_column
from graphc.session.predicting import predict_arrays
from graphc.session.targets import HOST, expect_target
from graphc.session.texts import as_texts, read_model

__all__ = ["ARRAYS", "Run", "columns_as_json", "expect_same_text", "is_run", "latest_run", "load"]

FINISHED = ("finished", "early")
ARRAYS = "arrays"
"""What a configuration records as the origin of data that came from memory."""


class Run:
    """What training left behind. ``state`` is the best epoch's, ``last`` the last whole one's."""

    def __init__(
        self,
        *,
        path: Path | None,
        model: Model,
        state: Arrays,
        last: Arrays,
        history: list[dict[str, Any]],
        summary: dict[str, Any] | None,
        origin: str | None,
    ) -> None:
        self.path = path
        self.model = model
        self.state = state
        self.last = last
        self.history = history
        self.summary = summary
        self.origin = origin

    def __repr__(self) -> str:
        where = "in memory" if self.path is None else str(self.path)
        return f"<graphc run of {self.model.name}, {len(self.history)} epochs, {where}>"

    @property
    def stopped(self) -> str:
        """``finished``, ``early``, ``interrupted``, ``diverged``, ``failed``, or ``unknown``."""
        return str((self.summary or {}).get("stopped", "unknown"))

    @property
    def best_epoch(self) -> int:
        best = [record["epoch"] for record in self.history if record.get("best")]
        return int(best[-1]) if best else 0

    def evaluate(
        self, part: Part | None = None, data: DataLike | None = None, **arrays: ArrayLike
    ) -> Evaluation:
        """Objective, losses and metrics of the best state.

        ``part`` is of the run's own data: the test part unless there is none. ``data`` may be the
        folder that they lie in by now; other data are taken whole.
        """
        module, raw, name = self.examples(part, data, **arrays)
        batch = self.model.spec.train.batch
        return evaluate(module, self.state, raw, batch, part=name)

    def examples(
        self, part: Part | None = None, data: DataLike | None = None, **arrays: ArrayLike
    ) -> tuple[Module, Arrays, str]:
        """Raw columns of a part or of the data given, the module that reads them, their name."""
        if data_folder(data) is None:
            table = gathered(data, arrays)
            if table is not None:
                return self.model.reading(table), dict(table.columns), table.path
        module, parts = self.over(data, arrays).parts()
        chosen = part or parts.default()
        return module, parts.part(chosen, self.model.name), chosen

    def over(
        self, data: DataLike | None = None, arrays: Mapping[str, ArrayLike] | None = None
    ) -> Model:
        """The model over the data given, or else over those that it was trained on."""
        known = self.model.data is not None or data is not None or bool(arrays)
        if self.origin is not None and not known:
            what = "arrays in memory" if self.origin == ARRAYS else self.origin
            raise RunError(
                f"the run was trained on {what}, which cannot be read again",
                help="give the data: --data FILE, or arrays by name from Python",
            )
        return self.model.over(data, arrays or {})

    def predict(
        self, data: DataLike | None = None, *, part: Part | None = None, **arrays: ArrayLike
    ) -> Arrays:
        """Outputs by name, a row an example, in original units where the model knows them.

        Without data of another kind they are for a ``part`` of the run's own, as in
        :meth:`evaluate`.
        """
        module, raw = self._asked(data, part, arrays)
        return predict_arrays(module, self.state, raw)

    def records(
        self, data: DataLike | None = None, *, part: Part | None = None, **arrays: ArrayLike
    ) -> list[Record]:
        """Predictions as a person reads them: class names and probabilities, a dict an example."""
        module, raw = self._asked(data, part, arrays)
        return predict_table(module, self.state, raw)

    def resume(
        self,
        data: DataLike | None = None,
        *,
        epochs: int | None = None,
        set: Mapping[str, object] | None = None,
        report: Report | None = None,
        **arrays: ArrayLike,
    ) -> Run:
        """Go on where training stopped, for ``epochs`` epochs in all.

        ``data`` may be the folder that the run's data lie in by now; it is kept for the next time.
        ``set`` changes other settings from here on, as in :func:`graphc.compile`.
        """
        from graphc.session.training import resume

        sets = {**(set or {}), **({} if epochs is None else {"train.epochs": epochs})}
        return resume(self, self.over(data, arrays), sets=sets, report=report)

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the generated module at ``path`` and the best state beside it, as the npz file
        that the module loads by default. Returns the path of the weights."""
        target = Path(path)
        self.model.expect_other_file(target)
        weights = target.with_suffix(".npz")
        if weights == target:
            raise RunError(f"{target} would be overwritten by the weights", help="name it .py")
        source = self.model.generated.printed(
            weights=weights.name, steps_per_epoch=self.steps_per_epoch
        )
        # The weights take their place last: a module and weights that do not fit would be worse
        # than the ones that were there.
        with saved_weights(self.model.host.module, weights, self.state) as finished:
            write_atomic(target, source.encode())
            os.replace(finished, weights)
        return weights

    @property
    def steps_per_epoch(self) -> int | None:
        """Known once an epoch has been done."""
        if not self.history:
            return None
        last = self.history[-1]
        return int(last["step"]) // int(last["epoch"])

    def _asked(
        self, data: DataLike | None, part: Part | None, arrays: Mapping[str, ArrayLike]
    ) -> tuple[Module, Arrays]:
        """The rows to predict for, and the module that reads them."""
        if data_folder(data) is None:
            table = gathered(data, arrays, only_column(self.model.module.signature))
            if table is not None:
                return self.model.reading(table, need_targets=False), dict(table.columns)
        if not self.model.has_data and self.origin is None:
            raise RunError("there is nothing to predict for", help="give a file, or arrays by name")
        module, raw, _ = self.examples(part, data, **arrays)
        return module, raw


def load(
    path: str | os.PathLike[str],
    *,
    data: DataLike | None = None,
    at: Mapping[str, object] | None = None,
    target: str = HOST,
) -> Run:
    """The run in a folder.

    ``data`` is the folder that its data lie in by now, or a file or arrays in place of those that
    it was trained on; ``at`` overrides example values. ``target`` is what its model is compiled
    for, as in :func:`graphc.compile`: a run that one target trained goes on with any other.

    Raises RunError for a folder that is no run, or is damaged.
    """
    expect_target(target)
    folder = RunFolder.open(Path(path))
    config = folder.config()
    origin = config.get("data")
    request = _request(folder, config)
    request = replace(request, examples={**request.examples, **as_texts(at or {})})
    moved = data_folder(data)
    if moved is not None:
        request = replace(request, place=replace(request.place, folder=moved))
    given = data is not None and moved is None
    table = gathered(data, {}) if given else _recorded_table(origin, moved)
    model = Model(Generated(check(request)), table)
    last, _ = load_checkpoint(folder.last, model.module.signature)
    best = load_checkpoint(folder.best, model.module.signature)[0] if folder.best.exists() else last
    return Run(
        path=folder.path,
        model=model if target == HOST else model.with_target(target),
        state=best,
        last=last,
        history=folder.history(),
        summary=folder.summary(),
        origin=origin if isinstance(origin, str) else None,
    )


@contextlib.contextmanager
def saved_weights(module: Module, path: Path, state: Arrays) -> Iterator[Path]:
    """A state as the npz file that generated modules read, under a temporary name beside ``path``
    to be renamed. RunError when the disk does not let it be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        cast(Any, module).save(str(temporary), state)
        yield temporary
    except OSError as problem:
        raise RunError(
            f"cannot write {path}: {problem.strerror or problem}",
            help="free some disk space or check the permissions; older files stand as they were",
        ) from problem
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def expect_same_text(run: Run, path: str | os.PathLike[str]) -> None:
    """RunError unless the model file still is what the run was trained from."""
    if read_model(path).text != run.model.checked.request.source.text:
        raise RunError(
            f"{path} is not the text that {run.path} was trained from",
            help=f"leave it out to go on with the run's own, {run.path}/model.gc, "
            "or start a new run without --resume",
        )


def is_run(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a folder, and so means a run rather than a model file."""
    return os.path.isdir(path)


def latest_run(model: Model, parent: Path = Path("runs")) -> Path | None:
    """The newest finished run of a model file among the runs here."""
    file = Path(model.checked.request.source.name).resolve()
    stem = re.compile(re.escape(file_stem(model.name)) + r"-\d+")
    found: list[tuple[float, Path]] = []
    for path in sorted(parent.iterdir()) if parent.is_dir() else ():
        summary = path / "summary.json"
        if stem.fullmatch(path.name) and summary.is_file() and _is_of(path, file):
            found.append((summary.stat().st_mtime, path))
    return max(found)[1] if found else None


def columns_as_json(columns: Mapping[str, ColumnInfo] | None) -> dict[str, Any] | None:
    """What was known of the columns, for the configuration."""
    if columns is None:
        return None
    return {
        name: {
            "kind": info.kind,
            "dtype": info.dtype,
            "shape": list(info.shape),
            "classes": None if info.classes is None else list(info.classes),
        }
        for name, info in columns.items()
    }


def _is_of(path: Path, file: Path) -> bool:
    """Whether a finished run was trained from this file; a file that has moved counts by name."""
    try:
        folder = RunFolder.open(path)
        summary, recorded = folder.summary() or {}, folder.config().get("file")
    except RunError:
        return False
    if summary.get("stopped") not in FINISHED or not isinstance(recorded, str):
        return False
    return Path(recorded) == file or not Path(recorded).exists()


def _request(folder: RunFolder, config: Mapping[str, Any]) -> Request:
    try:
        texts = folder.files()
        return Request(
            Source(str(folder.model), folder.model_text()),
            Place(Path(config["base"]), _folder(config.get("folder"))),
            sets=_texts(config["set"]),
            examples=_texts(config["at"]),
            precision=_precision(config["precision"]),
            files={name: texts[stored] for name, stored in config["files"].items()},
            columns=_columns(config["columns"]),
            masked=_truth(config.get("masked", False)),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise RunError(
            f"{folder.path / 'config.json'} is damaged: {problem!r}",
            help=f"start a new run: graphc train {folder.model}",
        ) from problem


def _folder(value: object) -> Path | None:
    return None if value is None else Path(str(value))


def _precision(value: object) -> str | None:
    if value not in (None, "f32", "f64"):
        raise ValueError(f"precision is {value!r}")
    return None if value is None else str(value)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"masked is {value!r}")
    return value


def _texts(value: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(text) for name, text in value.items()}


def _columns(value: Mapping[str, Any] | None) -> dict[str, ColumnInfo] | None:
    if value is None:
        return None
    return {
        name: ColumnInfo(
            entry["kind"],
            entry["dtype"],
            tuple(entry["shape"]),
            None if entry["classes"] is None else tuple(entry["classes"]),
        )
        for name, entry in value.items()
    }


def _recorded_table(origin: object, moved: Path | None) -> Table | None:
    """The file that training was given in place of the model's own, while it is there; first
    where it has ``moved`` to."""
    if not isinstance(origin, str):
        return None
    candidates = [Path(origin)] if moved is None else [moved / Path(origin).name, Path(origin)]
    return next((read(path) for path in candidates if os.path.isfile(path)), None)
