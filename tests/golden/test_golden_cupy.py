"""Generated source for CuPy of every model in models/, and of functions on request.

``cupy/digits.py.txt`` is a whole module. The others leave out what is word for word the same in
that of digits, kernels one by one, or in the module for NumPy of the same model: what the host does
is the same for both targets. At the end they name it. ``pytest tests/golden --update-goldens``
rewrites them all; read the diff.
"""

from __future__ import annotations

import functools
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest
from module_parts import parts
from shorter_models import MODELS, NAMES, shorter

import graphc

HERE = Path(__file__).parent / "cupy"
WHOLE = "digits"

TINY = """model tiny
input x: real[n, 2]
target y: real[n]
param w: real[2] = 0.5
param b: real = 0.1
z = x @ w + b
loss bce = binary_cross_entropy(z, y)
"""
PRODUCTS = ("per_example_gradients", "hessian_vector_products", "gauss_newton_products")


@dataclass(frozen=True)
class Cut:
    """The parts of a module that are its own, and the names of the others by where they are."""

    kept: dict[str, str]
    as_in_digits: list[str]
    as_on_the_host: list[str]
    kernels: list[str]

    def text(self, name: str) -> str:
        notes = [
            f"As in {WHOLE}.py.txt: {', '.join(self.as_in_digits)}.",
            f"As in ../{name}.py.txt: {', '.join(self.as_on_the_host)}.",
            f"Of the kernels as in {WHOLE}.py.txt: {', '.join(self.kernels)}.",
        ]
        lines = [line for note in notes for line in textwrap.wrap(note, 98)]
        end = "".join(f"# {line}\n" for line in lines)
        return "".join(self.kept.values()).rstrip("\n") + f"\n\n\n{end}"


@pytest.mark.parametrize("name", NAMES)
def test_model(name: str, tmp_path: Path, request: pytest.FixtureRequest):
    path = shorter(name, tmp_path)
    source = graphc.compile(path, target="cupy").source
    expect_golden(name, source if name == WHOLE else cut(path, source).text(name), request)


def test_functions_on_request(request: pytest.FixtureRequest):
    """The functions alone: the rest of the module is that of any other."""
    found = parts(graphc.compile(TINY, products=PRODUCTS, target="cupy").source)
    expect_golden("products", "".join(found[name] for name in PRODUCTS).lstrip(), request)


def test_every_golden_is_of_something_there_is():
    assert {path.name.removesuffix(".py.txt") for path in HERE.iterdir()} == {*NAMES, "products"}


@pytest.mark.parametrize("name", ["iris", "monks1"])
def test_nothing_is_lost_by_cutting(name: str):
    path = MODELS / f"{name}.gc"
    source = graphc.compile(path, target="cupy").source
    short, found = cut(path, source), parts(source)
    assert {"load", "_kernels", "_each"} <= {*short.as_in_digits}
    assert {"init", "prepare", "signature"} <= {*short.as_on_the_host}
    host = parts(graphc.compile(path).source)
    assert all(found[part] == whole_parts()[part] for part in short.as_in_digits)
    assert all(found[part] == host[part] for part in short.as_on_the_host)
    assert {*found} == {*short.kept, *short.as_in_digits, *short.as_on_the_host}
    assert all(found[part] == text for part, text in short.kept.items() if part != "KERNELS")
    functions, known = kernels(found["KERNELS"]), kernels(whole_parts()["KERNELS"])
    assert all(functions[kernel] == known[kernel] for kernel in short.kernels)
    own = [text for kernel, text in functions.items() if kernel not in short.kernels]
    assert short.kept["KERNELS"] == "\n\n".join(own)


@functools.cache
def whole_parts() -> dict[str, str]:
    return parts(graphc.compile(MODELS / f"{WHOLE}.gc", target="cupy").source)


def cut(path: Path, source: str) -> Cut:
    """What is the model's own. The head of a class stays, for the methods that stay."""
    found, whole, host = parts(source), whole_parts(), parts(graphc.compile(path).source)
    heads = {name.partition(".")[0] for name, text in found.items() if whole.get(name) != text}
    digits = [n for n, text in found.items() if whole.get(n) == text and n not in heads]
    hosts = [n for n, text in found.items() if host.get(n) == text and n not in digits]
    kept = {n: text for n, text in found.items() if n not in (*digits, *hosts)}
    functions, known = kernels(found["KERNELS"]), kernels(whole["KERNELS"])
    same = [n for n, text in functions.items() if known.get(n) == text]
    kept["KERNELS"] = "\n\n".join(text for n, text in functions.items() if n not in same)
    return Cut(kept, digits, hosts, same)


def kernels(text: str) -> dict[str, str]:
    """The functions of a source in CUDA C++ by name, and what stands before them."""
    pieces = re.split(r"\n\n(?=//|extern|__device__)", text)
    return {name_of(piece): piece for piece in pieces}


def name_of(piece: str) -> str:
    found = re.search(r"^(?:extern|__device__|template).*?(\w+)\(", piece, re.MULTILINE)
    return found[1] if found else "typedef"


def expect_golden(name: str, source: str, request: pytest.FixtureRequest):
    """Read the diff when this fails; ``--update-goldens`` accepts it."""
    path = HERE / f"{name}.py.txt"
    if request.config.getoption("--update-goldens"):
        path.write_text(source, encoding="utf-8")
    assert path.exists(), f"no golden of {name}: make it by --update-goldens, and read it"
    assert source == path.read_text(encoding="utf-8")
