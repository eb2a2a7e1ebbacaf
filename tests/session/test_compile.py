"""`graphc.compile`: paths and texts, settings, the module that comes out."""

from __future__ import annotations

import linecache
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest

import graphc

TINY = "model tiny\ninput x: real = 2\nparam w: real = 3\nloss f = w * x\n"


def test_a_text_a_path_and_a_path_as_text_are_the_same(here):
    (here / "tiny.gc").write_text(TINY)
    sources = [graphc.compile(what).spec.name for what in (TINY, "tiny.gc", Path("tiny.gc"))]
    assert sources == ["tiny"] * 3


def test_settings_reach_the_model():
    text = "model m\nhyper k = 2\ninput x: real = 1\nparam w: real[k] = 1\nloss f = sum(w) * x\n"
    model = graphc.compile(text, set={"k": 5, "train.epochs": 7}, at={"x": 4}, precision="f64")
    assert model.parameter_count == 5
    assert model.spec.train.epochs == 7
    assert model.loss_and_gradients()[0] == 20
    assert model.init()["w"].dtype == np.float64


def test_values_from_python_are_written_as_the_language_writes_them():
    text = "model m\ninput x: real[n, 2] = [[1, 2]]\nparam w: real = 1\nloss f = w * sum(x)\n"
    model = graphc.compile(text, at={"x": np.array([[1.0, 2.0], [3.0, 4.0]])})
    assert model.loss_and_gradients()[0] == 10


def test_all_errors_of_a_text_come_at_once():
    text = "model m\ninput x: real[n, 2]\nloss a = lenght(x)\nloss b = meen(x)\n"
    with pytest.raises(graphc.CompileError) as caught:
        graphc.compile(text)
    assert len(caught.value.diagnostics.errors) >= 2
    assert "error[" in str(caught.value)


def test_the_generated_module_shows_its_lines_in_a_traceback():
    model = graphc.compile(TINY)
    try:
        model.module.loss_and_gradients({}, {})
    except Exception as problem:
        told = "".join(traceback.format_exception(problem))
    assert "<graphc tiny" in told
    filename = model.module.init.__code__.co_filename
    assert linecache.getlines(filename) == model.source.splitlines(keepends=True)


def test_save_writes_the_source_whole(here):
    model = graphc.compile(TINY)
    model.save("tiny.py")
    assert Path("tiny.py").read_text() == model.source
    assert [path.name for path in here.iterdir()] == ["tiny.py"]


def test_save_leaves_the_old_file_when_it_fails(here, monkeypatch):
    Path("tiny.py").write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(graphc.RunError, match="No space left"):
        graphc.compile(TINY).save("tiny.py")
    assert Path("tiny.py").read_text() == "old"
    assert [path.name for path in here.iterdir()] == ["tiny.py"]


def test_the_recursion_limit_is_given_back():
    before = sys.getrecursionlimit()
    graphc.compile(TINY)
    with pytest.raises(graphc.CompileError):
        graphc.compile("model m\nloss f = \n")
    assert sys.getrecursionlimit() == before


def test_deep_texts_compile():
    text = f"model m\nparam w: real = 1\nloss f = {'(' * 150}w{')' * 150}\n"
    assert graphc.compile(text).loss_and_gradients()[0] == 1


@pytest.mark.parametrize("depth", [3_000, 200_000])
def test_deeper_texts_are_refused(depth):
    text = f"model m\nparam w: real = 1\nloss f = {'(' * depth}w{')' * depth}\n"
    with pytest.raises(graphc.CompileError, match="E106"):
        graphc.compile(text)


def test_long_sums_and_long_files_compile():
    terms = " + ".join(["w"] * 900)
    assert graphc.compile(f"model m\nparam w: real = 1\nloss f = {terms}\n").parameter_count == 1
    lines = "\n".join(f"v{k + 1} = v{k} + 1" for k in range(1_000))
    text = f"model m\nparam w: real = 1\nv0 = w\n{lines}\nloss f = v1000\n"
    assert graphc.compile(text).loss_and_gradients()[0] == 1001


def test_used_files_are_read_beside_the_model(here):
    (here / "blocks.gc").write_text("def twice(x) = 2 * x\n")
    (here / "m.gc").write_text('model m\nuse "blocks.gc"\nparam w: real = 3\nloss f = twice(w)\n')
    assert graphc.compile("m.gc").loss_and_gradients()[0] == 6


def test_hostile_names_stay_names():
    text = (
        "model class\n"
        "param lambda: real = 1\nparam μ: real = 2\nparam __import__: real = 3\n"
        "param import: real = 4\nparam np: real = 5\nparam state: real = 6\n"
        "loss def = lambda * μ * __import__ * import * np * state\n"
    )
    objective, gradients = graphc.compile(text).loss_and_gradients()
    assert objective == 720
    assert set(gradients) == {"lambda", "μ", "__import__", "import", "np", "state"}


QUOTES = r"""model m
hyper quote = "\"\"\"''' \\ \n import os #"
input  x: real[n]
param  w: real = 1
loss f = sum(w * x) if quote == "a" else 2 * w
data { file = "\"\"\"''' \n.npz" }
"""


def test_quotes_and_line_breaks_in_strings_stay_text(here):
    model = graphc.compile(QUOTES)
    assert model.loss_and_gradients(batch={"x": [0.0]})[0] == 2
