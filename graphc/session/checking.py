"""From a request to a checked program: the text, its settings, and what is known of its data.

The data files are looked at before the text is checked, because the shapes and classes of their
columns take part in the types. A file that is not there is no error yet: a model can be checked
and compiled without its data.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from graphc.diagnostics import Diagnostics, Source
from graphc.language import parse, tree
from graphc.model import ModelSpec, Program, Settings, elaborate, named_files
from graphc.model.program import MASK
from graphc.runtime import ColumnInfo, Place, RunError
from graphc.session.targets import HOST

__all__ = ["Checked", "Request", "check", "deep_recursion"]

_RECURSION_LIMIT = 20_000


@dataclass(frozen=True)
class Request:
    """What is to be compiled.

    ``place`` is where the data lie; ``files`` are texts of used files, which are read from the
    disk where absent; ``columns`` is what is known of the data already.
    ``products`` are the functions that the module holds on request, ``cut`` the values between
    network and loss. ``fuse`` and ``reuse`` are what a module is made with: groups, and memory
    that arrays share. ``masked`` is whether it can be pruned: its optimizers then hold a mask.
    Without ``penalties`` those of the regularize section are left out everywhere. ``target`` is
    what the module is printed for.
    """

    source: Source
    place: Place
    sets: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    precision: str | None = None
    files: Mapping[str, str] | None = None
    columns: Mapping[str, ColumnInfo] | None = None
    products: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    fuse: bool = True
    reuse: bool = True
    masked: bool = False
    penalties: bool = True
    target: str = HOST


@dataclass(frozen=True, eq=False)
class Checked:
    """A program without errors.

    ``roots`` are the roles and names of its results, which outlive the program: the passes take
    that over. ``classes`` are the names of each text target's classes.
    """

    request: Request
    program: Program
    roots: tuple[tuple[str, str], ...]
    warnings: Diagnostics
    columns: Mapping[str, ColumnInfo] | None
    classes: Mapping[str, tuple[str, ...]]

    @property
    def spec(self) -> ModelSpec:
        return self.program.spec


def check(request: Request) -> Checked:
    """Check a text. CompileError with all that is wrong in it, RunError for unfit data."""
    diagnostics = Diagnostics()
    file = parse(request.source, diagnostics)
    columns = request.columns if request.columns is not None else _columns(request, file)
    settings = Settings(
        sets=dict(request.sets),
        examples=dict(request.examples),
        precision=request.precision,
        files=None if request.files is None else dict(request.files),
        columns=columns,
    )
    program = elaborate(request.source, diagnostics, settings, file)
    if request.masked:
        program.spec = _with_masks(program.spec)
    if not request.penalties:
        program.spec = replace(program.spec, penalties=())
    classes = _classes(program.spec, columns or {})
    return Checked(request, program, tuple(program.roots), diagnostics, columns, classes)


@contextlib.contextmanager
def deep_recursion(name: str) -> Iterator[None]:
    """Room for deeply nested texts; beyond it, an error that says so."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _RECURSION_LIMIT))
    try:
        yield
    except RecursionError as problem:
        raise RunError(
            f"{name} is nested too deeply to compile",
            help="give intermediate values names, or use fewer rounds of repeat",
        ) from problem
    finally:
        sys.setrecursionlimit(before)


def _with_masks(spec: ModelSpec) -> ModelSpec:
    """The same model, to be compiled with masks. RunError where an optimizer has that name."""
    for group in spec.groups:
        graph = group.body.graph
        if any(graph[id].op.label == MASK for id in group.body.operands):  # type: ignore[attr-defined]
            raise RunError(
                f"the optimizer {group.title} has a state or operand {MASK} of its own, "
                "the name of what pruning adds to it",
                help="give it another name in the model file",
            )
    return replace(spec, masked=True)


def _columns(request: Request, file: tree.File) -> Mapping[str, ColumnInfo] | None:
    """What the headers of the data files tell; None when there is no file to ask."""
    named = named_files(file, request.sets)
    for key in ("file", "train"):
        described = request.place.describe(named[key]) if key in named else None
        if described is not None:
            return described
    return None


def _classes(spec: ModelSpec, columns: Mapping[str, ColumnInfo]) -> dict[str, tuple[str, ...]]:
    """Sorted class names of the targets that read a text column."""
    classes: dict[str, tuple[str, ...]] = {}
    for column, readers in spec.data.columns.items():
        info = columns.get(column)
        if info is None or info.kind != "text":
            continue
        for name in readers:
            declared = spec.inputs[name].type.classes
            if declared is not None:
                classes[name] = _expected(name, column, info, declared)
    return classes


def _expected(name: str, column: str, info: ColumnInfo, declared: int) -> tuple[str, ...]:
    if info.classes is None:
        raise RunError(
            f"column {column} has more distinct texts than classes can have",
            help=f"{name} is label{{{declared}}}: give it a column of class names",
        )
    if len(info.classes) != declared:
        shown = ", ".join(info.classes[:8]) + (", …" if len(info.classes) > 8 else "")
        raise RunError(
            f"column {column} has {len(info.classes)} different texts ({shown}), "
            f"but {name} is label{{{declared}}}",
            help=f"declare {name} as label{{{len(info.classes)}}}, or correct the column",
        )
    return info.classes
