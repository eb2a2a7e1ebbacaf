"""Text of a model becomes neither Python nor CUDA C++, whatever it is called."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import handmade
import numpy as np
import pytest
from nvrtc import compiled
from poisoned import BAD, POISON, poisoned

import graphc
from graphc.backends.cupy import print_module
from graphc.model.program import COUNTERS, Program, Programs
from graphc.passes.fuse import Fuse
from graphc.session.loading import load_source

CUDA = """
    threadIdx blockIdx blockDim gridDim warpSize int float double void class extern asm typedef
    template operator struct goto long REAL real i row column block blocks trouble maximum philox
    block_sum draw_word thread_number exp printf NULL assert cuda std half main size count
    __global__ __device__ __syncthreads __shared__ __umul64hi defined
"""
"""Names that mean something in CUDA C++, in a header or in the prelude of kernels."""

MODULE = """
    cp np run slopes following place room ahead KERNELS NAMES OPTIONS PARTS THREADS Trainer predict
    _each _kernels _array _device _compiled sizes math types joined rest noted objective step_
"""
"""Names of a module for CuPy."""

TEXTS = [
    "*/ int escaped; /*",
    "// ",
    "\\",
    "end \\\nint escaped;",
    "??/\nint escaped;",
    "/*",
    "#define real int",
    '"""',
    'r"""\n',
    'R"(',
    "{0}%s",
    "é ß 名 \u202e \x00",
]


def fused(programs: Programs) -> Programs:
    """The same with groups, as the passes would leave it."""

    def apply(program: Program | None) -> Program | None:
        return None if program is None else Fuse().apply(program)

    parts = ("training", "evaluation", "losses", "metrics", "prediction")
    return replace(programs, **{part: apply(getattr(programs, part)) for part in parts})


def kernels(source: str) -> str:
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "KERNELS":
            return str(ast.literal_eval(node.value))
    raise AssertionError("no kernels")


def expect_harmless(source: str) -> None:
    """Nothing of the poison is code: in Python by its tree, in C by what is left without comments.
    A comment ends where its line does."""
    for node in ast.walk(ast.parse(source)):
        assert not (isinstance(node, ast.Name) and node.id == "SystemExit")
    assert all(sign.isprintable() or sign == "\n" for sign in source)
    text = kernels(source)
    assert "\\" not in text
    assert "??" not in text
    code = re.sub(r"//[^\n]*", "", text)
    assert not re.search(r"\bescaped\b|\bSystemExit\b|/\*|\*/|#", code)
    assert code.isascii()


def expect_steps(module: Any, names: list[str]) -> None:
    """Two steps are those of the plain functions, on the stand-in."""
    state = module.init(0, np.float64)
    raw = {POISON + name: np.ones((3, 2)) for name in names}
    batch = module.prepare(raw, state)
    trainer = module.Trainer(state, 3)
    for _ in range(2):
        expected, state = module._stepped(state, batch)
        assert float(trainer.step(module.place(batch))) == pytest.approx(expected)
    for name, value in trainer.state().items():
        np.testing.assert_allclose(value, state[name], rtol=1e-12)
    assert set(module.predict(state, batch)) == set(names)


@pytest.mark.parametrize("grouped", [True, False])
def test_nothing_escapes(grouped: bool, cupy: Any, tmp_path: Path):
    words = [*CUDA.split(), *MODULE.split()] if grouped else []
    names = [*dict.fromkeys([*BAD, *TEXTS, *words])]
    programs = fused(poisoned(names)) if grouped else poisoned(names)
    source = print_module(
        programs, classes={POISON: [POISON, "'", '"']}, version=POISON, weights=POISON
    )
    expect_harmless(source)
    module = handmade.load_source(source, tmp_path)
    assert module.signature["model"] == POISON
    expect_steps(module, names)
    assert compiled(kernels(source), "sm_80", "double")


@pytest.mark.slow
def test_every_name_that_a_module_uses_may_be_one_of_the_model(cupy: Any):
    """Those of Python and those of the kernels: each value gets a name of its own."""
    source = print_module(fused(handmade.mlp(dropout=0.5)), classes={}, version="1")
    statements = "".join(
        re.findall(r"\ndef (?:losses|_step|_training)\(.*?\n\n\n", source, re.DOTALL)
    )
    code = re.sub(r"(//|#|\"\"\").*", "", statements + kernels(source))
    words = re.findall(r"[A-Za-z_]\w*", code)
    names = sorted({word for word in words if not re.search(r"_\d+\w*$", word)} - {*COUNTERS})
    assert {"PARTS", "run", "thread_count", "slopes", "long"} <= {*names}
    source = print_module(fused(poisoned(names)), classes={}, version="1")
    expect_harmless(source)
    expect_steps(load_source("poisoned", source), names)
    assert compiled(kernels(source), "sm_90", "float")


MODEL = """model hostile
input  threadIdx: real[n, 3]
target KERNELS: label{{2}}[n]
def import_(x) = tanh(x)
def lambda_(x) = x * 2
def KERNEL(x) = exp(-x)
def int(x) = relu(x)
cp = dense{{4}}(threadIdx)
μ = cp |> import_ |> lambda_
real = μ |> KERNEL |> int
run = dense{{2}}(real)
loss place = cross_entropy(run, KERNELS)
metric slopes = accuracy(run, KERNELS)
output ahead = softmax(run)
"""


def test_a_model_whose_names_are_those_of_module_and_kernels(cupy: Any, tmp_path: Path):
    """As a person may write it, in a file whose name is no better."""
    path = tmp_path / "a'b\"*⁄ \\ #.gc"
    path.write_text(MODEL.format(), encoding="utf-8")
    model = graphc.compile(path)
    source = model.with_target("cupy").source
    expect_harmless(source)
    own, there = model.module, load_source("hostile", source)
    state = own.init(1, np.float64)
    draw = np.random.default_rng(0)
    batch = {"threadIdx": draw.normal(size=(5, 3)), "KERNELS": np.array([0, 1, 1, 0, 1])}
    assert there.losses(state, batch)[0] == pytest.approx(own.losses(state, batch)[0])
    trainers = [module.Trainer(state, 5, 2, 2) for module in (own, there)]
    for _ in range(2):
        objectives = [float(trainer.step(batch)) for trainer in trainers]
        assert objectives[1] == pytest.approx(objectives[0])
    assert there._selftest() == 0
    assert compiled(there.KERNELS, "sm_90", "float")
