"""Texts to trees; and texts that are wrong to diagnostics, whatever they are."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graphc.diagnostics import Diagnostic, Diagnostics, Source
from graphc.diagnostics.render import render_text
from graphc.language import format_expr, parse, tree

DIGITS = """\
model digits

hyper hidden = 64     "units in each hidden layer"
hyper rate   = 3e-3   "peak learning rate"

input  x: real[n, 64]
target y: label{10}[n]

h      = x |> dense{hidden} |> relu |> dense{hidden} |> relu
logits = h |> dense{10}

loss   ce       = cross_entropy(logits, y)
metric accuracy = accuracy(logits, y)
output probs    = softmax(logits)

data {
  file  = "data/digits.npz"
  x     = images / 16
  y     = labels
  split = shuffled{validation = 0.1, test = 0.1, seed = 0}
}

regularize {
  dropout{0.2} after relu
  l2{1e-4} on weights
}

train {
  epochs    = 30
  batch     = 64
  optimizer = adam{lr = rate * cosine(epoch / epochs)}
  stop      = early{patience = 5}
  seed      = 0
}
"""

LOGISTIC = """\
model logistic                     # univariate logistic least squares; w fans out

hyper lambda = 0.1

input  x: real = 1.5               # an example value: what `render` and `explain` show numbers for
target t: real = 1.0
param  w: real = 0.8
param  b: real = -0.2

z = w * x + b
y = sigmoid(z)

loss fit   = 1/2 * (y - t)^2
loss decay = lambda/2 * w^2
minimize fit + decay
"""

PRELUDE = """\
def sigmoid(x) = 1 / (1 + exp(-x))
  derivative sigmoid * (1 - sigmoid)

def leaky_relu{slope = 0.01}(x) = where(x > 0, x, slope * x)

def logsumexp{axis = -1, keep = false}(x) {
  m = stop_gradient(max{axis, keep = true}(x))
  s = log(sum{axis, keep = true}(exp(x - m))) + m
  return s if keep else squeeze{axis}(s)
}

def cross_entropy(logits, y) = mean(logsumexp{axis = -1}(logits) - pick(logits, y))

def dropout{rate = 0.5}(x) = x * bernoulli{1 - rate}(x) / (1 - rate) if training else x

def l2{strength}(w) = strength / 2 * sum(w^2)

def cosine(u) = 1/2 * (1 + cos(pi * u))

layer dense{units, bias = true, init = he_normal}(x) {
  param W: real[dim{-1}(x), units] ~ init
  if bias {
    param b: real[units] = 0
    return x @ W + b
  } else {
    return x @ W
  }
}

optimizer adam{lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8}(w, g) {
  state m = 0
  state v = 0
  m' = beta1 * m + (1 - beta1) * g
  v' = beta2 * v + (1 - beta2) * g^2
  w' = w - lr * (m' / (1 - beta1^t)) / (sqrt(v' / (1 - beta2^t)) + eps)
}
"""

SNIPPETS = """\
use "blocks.gc"
enc = dense{64}
a = enc(x)
h, c = f(x)
state mean: real[3] = 0
mean' = 0.9 * mean + 0.1 * x
def f{a = 1}(x, y) = a * x + y
def zeros{} = 0
def g(x) {
  m = x
  return m
}
  derivative 2 * x
layer L{units, bias = true}(x) {
  return x, 2 * x
}
layer M(x) = x |> dense{3}
repeat block in 1..layers {
  h = h |> dense{64}
}
repeat i in 1..3 { h = h + i }
if a == 1 and not b {
  y = 1
} else if c {
  y = 2
}
else {
  y = 3
}
if a { }
loss = 3
data = loss + optimizer
optimizer = 1
model = input + target
state, param = f(x)
minimize = return + on + after + in
return = 1
derivative = 2
lambda = class + import + None
μ = λ_1 * ñ
z = x[:, 1:3] + x[..., -1] + x[::2] + x[1:] + x[:2] + x[a, b]
w = block[2].h + h.dense1.W
s = [1, -2, [3, 4], [], "a\\n\\t\\"\\\\\\u00e9", true, false,]
long = f(
  1,   # one
  [2,
   3],
  name = 4,
)
h = x
  |> dense{64}   # first

  # then
  |> relu
train {
  optimizer = [sgd{0.1} on head.*, adam{1e-4} on params]
  frozen on enc.*
  batch = all
  share = 80%
  memory = 200 MB
  precision = f32
  x = block[1].h.*
}
regularize {
  dropout{0.2} before logits
  l2{1} on h.dense1.W
  l2{1} on block[1].h.*
  l2{1} on block[*].h.*
  l2{1} on *.W
  l2{1} on on
}
prune { magnitude{80%} on weights }
data {}
""".replace("  x = block[1].h.*\n", "").replace("data {}", "data { }")


def read(text: str) -> tuple[tree.File, list[Diagnostic]]:
    found = Diagnostics()
    file = parse(Source("test.gc", text), found)
    return file, list(found)


def good(text: str) -> tree.File:
    file, found = read(text)
    assert not found, render_text(found)
    return file


def expr(text: str) -> tree.Expr:
    statement = good(f"y = {text}\n").statements[0]
    assert isinstance(statement, tree.Assign)
    return statement.value


def sketch(node: tree.Expr) -> str:
    """The expression with all its parentheses."""
    match node:
        case tree.Binary():
            return f"({sketch(node.left)} {node.op} {sketch(node.right)})"
        case tree.Unary():
            return f"({node.op} {sketch(node.operand)})"
        case tree.Pipe():
            return f"({sketch(node.left)} |> {sketch(node.right)})"
        case tree.Conditional():
            return f"({sketch(node.then)} if {sketch(node.condition)} else {sketch(node.other)})"
    return format_expr(node)


@pytest.mark.parametrize("text", [DIGITS, LOGISTIC, PRELUDE, SNIPPETS])
def test_every_statement_of_the_language_parses(text: str) -> None:
    good(text)
    good(text.replace("\n", "\r\n"))
    good("\ufeff" + text.rstrip())


@pytest.mark.parametrize(
    ("text", "grouped"),
    [
        ("-x^2", "(- (x ^ 2))"),
        ("2^-1", "(2 ^ (- 1))"),
        ("2^-x^3", "(2 ^ (- (x ^ 3)))"),
        ("a^b^c", "(a ^ (b ^ c))"),
        ("a - b - c", "((a - b) - c)"),
        ("a * -b", "(a * (- b))"),
        ("a + b * c @ d // e / f", "(a + ((((b * c) @ d) // e) / f))"),
        ("not a == b and c or d", "(((not (a == b)) and c) or d)"),
        ("a if b or c else d if e else f", "(a if (b or c) else (d if e else f))"),
        ("a if b else c |> f", "((a if b else c) |> f)"),
        ("a + b |> f |> g{1}(c)", "(((a + b) |> f) |> g{1}(c))"),
        ("- - a", "(- (- a))"),
        ("(a + b)[0].c^2", "((a + b)[0].c ^ 2)"),
        ("a < -b", "(a < (- b))"),
    ],
)
def test_precedence(text: str, grouped: str) -> None:
    assert sketch(expr(text)) == grouped


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("3", 3, ""),
        ("3.0", 3.0, ""),
        ("1e-3", 0.001, ""),
        ("80%", 0.8, ""),
        ("200 MB", 200_000_000, "MB"),
        ("1.5GB", 1_500_000_000, "GB"),
        ("2 KiB", 2048, "KiB"),
        ("9223372036854775807", 2**63 - 1, ""),
    ],
)
def test_numbers(text: str, value: float, unit: str) -> None:
    number = expr(text)
    assert isinstance(number, tree.Number)
    assert (number.value, type(number.value), number.unit) == (value, type(value), unit)


def test_texts_and_their_escapes() -> None:
    text = expr(r'"a\n\t\"\\\u00e9 # no comment {"')
    assert isinstance(text, tree.Text)
    assert text.value == 'a\n\t"\\é # no comment {'


def test_names_are_normalised() -> None:
    name = expr("e\u0301")
    assert isinstance(name, tree.Name)
    assert name.name == "é"


def test_a_comment_block_above_a_definition_describes_it() -> None:
    file = good(
        "# of the file\n\n# Swish.\n#\n#  Ramachandran, 2017\n"
        "def swish(x) = x\ny = 1  # no\ndef f(x) = x\n"
    )
    docs = [item.doc for item in file.statements if isinstance(item, tree.Definition)]
    assert docs == ["Swish.\n\n Ramachandran, 2017", ""]


def test_spans_point_at_what_was_read() -> None:
    file = good("z = a + (b @ c)  # sum\nparam W: real[2, k] ~ normal{0, 1}\n")
    assign, param = file.statements
    assert isinstance(assign, tree.Assign)
    assert isinstance(assign.value, tree.Binary)
    assert isinstance(param, tree.Param)
    assert assign.span.text == "z = a + (b @ c)"
    assert assign.value.op_span.text == "+"
    assert assign.value.right.span.text == "(b @ c)"
    assert param.type.span.text == "real[2, k]"
    assert isinstance(param.value, tree.Apply)
    assert (param.value.callee.text, param.random) == ("normal", True)


def test_definitions_and_blocks() -> None:
    sigmoid, *_, dense, adam = good(PRELUDE).statements
    assert isinstance(sigmoid, tree.Definition)
    assert isinstance(sigmoid.body[0], tree.Return)
    assert sigmoid.derivative is not None
    assert isinstance(dense, tree.Definition)
    assert [item.name.name for item in dense.attributes] == ["units", "bias", "init"]
    assert isinstance(adam, tree.Definition)
    assert [item.name for item in adam.parameters] == ["w", "g"]
    update = adam.body[-1]
    assert isinstance(update, tree.Assign)
    assert update.targets[0].primed


def test_sections_hold_entries_and_rules() -> None:
    file = good(
        "train {\n  optimizer = [sgd{0.1} on head.*, adam on h[*].W]\n  frozen on enc.*\n}\n"
    )
    section = file.statements[0]
    assert isinstance(section, tree.Section)
    entry, rule = section.entries
    assert isinstance(entry.value, tree.ListExpr)
    placed = entry.value.items[1]
    assert isinstance(placed, tree.Placed)
    assert placed.selector.pattern == "h[*].W"
    assert isinstance(rule, tree.Rule)
    assert isinstance(rule.value, tree.Placed)
    assert isinstance(rule.value.value, tree.Name)


# -------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("text", "code", "column", "words"),
    [
        ("z = W x", "E101", 7, "W @ x"),
        ("y = x ** 2", "E101", 8, "`^`"),
        ("def f(x):", "E101", 9, "def f(x) = …"),
        ("y = 'text'", "E102", 5, "double quotes"),
        ("y = “text”", "E102", 5, "straight double quotes"),
        ("y = dense {64}(x)", "E101", 11, "dense{…}"),
        ("train{\n a = 1\n}", "E101", 6, "after a space"),
        ("if a{\n b = 1\n}", "E101", 5, "after a space"),
        ("repeat i in 1..3{\n b = 1\n}", "E101", 17, "after a space"),
        ("if a = 3 {\n}", "E101", 6, "`==`"),
        ("// note", "E101", 1, "`#`"),
        ("y = 1 // a note", "E101", 12, "`#`"),
        ("/* note */", "E101", 1, "`#`"),
        ("y = x ≤ 3", "E102", 7, "`<=`"),
        ("y = 2 × 3", "E102", 7, "`*`"),
        ("y = x²", "E102", 6, "`^2`"),
        ("y = x % 3", "E102", 7, "80%"),
        ("y = a; z = b", "E102", 6, "`;`"),
        ("y = a && b", "E102", 7, "`and`"),
        ("y = a\u00a0+ b", "E102", 6, "no-break"),
        ('y = "abc', "E103", 5, "close it"),
        ('y = "abc\\"', "E103", 5, "close it"),
        ("y = (1 + 2", "E104", 5, "`)`"),
        ("y = f(x]", "E104", 8, "`)`"),
        ("y = x)", "E104", 6, "closes nothing"),
        ("}", "E104", 1, "closes nothing"),
        ("train {\n a = 1", "E104", 7, "`}`"),
        ("y = 1.", "E105", 5, "1.0"),
        ("y = .5", "E105", 5, "0.5"),
        ("y = 1_000", "E105", 5, "1000"),
        ("y = 2x", "E105", 5, "2 * x"),
        ("y = 0x10", "E105", 5, "decimal"),
        ("y = 1e", "E105", 5, "1e-3"),
        ("y = 1e999", "E105", 5, "too large"),
        ("y = 99999999999999999999", "E105", 5, "too large"),
        ("y = 1\x00", "E108", 6, "U+0000"),
        ('y = "a\x1b"', "E108", 7, "U+001B"),
        ("y = a\u200bb", "E108", 6, "U+200B"),
        ('y = "\\q"', "E109", 6, "escape"),
        ('y = "\\ud800"', "E109", 6, "escape"),
        ("y = a < b < c", "E110", 11, "a < b and b < c"),
        ("return 3", "E111", 1, "outside of a definition"),
        ("if a {\n input x: real\n}", "E111", 2, "inside a block"),
        ("y = [l2{1} on weights]", "E111", 15, "section"),
        ("y = l2{1} on weights", "E101", 11, "regularize"),
        ("y = x |> [1]", "E112", 10, "called"),
        ("y = x |> 3", "E101", 10, "expected a call"),
        ("y = f(a = 1, 2)", "E113", 14, "without names first"),
        ("y = block[1].enc(x)", "E101", 17, "x |> block[1].enc"),
        ("x += 1", "E101", 3, "in full"),
        ("loss f(x)", "E101", 7, "loss fit = …"),
        ("input x = 3", "E101", 9, "input x: real"),
        ("param w: real", "E101", 14, "normal"),
        ("input x: float", "E101", 10, "label{k}"),
        ("import numpy", "E101", 8, "use"),
        ("for i in 1..3 {\n}", "E101", 5, "repeat"),
        ("inpt x: real", "E101", 6, "did you mean `input`"),
        ("x + 1", "E101", 3, "binds a name"),
        ("y =", "E101", 4, "expected a value"),
        ("y = f(1,", "E104", 6, "`)`"),
        ("y = a if b", "E101", 11, "`else`"),
        ("else {\n}", "E101", 1, "follows the `}`"),
        ("y = [1,, 2]", "E101", 8, "expected a value"),
        ("derivative x", "E101", 12, "below a `def`"),
        ("use blocks.gc", "E101", 5, 'use "blocks.gc"'),
        ("data x: real", "E101", 6, "data { … }"),
        ("model", "E101", 6, "followed by a name"),
        ("hyper x: int = 3", "E101", 8, "no type"),
    ],
)
def test_a_usual_mistake_gets_its_advice(text: str, code: str, column: int, words: str) -> None:
    _, found = read(text)
    assert found, "no diagnostic"
    first = found[0]
    assert first.span is not None
    said = f"{first.title} {first.label} {first.help}"
    assert (first.code, first.span.source.line_column(first.span.start)[1]) == (code, column), said
    assert words in said
    assert len(found) == 1, render_text(found)


def test_every_broken_statement_is_reported_and_the_others_are_read() -> None:
    file, found = read(
        "a = = 1\n"
        "b = 2\n"
        "layer L(x) {\n"
        "  c = 3 4\n"
        "  d = 5\n"
        "  if d {\n"
        "    e = *\n"
        "  }\n"
        "  return d\n"
        "}\n"
        "f = (1 + 2\n"
        "g = 6\n"
        "train {\n"
        "  epochs = 3 3\n"
        "  batch = 64\n"
        "data {\n"
        "  x = 1\n"
        "}\n"
        "h = )\n"
        "i = 7\n"
    )
    lines = [item.span.line for item in found if item.span is not None]
    assert lines == [1, 4, 7, 11, 13, 14, 19]
    kinds = [type(item).__name__ for item in file.statements]
    assert kinds == ["Assign", "Definition", "Assign", "Section", "Section", "Assign"]
    layer = file.statements[1]
    assert isinstance(layer, tree.Definition)
    assert [type(item).__name__ for item in layer.body] == ["Assign", "If", "Return"]


def test_a_bracket_that_is_closed_wrongly_shows_where_it_opened() -> None:
    _, found = read("y = f(x]\n")
    assert [label.text for label in found[0].labels] == ["opened here"]


def test_too_much_is_refused() -> None:
    _, found = read("#" * 8_000_001)
    assert [item.code for item in found] == ["E107"]
    _, found = read("a = = 1\n" * 5000)
    assert len(found) <= 101
    assert found[-1].code == "E199"


def test_long_chains_are_read_and_longer_ones_refused() -> None:
    good("y = " + " + ".join(["a"] * 1000))
    good("y = x" + "\n  |> dense{64}" * 1000)
    for text in (" + ".join(["a"] * 50_000), "x" + " |> f" * 20_000):
        _, found = read("y = " + text + "\nz = = 1\n")
        assert [item.code for item in found] == ["E106", "E101"]


@pytest.mark.parametrize(
    "text",
    [
        "y = " + "(" * 100_000 + "1" + ")" * 100_000,
        "y = " + "(" * 100_000,
        "y = " + "-" * 100_000 + "x",
        "y = " + "not " * 50_000 + "x",
        "y = " + "^".join(["a"] * 50_000),
        "y = " + "a if b else " * 20_000 + "c",
        "y = " + "f(" * 50_000 + ")" * 50_000,
        "y = x" + "[0]" * 50_000,
        "y = x" + ".a" * 50_000,
        "if a {\n" * 20_000,
        "if a {\n" * 20_000 + "}\n" * 20_000,
        "if a {\n}" + " else if a {\n}" * 5_000,
        "[(]{" * 50_000,
        "f(\n" * 100_000,
        "}\n" * 100_000,
        '"' * 100_001,
        "y = 9" + "9" * 100_000,
    ],
    ids=lambda text: text[:12],
)
def test_deep_and_broken_texts_are_refused(text: str) -> None:
    _, found = read(text)
    assert found
    render_text(found)


VALID = DIGITS + LOGISTIC + PRELUDE + SNIPPETS
WORDS = [
    "{", "}", "(", ")", "[", "]", "\n", " ", '"', "'", "#", "=", "==", "|>", ",", ":", "..", ".",
    "-", "^", "if ", "else", "repeat i in 1..2 {", "def f(x)", "derivative ", "train {", "x", "1",
    "%", "\\", "\t", "\r", "\x00", "é", "²", "loss a = ", "return ", "not ", "...", " on ", "/*",
]  # fmt: skip


@settings(max_examples=150, deadline=5000)
@given(st.text(max_size=200) | st.lists(st.sampled_from(WORDS), max_size=60).map("".join))
@example("f(x\n}\n{")
@example("if a{b\n")
@example("repeat i in 1..3 {h=x>d{n>u\ntrain {r=[d{}on d,m{}]")
def test_no_text_raises(text: str) -> None:
    _, found = read(text)
    render_text(found).encode()


@settings(max_examples=150, deadline=5000)
@given(st.randoms(use_true_random=False))
def test_no_change_to_a_program_raises(chance: random.Random) -> None:
    text = VALID
    for _ in range(chance.randint(1, 6)):
        start = chance.randrange(len(text))
        end = min(len(text), start + chance.choice([0, 0, 1, 1, 5, 100]))
        text = text[:start] + chance.choice(["", *WORDS]) + text[end:]
    _, found = read(text)
    render_text(found).encode()
