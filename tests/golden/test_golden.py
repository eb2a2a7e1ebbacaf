"""Generated source of every model in models/, and of the functions on request.

``digits.py.txt`` is a whole module. The others leave out what is word for word the same in the
module of digits, and name it at the end, so that a change of a helper is one diff, not one a model.
``pytest tests/golden --update-goldens`` rewrites them all; read the diff.
"""

from __future__ import annotations

import functools
import textwrap
from pathlib import Path

import pytest
from module_parts import parts
from shorter_models import MODELS, NAMES, shorter

import graphc

HERE = Path(__file__).parent
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
SECOND_ORDER = ("backpropagated_diagonal", "layer_inputs", "layer_curvatures")


@pytest.mark.parametrize("name", NAMES)
def test_model(name: str, tmp_path: Path, request: pytest.FixtureRequest):
    source = graphc.compile(shorter(name, tmp_path)).source
    expect_golden(name, source if name == WHOLE else cut(source), request)


@pytest.mark.parametrize(
    ("golden", "names"), [("products", PRODUCTS), ("second_order", SECOND_ORDER)]
)
def test_functions_on_request(golden: str, names: tuple[str, ...], request: pytest.FixtureRequest):
    """The three functions alone: the rest of the module is that of any other."""
    found = parts(graphc.compile(TINY, products=names).source)
    expect_golden(golden, "".join(found[name] for name in names).lstrip(), request)


def test_every_golden_is_of_something_there_is():
    assert {path.name.removesuffix(".py.txt") for path in HERE.glob("*.txt")} == {
        *NAMES,
        "products",
        "second_order",
    }


def test_nothing_is_lost_by_cutting(models: Path):
    """What is left out is named, and is the same in digits."""
    source = graphc.compile(models / "iris.gc").source
    kept, named = cut(source).split("\n\n\n# As in ")
    names = " ".join(line.removeprefix("# ") for line in named.splitlines())
    left_out = names.partition(": ")[2].removesuffix(".").split(", ")
    found = parts(source)
    assert {"load", "_selftest"} <= set(left_out)
    assert all(found[name] == whole_parts()[name] for name in left_out)
    assert "".join(found[name] for name in found if name not in left_out).rstrip() == kept


@functools.cache
def whole_parts() -> dict[str, str]:
    return parts(graphc.compile(MODELS / f"{WHOLE}.gc").source)


def cut(source: str) -> str:
    """The source without the parts that digits has too, word for word.

    The head of a class stays, for the methods that stay.
    """
    found, whole = parts(source), whole_parts()
    heads = {name.partition(".")[0] for name, text in found.items() if whole.get(name) != text}
    same = [n for n, text in found.items() if whole.get(n) == text and n not in heads]
    kept = "".join(text for name, text in found.items() if name not in same)
    note = f"As in {WHOLE}.py.txt: {', '.join(same)}."
    lines = textwrap.wrap(note, 98, break_on_hyphens=False)
    return kept.rstrip("\n") + "\n\n\n" + "".join(f"# {line}\n" for line in lines)


def expect_golden(name: str, source: str, request: pytest.FixtureRequest):
    """Read the diff when this fails; ``--update-goldens`` accepts it."""
    path = HERE / f"{name}.py.txt"
    if request.config.getoption("--update-goldens"):
        path.write_text(source, encoding="utf-8")
    assert path.exists(), f"no golden of {name}: make it by --update-goldens, and read it"
    assert source == path.read_text(encoding="utf-8")
