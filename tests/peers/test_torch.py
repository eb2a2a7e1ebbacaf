"""Comparison with PyTorch, in f64 to 1e-9: values, gradients, and the paths of optimizers."""

from __future__ import annotations

import numpy as np
import pytest

import graphc

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install graphc[peers]")
pytestmark = pytest.mark.peers

F = torch.nn.functional
TOLERANCE = {"rtol": 1e-9, "atol": 1e-12}


def compiled(text: str):
    model = graphc.compile(text, precision="f64")
    return model.module


def tensors(state, module):
    return {
        name: torch.tensor(np.asarray(state[name]), dtype=torch.float64, requires_grad=True)
        for name in module.signature["parameters"]
    }


def random_state(module, seed: int = 0):
    """A state whose parameters, biases included, are all away from zero."""
    rng = np.random.default_rng(seed)
    state = module.init(seed)
    for name, entry in module.signature["parameters"].items():
        state[name] = rng.normal(size=entry["shape"]) * 0.5
    return state


def compare(text: str, batch, objective, *, penalty=lambda p: 0.0):
    """Objective and every gradient; ``objective`` maps parameters and inputs to a tensor."""
    module = compiled(text)
    state = random_state(module)
    value, gradients = module.loss_and_gradients(state, batch)
    p = tensors(state, module)
    inputs = {
        name: torch.tensor(array)
        if np.asarray(array).dtype.kind == "i"
        else torch.tensor(np.asarray(array), dtype=torch.float64)
        for name, array in batch.items()
    }
    expected = objective(p, inputs) + penalty(p)
    expected.backward()
    np.testing.assert_allclose(value, expected.item(), **TOLERANCE)
    for name, gradient in gradients.items():
        actual = p[name].grad
        wanted = np.zeros_like(gradient) if actual is None else actual.numpy()
        np.testing.assert_allclose(gradient, wanted, **TOLERANCE, err_msg=name)


def rows(*shape: int, seed: int = 1):
    return np.random.default_rng(seed).normal(size=shape)


def labels(k: int, n: int, seed: int = 2):
    return np.random.default_rng(seed).integers(0, k, n)


ACTIVATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "leaky_relu{0.2}": lambda x: F.leaky_relu(x, 0.2),
    "softplus": F.softplus,
    "softmax": lambda x: F.softmax(x, -1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_losses_in_a_network(name: str):
    text = f"""model m
input x: real[n, 5]
target y: label{{4}}[n]
h = x |> dense{{7}} |> {name}
logits = h |> dense{{4}}
loss ce = cross_entropy(logits, y)
regularize {{
  l2{{0.1}} on weights
  l1{{0.01}} on biases
}}
"""

    def objective(p, i):
        h = ACTIVATIONS[name](i["x"] @ p["h.dense1.W"] + p["h.dense1.b"])
        return F.cross_entropy(h @ p["logits.dense1.W"] + p["logits.dense1.b"], i["y"])

    def penalty(p):
        squares = sum((w**2).sum() for k, w in p.items() if k.endswith(".W"))
        sizes = sum(b.abs().sum() for k, b in p.items() if k.endswith(".b"))
        return 0.05 * squares + 0.01 * sizes

    compare(text, {"x": rows(6, 5), "y": labels(4, 6)}, objective, penalty=penalty)


LOSSES = {
    "squared_error": F.mse_loss,
    "absolute_error": F.l1_loss,
    "binary_cross_entropy": F.binary_cross_entropy_with_logits,
    "rmse": lambda a, b: torch.sqrt(F.mse_loss(a, b)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str):
    text = f"""model m
input x: real[n, 3]
target y: real[n, 2]
h = x |> dense{{2}}
loss f = {name}(h, y)
"""
    target = np.random.default_rng(5).uniform(0, 1, (6, 2))
    compare(
        text,
        {"x": rows(6, 3), "y": target},
        lambda p, i: LOSSES[name](i["x"] @ p["h.dense1.W"] + p["h.dense1.b"], i["y"]),
    )


def test_sharing_branches_and_repeat():
    text = """model m
input x: real[n, 4]
target y: real[n, 4]
enc = dense{4}
a = enc(x) |> tanh
b = enc(a) |> sigmoid
h = a * b + x
repeat block in 1..3 {
  h = h + (h |> dense{4} |> tanh)
}
loss f = squared_error(concat(h, a[:, 1:3]), concat(y, y[:, :2]))
"""

    def objective(p, i):
        enc = lambda v: v @ p["enc.W"] + p["enc.b"]  # noqa: E731
        a = torch.tanh(enc(i["x"]))
        b = torch.sigmoid(enc(a))
        h = a * b + i["x"]
        for k in (1, 2, 3):
            name = f"block[{k}].h.dense1"
            h = h + torch.tanh(h @ p[f"{name}.W"] + p[f"{name}.b"])
        return F.mse_loss(torch.cat([h, a[:, 1:3]], 1), torch.cat([i["y"], i["y"][:, :2]], 1))

    compare(text, {"x": rows(5, 4), "y": rows(5, 4, seed=3)}, objective)


def test_attention_like_products_of_rank_three():
    text = """model m
input x: real[n, t, 4]
target y: real[n, t, 4]
q = x |> dense{4, bias = false}
k = x |> dense{4, bias = false}
scores = softmax(q @ transpose{[0, 2, 1]}(k) / 2)
h = scores @ x
loss f = squared_error(h, y)
"""

    def objective(p, i):
        q, k = i["x"] @ p["q.dense1.W"], i["x"] @ p["k.dense1.W"]
        scores = F.softmax(q @ k.transpose(1, 2) / 2, -1)
        return F.mse_loss(scores @ i["x"], i["y"])

    compare(text, {"x": rows(3, 5, 4), "y": rows(3, 5, 4, seed=4)}, objective)


def test_embedding_by_label_index():
    text = """model m
input x: label{6}[n]
target y: label{3}[n]
param table: real[6, 4] ~ normal
logits = table[x] |> dense{3}
loss ce = cross_entropy(logits, y)
"""

    def objective(p, i):
        h = p["table"][i["x"]]
        return F.cross_entropy(h @ p["logits.dense1.W"] + p["logits.dense1.b"], i["y"])

    compare(text, {"x": labels(6, 9), "y": labels(3, 9, seed=7)}, objective)


OPTIMIZERS = {
    "sgd{0.1}": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum{0.05, mu = 0.9}": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "adam{lr = 0.01}": lambda p: torch.optim.Adam(p, lr=0.01),
    "rmsprop{lr = 0.01, decay = 0.9}": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_steps_of_an_optimizer(name: str):
    text = f"""model m
input x: real[n, 3]
target y: label{{4}}[n]
logits = x |> dense{{6}} |> tanh |> dense{{4}}
loss ce = cross_entropy(logits, y)
train {{ optimizer = {name} }}
"""
    module = compiled(text)
    state = random_state(module)
    p = tensors(state, module)
    optimizer = OPTIMIZERS[name](list(p.values()))
    trainer = module.Trainer(state, 8)
    for k in range(10):
        count = 8 if k % 3 else 5
        batch = {"x": rows(count, 3, seed=k), "y": labels(4, count, seed=k)}
        objective = trainer.step(batch)
        optimizer.zero_grad()
        h = torch.tanh(torch.tensor(batch["x"]) @ p["logits.dense1.W"] + p["logits.dense1.b"])
        loss = F.cross_entropy(
            h @ p["logits.dense2.W"] + p["logits.dense2.b"], torch.tensor(batch["y"])
        )
        loss.backward()
        optimizer.step()
        assert objective == pytest.approx(loss.item(), rel=1e-9)
    final = trainer.state()
    for key, value in p.items():
        np.testing.assert_allclose(final[key], value.detach().numpy(), **TOLERANCE)


def test_f32_stays_within_f32():
    text = """model m
input x: real[n, 5]
target y: label{4}[n]
logits = x |> dense{7} |> relu |> dense{4}
loss ce = cross_entropy(logits, y)
"""
    module = graphc.compile(text, precision="f32").module
    state = module.init(3)
    batch = {"x": rows(6, 5).astype(np.float32), "y": labels(4, 6)}
    value, gradients = module.loss_and_gradients(state, batch)
    p = {k: torch.tensor(state[k], requires_grad=True) for k in module.signature["parameters"]}
    h = torch.relu(torch.tensor(batch["x"]) @ p["logits.dense1.W"] + p["logits.dense1.b"])
    loss = F.cross_entropy(
        h @ p["logits.dense2.W"] + p["logits.dense2.b"], torch.tensor(batch["y"])
    )
    loss.backward()
    assert value == pytest.approx(loss.item(), rel=1e-5)
    for name, gradient in gradients.items():
        assert gradient.dtype == np.float32
        np.testing.assert_allclose(gradient, p[name].grad.numpy(), rtol=1e-4, atol=1e-6)


def test_the_digits_model(models):
    """The example of the README: gradients of the compiled module against PyTorch."""
    text = (models / "digits.gc").read_text(encoding="utf-8")
    text = text.replace('"data/digits.npz"', f'"{models}/data/digits.npz"')

    def objective(p, i):
        h = i["x"]
        for k in (1, 2):
            h = torch.relu(h @ p[f"h.dense{k}.W"] + p[f"h.dense{k}.b"])
        return F.cross_entropy(h @ p["logits.dense1.W"] + p["logits.dense1.b"], i["y"])

    def penalty(p):
        return 0.5e-4 * sum((w**2).sum() for k, w in p.items() if k.endswith(".W"))

    data = np.load(models / "data/digits.npz")
    batch = {"x": data["images"][:64] / 16.0, "y": data["labels"][:64].astype(np.int64)}
    compare(text, batch, objective, penalty=penalty)


WIDTHS = (2, 3, 5)
STEPS = ["relu", "tanh", "sigmoid", "softplus", "leaky_relu{0.1}", "softmax"]


def random_network(rng) -> tuple[str, list]:
    """A network drawn from the language, and what PyTorch is to do, step by step."""
    lines, plan, names = [], [], ["x"]
    width = {"x": 4}
    for k in range(rng.integers(2, 6)):
        name, source = f"h{k}", str(rng.choice(names))
        kind = rng.choice(["dense", "activation", "add", "concat", "slice", "product"])
        other = str(rng.choice(names))
        if kind == "dense":
            units = int(rng.choice(WIDTHS))
            lines.append(f"{name} = {source} |> dense{{{units}}}")
            width[name] = units
        elif kind == "activation":
            step = str(rng.choice(STEPS))
            lines.append(f"{name} = {step}({source})")
            width[name] = width[source]
            other = step
        elif kind in ("add", "product") and width[source] == width[other]:
            lines.append(f"{name} = {source} {'+' if kind == 'add' else '*'} {other} / 2")
            width[name] = width[source]
        elif kind == "slice" and width[source] > 1:
            lines.append(f"{name} = {source}[:, 1:]")
            width[name] = width[source] - 1
        else:
            kind = "concat"
            lines.append(f"{name} = concat({source}, {other})")
            width[name] = width[source] + width[other]
        plan.append((name, kind, source, other))
        names.append(name)
    text = "model m\ninput x: real[n, 4]\ntarget y: label{3}[n]\n" + "\n".join(lines)
    last = names[-1]
    return f"{text}\nlogits = {last} |> dense{{3}}\nloss ce = cross_entropy(logits, y)\n", plan


@pytest.mark.parametrize("seed", range(30))
def test_random_networks(seed: int):
    text, plan = random_network(np.random.default_rng(seed))

    def objective(p, i):
        values = {"x": i["x"]}
        for name, kind, source, other in plan:
            a = values[source]
            if kind == "dense":
                values[name] = a @ p[f"{name}.dense1.W"] + p[f"{name}.dense1.b"]
            elif kind == "activation":
                known = {**ACTIVATIONS, "leaky_relu{0.1}": lambda x: F.leaky_relu(x, 0.1)}
                values[name] = known[other](a)
            elif kind == "add":
                values[name] = a + values[other] / 2
            elif kind == "product":
                values[name] = a * values[other] / 2
            elif kind == "slice":
                values[name] = a[:, 1:]
            else:
                values[name] = torch.cat([a, values[other]], 1)
        last = values[plan[-1][0]]
        logits = last @ p["logits.dense1.W"] + p["logits.dense1.b"]
        return F.cross_entropy(logits, i["y"])

    compare(text, {"x": rows(6, 4, seed=seed), "y": labels(3, 6, seed=seed)}, objective)
