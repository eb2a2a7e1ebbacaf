"""Windows, equations and gathering in training: views of fixed arrays, sums back into them."""

from __future__ import annotations

import handmade
import pytest

from graphc.diagnostics import Diagnostics, Source
from graphc.model import elaborate
from graphc.passes import lower

DIGITS = """model m
input x: real[n, 8, 8, 2]
target y: label{3}[n]
param K: real[3, 3, 2, 4] ~ normal{0, 0.3}
param L: real[2, 2, 4, 5] ~ normal{0, 0.3}
param V: real[20, 3] ~ normal{0, 0.3}
"""

CONVOLUTION = """
h = einsum{"nhwijc,ijco->nhwo"}(windows{[1, 2], 3}(%s), K) |> tanh
p = max{[3, 4]}(windows{[1, 2], 2, 2}(h))
g = einsum{"nhwijc,ijco->nhwo"}(windows{[1, 2], 2}(p), L) |> tanh
logits = reshape{[n, -1]}(g)[:, :20] @ V
loss ce = cross_entropy(logits, y)
"""

MODELS = {
    "windows of a padded input": DIGITS + CONVOLUTION % "pad{[0, 1, 1, 0]}(x)",
    "windows of the input itself": DIGITS + CONVOLUTION % "x",
    "reshaped windows of the input": """model m
input x: real[n, 8, 8, 2]
target y: label{3}[n]
param V: real[72, 3] ~ normal{0, 0.3}
h = reshape{[n, 9, 72]}(windows{[1, 2], 6}(x))
loss ce = cross_entropy(mean{1}(tanh(h @ V)), y)
""",
    "dilated windows with a stride": """model m
input x: real[n, 9]
target t: real[n, 3]
param k: real[3] ~ normal{0, 1}
param a: real[9] ~ normal{0, 1}
w = windows{1, 3, 2, 2}(pad{[0, [1, 0]]}(tanh(x * a)))
loss fit = sum((einsum{"npk,k->np"}(w, k) - t)^2)
""",
    "sorted and gathered": """model m
input x: real[n, 5]
target t: real[n]
param W: real[5, 6] ~ normal{0, 1}
z = x @ W
best = top_k{2}(z)
worst = sort{1}(z)[:, :3]
s = stack{1}(z, 2 * z, gather{1}(z, argsort{1}(x @ W[:, ::-1])))
y = sum{1}(best) + worst[:, 2] + einsum{"nkf->n"}(s) + sum(concat{0}(x[::-1], x) @ W) / n
loss fit = mean((y - t)^2)
""",
}


@pytest.mark.parametrize("text", MODELS.values(), ids=MODELS)
def test_a_model_passes_its_own_test(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    programs = lower(elaborate(Source("m.gc", text), Diagnostics()))
    module = handmade.module_of(programs)
    assert module._selftest() == 0, capsys.readouterr().out
    assert "steps in place = plain steps: ok" in capsys.readouterr().out
