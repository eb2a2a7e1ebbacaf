"""What a random network may be made of: each feature writes a statement or two into a draft.

A function's name is the feature's; the rank that it takes is without the batch axis.
"""

from __future__ import annotations

from network_draft import Draft, feature

# ------------------------------------------------------------------------ features of any rank


@feature()
def activation(d: Draft, x: str) -> None:
    d.bind(f"{x} |> {d.activation(len(d.shapes))}", d.shapes[x])


@feature()
def dense(d: Draft, x: str) -> None:
    units, bias = d.width(), "" if d.chance(0.7) else ", bias = false"
    d.bind(f"{x} |> dense{{{units}{bias}}} |> tanh", (*d.shapes[x][:-1], units))


@feature()
def residual(d: Draft, x: str) -> None:
    units = d.shapes[x][-1]
    d.bind(f"{x} + ({x} |> dense{{{units}}} |> softplus) / 2", d.shapes[x])


@feature()
def product(d: Draft, x: str) -> None:
    d.bind(f"{x} * {d.like(d.shapes[x])} / 2", d.shapes[x])


@feature()
def quotient(d: Draft, x: str) -> None:
    d.bind(f"{d.like(d.shapes[x])} / (1 + {x}^2)", d.shapes[x])


@feature()
def scaled(d: Draft, x: str) -> None:
    """A parameter that broadcasts."""
    name = f"s{len(d.shapes)}"
    d.lines.append(f"param {name}: real[{d.shapes[x][-1]}] ~ normal{{1, 0.1}}")
    d.bind(f"{x} * {name} - 0.1", d.shapes[x])


@feature()
def standard(d: Draft, x: str) -> None:
    """Normalisation written by hand, over the last axis."""
    each = f"mean{{axis = -1, keep = true}}({x})"
    spread = f"sqrt(variance{{axis = -1, keep = true}}({x}) + 0.1)"
    d.bind(f"({x} - {each}) / {spread}", d.shapes[x])


@feature()
def normalised(d: Draft, x: str) -> None:
    layer = d.any_of(["layer_norm{eps = 0.1}", "rms_norm{eps = 0.1}", "batch_norm"])
    d.bind(f"{x} |> {layer}", d.shapes[x])


@feature()
def dropped(d: Draft, x: str) -> None:
    layer = d.any_of(["dropout{0.3}", "gaussian_noise{0.2}", "dropout"])
    d.bind(f"{x} |> {layer}", d.shapes[x])


@feature()
def noisy(d: Draft, x: str) -> None:
    """Draws in every projection: each example has its part of them."""
    d.bind(d.any_of([f"{x} + normal{{0, 0.2}}({x})", f"{x} * uniform({x})"]), d.shapes[x])


@feature()
def joined(d: Draft, x: str) -> None:
    """Values that differ in their last axis at most."""
    lead = d.shapes[x][:-1]
    other = d.any_of([n for n, s in d.shapes.items() if s[:-1] == lead])
    width = d.shapes[x][-1] + d.shapes[other][-1]
    d.bind(f"concat({x}, {other})", (*lead, width))


@feature()
def sliced(d: Draft, x: str) -> None:
    width = d.shapes[x][-1]
    if width > 2:
        d.bind(f"{x}[..., 1:]", (*d.shapes[x][:-1], width - 1))
    else:
        d.bind(f"{x}[..., ::-1]", d.shapes[x])


@feature()
def chosen(d: Draft, x: str) -> None:
    other = d.like(d.shapes[x])
    form = d.any_of(
        [
            f"where({x} > 0.1, {x}, sin({other}))",
            f"max({x}, cos({other}))",
            f"min({other}, 0.3 * {x})",
            f"abs({x}) * {other} / (1 + abs({x}))",
            f"{other} - stop_gradient({x})^2 / 4",
        ]
    )
    d.bind(form, d.shapes[x])


@feature()
def shared(d: Draft, x: str) -> None:
    """A layer bound once and used twice."""
    name, width = f"enc{len(d.shapes)}", d.shapes[x][-1]
    d.lines.append(f"{name} = dense{{{width}}}")
    first = d.bind(f"{name}({x}) |> tanh", d.shapes[x])
    d.bind(f"{name}({first}) + {x}", d.shapes[x])


@feature()
def repeated(d: Draft, x: str) -> None:
    """Unrolled; the name bound outside is bound anew in each round."""
    name = d.bind(x, d.shapes[x])
    step = d.any_of([f"dense{{{d.shapes[x][-1]}}} |> tanh", "sigmoid", "layer_norm{eps = 0.1}"])
    d.lines.append(
        f"repeat {name}_round in 1..2 {{\n  {name} = {name} / 2 + ({name} |> {step})\n}}"
    )


@feature()
def branched(d: Draft, x: str) -> None:
    """Decided by a hyper when compiled."""
    d.once("hyper wide = 1")
    name = f"h{len(d.shapes)}"
    body = f"{name} = {x} |> sigmoid\n}} else {{\n  {name} = {x} |> tanh\n}}"
    d.lines.append(f"if wide > {d.rng.integers(0, 2)} {{\n  {body}")
    d.shapes[name] = d.shapes[x]


@feature()
def own_function(d: Draft, x: str) -> None:
    """A definition of the model with its own derivative."""
    d.once("def bump{scale = 1}(x) = exp(-(x / scale)^2)\n  derivative -2 * x / scale^2 * bump")
    d.bind(f"bump{{1.5}}({x})", d.shapes[x])


@feature()
def own_layer(d: Draft, x: str) -> None:
    """A layer of the model with two results."""
    d.once(
        "layer gated{units}(x) {\n"
        "  a = x |> dense{units}\n"
        "  g = x |> dense{units, bias = false} |> sigmoid\n"
        "  return a * g, g\n}"
    )
    name, units = f"h{len(d.shapes)}", d.width()
    d.lines.append(f"{name}, {name}_gate = gated{{{units}}}({x})")
    d.shapes[name] = (*d.shapes[x][:-1], units)
    d.bind(f"{name} + {name}_gate", d.shapes[name])


@feature()
def summed(d: Draft, x: str) -> None:
    """Reductions that keep their axis, so that the result broadcasts back."""
    form = d.any_of(
        [
            f"{x} - logsumexp{{keep = true}}({x})",
            f"{x} / (1 + sum{{axis = -1, keep = true}}({x}^2))",
            f"{x} + max{{axis = -1, keep = true}}({x}) / 3",
            f"{x} * min{{axis = -1, keep = true}}({x}) / 3",
            f"cumsum{{axis = -1}}({x}) / 3",
            f"{x} + prod{{axis = -1, keep = true}}({x} / 2)",
        ]
    )
    d.bind(form, d.shapes[x])


# ---------------------------------------------------------------- rows, sequences and images


@feature(1)
def outer(d: Draft, x: str) -> None:
    width = min(d.shapes[x][-1], 3)
    cut = f"{x}[:, :{width}]"
    d.bind(f'flatten(einsum{{"ni,nj->nij"}}({cut}, sin({cut})))', (width * width,))


@feature(1)
def learned_activation(d: Draft, x: str) -> None:
    units = d.width()
    if d.chance(0.5):
        d.bind(f"{x} |> maxout{{{units}}}", (units,))
    else:
        d.bind(f"{x} |> prelu{{shared = {d.any_of(['true', 'false'])}}}", d.shapes[x])


@feature(1)
def wrapped(d: Draft, x: str) -> None:
    """A layer as an attribute of another."""
    d.bind(f"{x} |> residual{{dense{{{d.shapes[x][-1]}}}}}", d.shapes[x])


@feature(1)
def stacked(d: Draft, x: str) -> None:
    """Two rows become a sequence of two steps."""
    d.bind(f"stack{{axis = 1}}({x}, tanh({x}))", (2, d.shapes[x][-1]))


@feature(2)
def attention_by_hand(d: Draft, x: str) -> None:
    width = d.shapes[x][-1]
    query, key = (d.bind(f"{x} |> dense{{{width}, bias = false}}", d.shapes[x]) for _ in range(2))
    scores = f"softmax({query} @ transpose{{[0, 2, 1]}}({key}) / sqrt({width}))"
    d.bind(f"{scores} @ {x}", d.shapes[x])


@feature(2)
def attention(d: Draft, x: str) -> None:
    time, width = d.shapes[x]
    count = 2 if width % 2 == 0 else 1
    causal = d.any_of(["", ", causal = true"])
    d.bind(f"{x} |> multi_head_attention{{{count}{causal}}}", (time, width))


@feature(2)
def convolution_in_time(d: Draft, x: str) -> None:
    units = d.width()
    d.bind(f'{x} |> conv1d{{{units}, 2, padding = "same"}} |> tanh', (d.shapes[x][0], units))


@feature(2)
def recurrent(d: Draft, x: str) -> None:
    layer, units = d.any_of(["rnn", "gru", "lstm"]), 2 if d.small else 3
    d.bind(f"{x} |> {layer}{{{units}}}", (d.shapes[x][0], units))


@feature(2)
def cell(d: Draft, x: str) -> None:
    """A cell bound once and stepped by a loop of the model."""
    d.once("hyper last = 1")
    number, units = len(d.shapes), 2
    name, state = f"cell{number}", f"h{number}"
    d.lines += [
        f"{name} = gru_cell{{{units}}}",
        f"{state} = zero_state{{{units}}}({x})",
        f"repeat {state}_time in 0..last {{\n  {state} = {name}({x}[:, {state}_time], {state})\n}}",
    ]
    d.shapes[state] = (units,)


@feature(2)
def over_time(d: Draft, x: str) -> None:
    form = d.any_of(["mean{axis = 1}", "max{axis = 1}", "sum{axis = 1}", "logsumexp{axis = 1}"])
    d.bind(f"{form}({x})", d.shapes[x][1:])


@feature(2)
def last_step(d: Draft, x: str) -> None:
    d.bind(f"{x}[:, -1] + {x}[:, 0] / 2", d.shapes[x][1:])


@feature(2)
def exchanged(d: Draft, x: str) -> None:
    d.bind(f"transpose{{[0, 2, 1]}}({x})", d.shapes[x][::-1])


@feature(3)
def convolution(d: Draft, x: str) -> None:
    height, width, channels = d.shapes[x]
    kernel = 1 if min(height, width) < 3 else int(d.rng.integers(2, 4))
    options = d.any_of(['padding = "same"', "padding = 1", "stride = 1"])
    stride = 2 if options != "padding = 1" and min(height, width) > 3 and d.chance(0.3) else 1
    groups = channels if channels == 2 and d.chance(0.3) else 1
    units = 2 if d.small else int(2 * d.rng.integers(1, 3))
    attributes = [str(units), str(kernel)]
    pad = 0
    if options != "stride = 1":
        attributes.append(options)
    attributes += [f"stride = {stride}"] * (stride > 1) + [f"groups = {groups}"] * (groups > 1)
    if options == "padding = 1":
        pad = 2
    rows, columns = (
        -(-size // stride) if options == 'padding = "same"' else (size + pad - kernel) // stride + 1
        for size in (height, width)
    )
    d.bind(f"{x} |> conv2d{{{', '.join(attributes)}}} |> tanh", (rows, columns, units))


@feature(3)
def windowed(d: Draft, x: str) -> None:
    """Pooling by the primitive that everything of the kind is written with."""
    _pool(d, x, [f"{name}{{axis = [3, 4]}}(windows{{axis = [1, 2], size = 2, stride = 2}}({x}))"
                 for name in ("max", "mean", "min")])  # fmt: skip


@feature(3)
def pooled(d: Draft, x: str) -> None:
    _pool(d, x, [f"{x} |> max_pool2d", f"{x} |> avg_pool2d"])


def _pool(d: Draft, x: str, forms: list[str]) -> None:
    """Halves both sides where there is something to halve."""
    height, width, channels = d.shapes[x]
    if min(height, width) < 2:
        d.bind(f"{x} |> sigmoid", d.shapes[x])
    else:
        d.bind(d.any_of(forms), (height // 2, width // 2, channels))


@feature(3)
def mean_of_image(d: Draft, x: str) -> None:
    d.bind(f"mean{{axis = [1, 2]}}({x})", d.shapes[x][-1:])


@feature(3)
def rows_as_steps(d: Draft, x: str) -> None:
    height, width, channels = d.shapes[x]
    d.bind(
        f"reshape{{[dim{{0}}({x}), {height}, {width * channels}]}}({x})", (height, width * channels)
    )
