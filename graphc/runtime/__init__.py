"""The runtime: data files, splits, the training loop, checkpoints, run folders, predictions.

It works on a generated module and on arrays, and knows nothing of how the module came to be: no
compiler room is imported here. Whatever a person can put right is raised as :class:`RunError`.

A run, from a file to its predictions::

    table = read("data/digits.npz")
    check_raw(table.columns, module)
    split = make_split("shuffled", table.length, validation=0.1, test=0.1, seed=0)
    training, held = table.take(split.train), table.take(split.validation)
    state = initial_state(module, training, seed=0)
    folder = RunFolder.create("digits", text, version=version)
    result = train(module, state, training, held, TrainConfig(epochs=30, batch=64), folder=folder)
    scores = evaluate(module, result.state, table.take(split.test), batch=64)
    records = predict_table(module, result.state, read("new.csv").columns)
"""

from __future__ import annotations

from graphc.runtime.atomic import write_atomic, write_json_atomic
from graphc.runtime.check import check_batch, check_raw, select_columns
from graphc.runtime.checkpoint import (
    CheckpointInfo,
    load_checkpoint,
    save_checkpoint,
    signature_digest,
)
from graphc.runtime.computing import computing
from graphc.runtime.data import ColumnInfo, Table, describe, read, table_from_arrays
from graphc.runtime.errors import RunError
from graphc.runtime.evaluation import evaluate
from graphc.runtime.face import Array, Arrays, Module, Raw, Signature
from graphc.runtime.failures import DivergedError, FailedError
from graphc.runtime.folder import RunFolder
from graphc.runtime.loop import train
from graphc.runtime.places import Files, Place
from graphc.runtime.predictions import Record, predict_table, write_csv, write_json
from graphc.runtime.progress import (
    CallReporter,
    LiveReporter,
    PlainReporter,
    Reporter,
    SilentReporter,
)
from graphc.runtime.records import Best, EpochRecord, Evaluation, RunStart, TrainResult
from graphc.runtime.split import Split, epoch_order, make_split, ordered, shuffled, stratified
from graphc.runtime.starting import ResumePoint, TrainConfig, initial_state, resume_point

__all__ = [
    "Array",
    "Arrays",
    "Best",
    "CallReporter",
    "CheckpointInfo",
    "ColumnInfo",
    "DivergedError",
    "EpochRecord",
    "Evaluation",
    "FailedError",
    "Files",
    "LiveReporter",
    "Module",
    "Place",
    "PlainReporter",
    "Raw",
    "Record",
    "Reporter",
    "ResumePoint",
    "RunError",
    "RunFolder",
    "RunStart",
    "Signature",
    "SilentReporter",
    "Split",
    "Table",
    "TrainConfig",
    "TrainResult",
    "check_batch",
    "check_raw",
    "computing",
    "describe",
    "epoch_order",
    "evaluate",
    "initial_state",
    "load_checkpoint",
    "make_split",
    "ordered",
    "predict_table",
    "read",
    "resume_point",
    "save_checkpoint",
    "select_columns",
    "shuffled",
    "signature_digest",
    "stratified",
    "table_from_arrays",
    "train",
    "write_atomic",
    "write_csv",
    "write_json",
    "write_json_atomic",
]
