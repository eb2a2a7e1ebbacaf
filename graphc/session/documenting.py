"""What `doc` shows: definitions of the prelude and of a model file, drivers, and primitives."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from graphc.diagnostics import Diagnostics
from graphc.ir import OPERATORS, Builder, Graph
from graphc.language import parse, tree
from graphc.model import values
from graphc.model.builtins import BUILTINS, PAIRWISE
from graphc.model.drivers import DRIVERS
from graphc.model.frame import Context, Frame, Home
from graphc.model.meanings import Const, Definition, Poison
from graphc.model.prelude import load_prelude
from graphc.rendering.reference import Page, definition_page, primitive_page, signature
from graphc.runtime import RunError
from graphc.runtime.wording import did_you_mean
from graphc.session.checking import deep_recursion
from graphc.session.texts import read_model

__all__ = ["Entry", "contents", "page"]


@dataclass(frozen=True)
class Entry:
    """A line of the list: where it stands, how it is called, what it is in a sentence."""

    place: str
    signature: str
    summary: str


def contents(model: str | os.PathLike[str] | None = None) -> list[Entry]:
    """All definitions by file, those of a model file first, then drivers and primitives."""
    homes = [load_prelude()] if model is None else [_own(model), load_prelude()]
    entries = [
        Entry(
            definition.source.name,
            signature(definition.tree),
            _first_sentence(definition.tree.doc),
        )
        for home in homes
        for definition in home.definitions.values()
    ]
    entries += [
        Entry("drivers", _driver_signature(name), _first_sentence(info.doc))
        for name, info in DRIVERS.items()
    ]
    rows = {name: row.doc for name, row in BUILTINS.items()}
    rows |= {name: f"{rows[name]}; {row.doc}" for name, row in PAIRWISE.items() if name in rows}
    return [*entries, *(Entry("primitives", name, doc) for name, doc in rows.items())]


def page(name: str, model: str | os.PathLike[str] | None = None) -> Page:
    """The page of a definition, driver or primitive. RunError for a name that is none."""
    homes = [load_prelude()] if model is None else [_own(model), load_prelude()]
    with deep_recursion(name):
        for home in homes:
            if name in home.definitions:
                return definition_page(home.definitions[name])
        found = _driver_page(name) if name in DRIVERS else primitive_page(name)
    if found is not None:
        return found
    known = [
        *BUILTINS,
        *OPERATORS,
        *DRIVERS,
        *(each for home in homes for each in home.definitions),
    ]
    raise RunError(
        f"there is no definition or primitive {name}",
        help=f"{did_you_mean(name, known)}`graphc doc` lists them all",
    )


def _driver_page(name: str) -> Page:
    return Page(name, "driver", _driver_signature(name), DRIVERS[name].doc, "", (), "")


def _driver_signature(name: str) -> str:
    options = (f"{key} = {value:g}" for key, value in DRIVERS[name].options.items())
    return f"{name}{{{', '.join(options)}}}".replace("e-0", "e-")


def _first_sentence(doc: str) -> str:
    """The first sentence of a comment, without its source."""
    text = _SOURCE.sub("", " ".join(doc.split()))
    return text.split(". ")[0].rstrip(".")


_SOURCE = re.compile(r" \([^()]*\b(?:1[89]|20)\d\d[^()]*\)")


def _own(model: str | os.PathLike[str]) -> Home:
    """The definitions of a model file, with its hypers. CompileError where it does not parse."""
    diagnostics = Diagnostics()
    file = parse(read_model(model), diagnostics)
    diagnostics.raise_errors()
    home = Home(outer=load_prelude())
    frame = Frame(Context(diagnostics), home, Builder(Graph()), "model")
    for statement in file.statements:
        if isinstance(statement, tree.Definition):
            home.definitions[statement.name.name] = Definition.of(statement, home)
        elif isinstance(statement, tree.Hyper):
            value = values.constant(frame, home.scope, statement.value, "a hyper")
            if not isinstance(value, Poison):
                home.scope.bind(statement.name.name, Const(value), None, "hyper")
    return home
