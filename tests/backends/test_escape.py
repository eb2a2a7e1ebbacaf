"""User text never becomes source."""

from __future__ import annotations

import ast
import keyword
from pathlib import Path

import handmade
import numpy as np
import pytest
from handmade import data, n, parameter, spec
from poisoned import BAD, POISON, poisoned

from graphc.backends.numpy import print_module
from graphc.backends.printing.names import NameAllocator, identifier
from graphc.backends.printing.writer import harmless, quoted
from graphc.ir import Type
from graphc.model.program import COUNTERS


def test_nothing_escapes(tmp_path: Path) -> None:
    programs = poisoned(BAD)
    source = print_module(
        programs, classes={POISON: [POISON, "'", '"']}, version=POISON, weights=POISON
    )
    tree = ast.parse(source)
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.Name) and node.id == "SystemExit")
    assert all(c.isprintable() or c == "\n" for c in source)
    module = handmade.load_source(source, tmp_path)
    assert module.classes == {POISON: [POISON, "'", '"']}
    assert module.signature["model"] == POISON
    state = module.init(0, np.float64)
    raw = {POISON + name: np.ones((3, 2)) for name in BAD}
    batch = module.prepare(raw, state)
    trainer = module.Trainer(state, 3)
    expected, state = module._stepped(state, batch)
    assert trainer.step(batch) == pytest.approx(expected)
    assert set(module.predict(state, batch)) == set(BAD)
    for name, value in trainer.state().items():
        np.testing.assert_allclose(value, state[name])
    assert module._selftest() == 0


def test_every_name_that_a_module_uses_may_be_one_of_the_model() -> None:
    """What is written for every model has names of its own, whatever the model's are."""
    source = print_module(handmade.mlp(dropout=0.5), classes={}, version="1")
    used = {
        getattr(node, "id", None) or getattr(node, "arg", None) or getattr(node, "name", None)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Name | ast.arg | ast.alias | ast.FunctionDef)
    }
    names = sorted(name for name in used if name and name not in COUNTERS)
    assert {"bound", "enter", "gradients", "operator", "update"} <= set(names)
    module = handmade.module_of(poisoned(names))
    state = module.init(0, np.float64)
    batch = {name: np.ones((3, 2)) for name in names}
    expected, after = module._stepped(state, batch)
    trainer = module.Trainer(state, 3)
    assert trainer.step(batch) == pytest.approx(expected)
    for name, value in trainer.state().items():
        np.testing.assert_allclose(value, after[name])


def test_functions_hold_no_name_twice() -> None:
    """Each value has a variable of its own: a function assigns no name twice."""
    source = print_module(poisoned(BAD), classes={}, version="1")
    for function in ast.parse(source).body:
        if isinstance(function, ast.FunctionDef) and function.name in ("predict", "losses"):
            names = [
                target.id
                for statement in function.body
                if isinstance(statement, ast.Assign)
                for target in statement.targets
                if isinstance(target, ast.Name)
            ]
            assert len(names) == len(set(names))


def test_a_reserved_name_of_the_state() -> None:
    kind = Type("real", (n,))
    the_spec = spec([data("x", "input", kind)], [parameter("seed", ())], [])
    programs = handmade.programs(the_spec, lambda s, _: {})
    with pytest.raises(ValueError, match="seed"):
        print_module(programs, classes={}, version="1")


@pytest.mark.parametrize("text", BAD + keyword.kwlist)
def test_identifiers(text: str) -> None:
    name = NameAllocator().fresh(text)
    assert name.isidentifier()
    assert not keyword.iskeyword(name)
    assert len(name) < 60


def test_names_are_kept_where_they_can_be() -> None:
    names = NameAllocator()
    assert names.fresh("μ") == "μ"
    assert names.fresh("µ") == "μ_2"  # the micro sign is the same identifier
    assert names.fresh("lambda") == "lambda_"
    assert names.fresh("h") == "h"
    assert names.fresh("h") == "h_2"
    assert names.numbered("h") == "h_3"
    assert identifier("h.dense1.W") == "h_dense1_W"


@pytest.mark.parametrize("text", [*BAD, POISON])
def test_quoting(text: str) -> None:
    assert ast.literal_eval(quoted(text)) == text
    assert "\n" not in quoted(text)
    assert len(harmless(text).splitlines()) <= 1
