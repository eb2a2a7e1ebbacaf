"""No text, however broken or large, gives anything but a program or diagnostics."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphc.diagnostics import MOST_ERRORS, CompileError, Diagnostics, Source
from graphc.diagnostics.render import render_json, render_text
from graphc.model import elaborate
from graphc.passes import lower

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
HEAD = "model m\ninput x: real[n, 4]\n"

EVERYTHING = """model everything
hyper hidden = 8 "units"
hyper rate = 3e-3
input  x: real[n, 4]
target y: label{3}[n]
param  w: real[4] ~ normal{0, 0.1}
state  steps_seen: real = 0
steps_seen' = steps_seen + 1
def soft{slope = 1}(x) = x / (slope + abs(x))
  derivative slope / (slope + abs(x))^2
layer norm{momentum = 0.9}(x) {
  state mu: real[dim{-1}(x)] = 0
  if training {
    m = mean{0}(x)
    mu' = momentum * mu + (1 - momentum) * m
  } else { m = mu }
  return x - m
}
layer block{units, activation = relu}(x) {
  h = x |> dense{units} |> activation
  return h, sum(h)
}
optimizer heavy{lr = 0.1, mu = 0.9}(w, g) {
  state v = 0
  v' = mu * v + g
  w' = w - lr * v' / t
}
enc = dense{4}
h = norm(x * w) |> enc |> dropout{0.2 * epoch / epochs}
repeat i in 1..2 {
  h = h |> enc |> soft{slope = i}
  k, s = block{hidden, activation = soft}(h)
}
if hidden > 4 { g = i[2].k[:, 0:3] } else { g = i[1].k[:, ::2] }
table = [[1.0, 2.0, 3.0], [4, 5, 6], [7, 8, 9]]
logits = dense{3}(h) + g - transpose(table)[y] * 1e-3
loss ce = cross_entropy(logits, y)
loss small = 1e-3 * sum(w^2) / n
minimize ce + small * cosine(epoch / epochs)
metric accuracy = accuracy(logits, y)
output probs = softmax{axis = -1}(logits)
data {
  file = "d.npz"
  scaled = standardise(images)
  x = scaled
  y = labels
  split = shuffled{validation = 0.1, test = 0.1, seed = 0}
}
regularize {
  dropout{0.1} after soft
  l2{1e-4} on weights
}
train {
  epochs = 3
  batch = 16
  optimizer = [sgd{0.1} on enc.*, heavy{rate * warmup(step / 10)} on params]
  stop = early{patience = 5}
}
prune { method = obd
  sparsity = 50% }
"""
TOKENS = re.compile(r'"[^"\n]*"|\d+(?:\.\d+)?(?:e-?\d+)?|\w+\'?|\|>|==|\.\.|\n|[^\w\s]|[ \t]+')
SPICE = [
    "training", "epoch", "n", "all", "inf", "0", "-1", "1e308", "{", "}", "(", ")", "[", "]", "'",
    "relu", "dense{3}",
    "y", "x", "@", "^", "//", "true", '"a"', "i", "if", "repeat", "\n", "[1, 2]",
]  # fmt: skip


def compiles(text: str) -> bool:
    """Whether the text is a program; one that is must lower, and diagnostics must render."""
    diagnostics = Diagnostics()
    try:
        program = elaborate(Source("m.gc", text), diagnostics)
    except CompileError:
        render_json(diagnostics)
        return not render_text(diagnostics)
    lower(program)
    render_text(diagnostics)
    return True


@st.composite
def mutated(draw: st.DrawFn, text: str) -> str:
    """The text with a few tokens deleted, doubled, swapped or replaced."""
    tokens = TOKENS.findall(text)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(tokens) - 1))
        other = draw(st.integers(0, len(tokens) - 1))
        match draw(st.sampled_from(["delete", "double", "swap", "copy", "spice"])):
            case "delete":
                tokens[at] = ""
            case "double":
                tokens[at] *= 2
            case "swap":
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case "copy":
                tokens[at] = tokens[other]
            case _:
                tokens[at] = draw(st.sampled_from(SPICE))
    return "".join(tokens)


def test_the_program_that_is_mutated_is_whole() -> None:
    assert compiles(EVERYTHING)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated(EVERYTHING))
def test_mutations_give_a_program_or_diagnostics(text: str) -> None:
    compiles(text)


BAD = sorted((ROOT / "tests/errors").glob("*.gc"))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_mutations_of_bad_programs_too(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(BAD)).read_text(encoding="utf-8")
    if TOKENS.findall(text) and len(text) < 5_000:
        compiles(data.draw(mutated(text)))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_a_program_or_diagnostics(text: str) -> None:
    compiles(text)


def chain(count: int, body: str) -> str:
    return "def f0(x) = x * 2\n" + "".join(
        f"def f{i}(x) = {body.replace('F', f'f{i - 1}')}\n" for i in range(1, count)
    )


LARGE = {
    "pipes": (True, "h = x" + " |> relu" * 990 + "\n"),
    "sums": (True, "h = x" + " + x" * 990 + "\n"),
    "parentheses": (False, "h = " + "(" * 500 + "x" + ")" * 500 + "\n"),
    "nested calls": (True, "h = " + "relu(" * 150 + "x" + ")" * 150 + "\n"),
    "index chain": (True, "h = x" + "[0:1]" * 900 + "\n"),
    "member chain": (False, "h = x" + ".a" * 900 + "\n"),
    "conditions": (True, "h = " + "x if false else " * 150 + "x\n"),
    "signs": (False, "h = " + "-" * 900 + "x\n"),
    "nested ifs": (True, "if true {\n" * 150 + "q = 2\n" + "}\n" * 150),
    "definitions in a row": (True, chain(60, "F(x)") + "h = f59(x)\n"),
    "too many in a row": (False, chain(200, "F(x)") + "h = f199(x)\n"),
    "exponential growth": (False, chain(40, "F(x) + F(2 * x)") + "h = f39(x)\n"),
    "endless repeat": (False, "repeat i in 1..1000000000000 { h = x }\n"),
    "nested repeats": (
        False,
        "".join(f"repeat i{k} in 1..10 {{\n" for k in range(9)) + "q = 2\n" + "}\n" * 9,
    ),
    "thousand layers": (True, "h = x\nrepeat i in 1..1000 { h = h |> dense{4} |> relu }\n"),
    "huge parameter": (False, "param W: real[999999999999, 999999999] ~ he_normal\n"),
    "huge input": (True, "input z: real[n, 999999999999]\nh = z + 1\n"),
    "huge layer": (False, "h = x |> dense{9223372036854775807} |> dense{9223372036854775807}\n"),
    "huge tensor": (False, "h = broadcast{[9999999999, 9999999]}(1.0)\n"),
    "long list": (True, "h = [" + "1, " * 20_000 + "]\n"),
    "huge power": (False, "h = 10^100000\n"),
    "huge float": (False, "h = 1e999\n"),
    "huge integer": (False, "h = 1" + "0" * 5_000 + "\n"),
    "huge exponent": (True, "h = x^1e308\n"),
    "long name": (True, "a" * 50_000 + " = x\n"),
    "strange names": (True, "lambda = 1\nclass = 2\nμ = 3\n__import__ = 4\nh = lambda + class\n"),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_texts_are_quick(name: str) -> None:
    whole, text = LARGE[name]
    assert compiles(HEAD + text) == whole


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_used_files_that_might_never_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gc")
    with (tmp_path / "huge.gc").open("wb") as file:
        file.truncate(10**10)
    for used, told in (("pipe.gc", "regular"), ("/dev/zero", "regular"), ("huge.gc", "8 MB")):
        source = Source(str(tmp_path / "m.gc"), f'model m\nuse "{used}"\n')
        with pytest.raises(CompileError, match=told):
            elaborate(source, Diagnostics())


def test_a_used_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "blocks.gc").write_text("def twice(x) = 2 * x\n", encoding="utf-8-sig")
    text = 'model m\nuse "blocks.gc"\nparam w: real = 1\nloss f = twice(w)\n'
    assert elaborate(Source(str(tmp_path / "m.gc"), text), Diagnostics())


def test_very_many_unknown_names() -> None:
    lines = (f"x{number} = y{number}\n" for number in range(3_000))
    with pytest.raises(CompileError) as caught:
        elaborate(Source("m.gc", "model m\n" + "".join(lines)), Diagnostics())
    assert len(caught.value.diagnostics.errors) == MOST_ERRORS
