"""Programs built by hand: small models with gradients by a few lines of reverse mode."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import graphc.ops  # noqa: F401  (fills the registry of operators)
from graphc.backends.numpy import print_module
from graphc.diagnostics import Source, Span
from graphc.ir import Body, Builder, Graph, Operand, Origin, Type, Value, symbol
from graphc.model.program import (
    DataInfo,
    DataPlan,
    ModelSpec,
    OptimizerGroup,
    OptimizerState,
    OutputInfo,
    ParameterInfo,
    Program,
    Programs,
    PrunePlan,
    StateInfo,
    TrainPlan,
)
from graphc.ops.leaves import Clock, Column, Dimension, Input, Parameter, StateRead
from graphc.ops.random import Normal
from graphc.passes.updates import Updates

SOURCE = Source("models/hand.gc", "model hand\n")
SPAN = Span(SOURCE, 0, 5)
n = symbol("n")


class Sheet:
    """A builder with the leaves of a model by name."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.builder = Builder(self.graph, Origin(SPAN))

    def leaf(self, op: Any, type: Type) -> Value:
        return self.builder.place(op, (), type, getattr(op, "label", ""))

    def input(self, name: str, type: Type) -> Value:
        return self.leaf(Input(name), type)

    def column(self, name: str, type: Type) -> Value:
        return self.leaf(Column(name), type)

    def parameter(self, name: str, type: Type) -> Value:
        return self.leaf(Parameter(name), type)

    def state(self, name: str, type: Type) -> Value:
        return self.leaf(StateRead(name), type)

    def clock(self, which: str) -> Value:
        return self.builder.place(Clock(which), (), Type("real"), which)

    def size(self, size: Any = n) -> Value:
        return self.builder.place(Dimension(size), (), Type("real"))

    def named(self, value: Value, name: str) -> Value:
        self.graph[value.id].name = name
        return value


def gradients(objective: Value, wanted: Iterable[Value]) -> list[Value]:
    """∂objective/∂wanted, as the differentiate pass would build it."""
    builder, graph = objective.builder, objective.builder.graph
    parts: dict[int, Value] = {objective.id: builder.constant(1.0)}
    order = graph.topological()
    for node in reversed([x for x in order if x.id <= objective.id]):
        if node.id not in parts or node.op.arity == 0:
            continue
        xs = tuple(builder.value(i) for i in node.inputs)
        for i, source in enumerate(node.inputs):
            if graph[source].tensor.kind != "real":
                continue
            label = graph[source].name
            with builder.at(Origin(node.origin.span, (), "differentiate", label)):
                part = node.op.vjp(i, xs, builder.value(node.id), parts[node.id])
                if part is None:
                    continue
                if node.op.elementwise:
                    part = builder.unbroadcast(part, xs[i].shape)
                before = parts.get(source)
                parts[source] = part if before is None else before + part
    return [parts.get(v.id) or builder.zeros(v.type) for v in wanted]


def body(build: Callable[[Sheet], Value], title: str = "init") -> Body:
    sheet = Sheet()
    result = build(sheet)
    return Body(title, title, sheet.graph, (), (result.id,))


def drawn(shape: tuple[int, ...], place: str, scale: float) -> Body:
    return body(lambda s: s.builder.emit(Normal(shape, place)) * scale)


def filled(shape: tuple[int, ...], value: float) -> Body:
    return body(lambda s: s.builder.constant(value).apply("broadcast", shape=shape))


def parameter(name: str, shape: tuple[int, ...], init: Body | None = None) -> ParameterInfo:
    made = init or drawn(shape, name, 0.3)
    return ParameterInfo(name, Type("real", shape), made, True, SPAN)


def state(name: str, type: Type, value: float = 0.0) -> StateInfo:
    return StateInfo(name, type, body(lambda s: _full(s, type, value)), SPAN)


def _full(sheet: Sheet, type: Type, value: float) -> Value:
    number = int(value) if type.kind == "int" else value
    return sheet.builder.constant(number).apply("broadcast", shape=type.shape)


def data(name: str, role: Any, type: Type, example: Any = None) -> DataInfo:
    return DataInfo(name, role, type, example, SPAN)


SIZE = Type("real", (symbol("size"),))


def rule(labels: str, build: Callable[..., tuple[Value, ...]], title: str = "rule") -> Body:
    """An optimizer's body from a function of its operands, the first argument its sheet."""
    sheet = Sheet()
    sheet.clock("t")  # so that the ids of operands are not their positions
    operands = [
        sheet.builder.place(Operand(i, label), (), SIZE, label)
        for i, label in enumerate(labels.split())
    ]
    results = build(sheet, *operands)
    return Body(
        title,
        title,
        sheet.graph,
        tuple(o.id for o in operands),
        tuple(r.id for r in results),
    )


def sgd(names: tuple[str, ...], rate: float = 0.1) -> OptimizerGroup:
    made = rule("w g", lambda s, w, g: (w - s.builder.constant(rate) * g,))
    return OptimizerGroup(f"sgd{{{rate}}}", made, (), names)


def adam(names: tuple[str, ...], rate: Callable[[Sheet], Value] | float = 1e-3) -> OptimizerGroup:
    """Adam, as the prelude writes it."""

    def build(s: Sheet, w: Value, g: Value, m: Value, v: Value) -> tuple[Value, ...]:
        lr = s.builder.constant(rate) if isinstance(rate, float) else rate(s)
        t, one = s.clock("t"), s.builder.constant(1.0)
        beta1, beta2 = s.builder.constant(0.9), s.builder.constant(0.999)
        new_m = beta1 * m + (one - beta1) * g
        new_v = beta2 * v + (one - beta2) * g**2.0
        step = lr * (new_m / (one - beta1**t)) / ((new_v / (one - beta2**t)).apply("sqrt") + 1e-8)
        return w - step, new_m, new_v

    return OptimizerGroup(
        "adam", rule("w g m v", build), (OptimizerState("m", 0.0), OptimizerState("v", 0.0)), names
    )


def spec(
    inputs: Iterable[DataInfo] = (),
    parameters: Iterable[ParameterInfo] = (),
    groups: Iterable[OptimizerGroup] = (),
    states: Iterable[StateInfo] = (),
    **changes: Any,
) -> ModelSpec:
    settings: dict[str, Any] = {
        "name": "hand",
        "path": "models/hand.gc",
        "inputs": {i.name: i for i in inputs},
        "parameters": {p.name: p for p in parameters},
        "states": {s.name: s for s in states},
        "aliases": {},
        "groups": tuple(groups),
        "outputs": {},
        "batch": "n",
        "train": TrainPlan(),
        "data": DataPlan(),
        "prune": PrunePlan(),
        "hypers": {},
    }
    settings.update(changes)
    return ModelSpec(**settings)


Build = Callable[[Sheet, bool], Mapping[tuple[str, str], Value]]


def programs(the_spec: ModelSpec, build: Build, **others: Callable[[Sheet], Any]) -> Programs:
    """All programs of a model. ``build(sheet, training)`` gives its roots.

    ``prepare``, ``fit`` and ``restore`` may be given as functions of a sheet too.
    """

    def made(training: bool, *roles: str) -> Program:
        sheet = Sheet()
        roots = dict(build(sheet, training))
        kept = {key: value.id for key, value in roots.items() if key[0] in roles}
        if "gradient" in roles:
            leaves = {x.op.label: x.id for x in sheet.graph if isinstance(x.op, Parameter)}
            values = [sheet.builder.value(leaves[name]) for name in the_spec.learned]
            found = gradients(roots["objective", ""], values)
            kept.update(
                {("gradient", x): g.id for x, g in zip(the_spec.learned, found, strict=True)}
            )
        program = Program(the_spec, sheet.graph, kept)
        sheet.graph.keep_only(sheet.graph.ancestors(kept.values()))
        return program

    def side(name: str) -> Program:
        sheet = Sheet()
        roots = others[name](sheet) if name in others else {}
        return Program(the_spec, sheet.graph, {key: value.id for key, value in roots.items()})

    trained = bool(the_spec.learned) and ("objective", "") in build(Sheet(), True)
    step = ("objective", "gradient", "next")
    return Programs(
        spec=the_spec,
        training=Updates(decay=False).apply(made(True, *step)) if trained else None,
        evaluation=made(False, "objective", "gradient") if trained else None,
        losses=made(False, "loss", "objective"),
        metrics=made(False, "metric"),
        prediction=made(False, "output"),
        prepare=side("prepare"),
        fit=side("fit"),
        restore=side("restore"),
    )


def logsumexp(x: Value) -> Value:
    axis = (len(x.shape) - 1,)
    top = x.apply("max", axis=axis, keep=True).apply("stop_gradient")
    total = (x - top).apply("exp").apply("sum", axis=axis, keep=True)
    return (total.apply("log") + top).apply("reshape", shape=x.shape[:-1])


def mlp(
    sizes: tuple[int, ...] = (64, 32, 10),
    optimizer: Callable[..., OptimizerGroup] = adam,
    dropout: float = 0.0,
    **changes: Any,
) -> Programs:
    """ReLU layers with cross-entropy; with dropout the training program differs."""
    names, infos = [], []
    for i, (a, b) in enumerate(pairwise(sizes), start=1):
        names += [f"h{i}.dense1.W", f"h{i}.dense1.b"]
        infos += [
            parameter(names[-2], (a, b), drawn((a, b), names[-2], (2 / a) ** 0.5)),
            parameter(names[-1], (b,), filled((b,), 0.0)),
        ]
    classes = sizes[-1]
    x_info = data("x", "input", Type("real", (n, sizes[0])))
    y_info = data("y", "target", Type("label", (n,), classes))
    the_spec = spec(
        [x_info, y_info],
        infos,
        [optimizer(tuple(names))],
        outputs={"probs": OutputInfo("probs", "y")},
        **changes,
    )

    def build(s: Sheet, training: bool) -> dict[tuple[str, str], Value]:
        h = s.input("x", x_info.type)
        last = len(sizes) - 2
        for i, (weight, bias) in enumerate(zip(names[::2], names[1::2], strict=True)):
            w = s.parameter(weight, the_spec.parameters[weight].type)
            b = s.parameter(bias, the_spec.parameters[bias].type)
            h = h @ w + b
            if i < last:
                h = h.apply("maximum", 0.0)
                s.named(h, f"h{i + 1}")
                if dropout and training:
                    keep = s.builder.constant(1.0 - dropout)
                    mask = s.builder.op("draw_bernoulli", keep, shape=h.shape, place=f"drop{i}")
                    h = h * mask / keep
        logits = s.named(h, "logits")
        y = s.input("y", y_info.type)
        ce = (logsumexp(logits) - logits.apply("pick", y)).apply("sum", axis=(0,)) / s.size()
        s.named(ce, "ce")
        top = logits.apply("max", axis=(1,), keep=True)
        e = (logits - top).apply("exp")
        probs = s.named(e / e.apply("sum", axis=(1,), keep=True), "probs")
        right = logits.apply("argmax", axis=1).apply("equal", y)
        accuracy = right.apply("sum", axis=(0,)) / s.size()
        return {
            ("loss", "ce"): ce,
            ("objective", ""): ce,
            ("metric", "accuracy"): s.named(accuracy, "accuracy"),
            ("output", "probs"): probs,
        }

    def prepare(s: Sheet) -> dict[tuple[str, str], Value]:
        images = s.column("images", Type("real", (n, sizes[0])))
        return {
            ("batch", "x"): images / 16.0,
            ("batch", "y"): s.column("labels", Type("label", (n,), classes)),
        }

    return programs(the_spec, build, prepare=prepare)


def logistic(**changes: Any) -> Programs:
    """Univariate logistic least squares: no batch, scalar parameters, an example."""
    x = data("x", "input", Type("real"), 1.5)
    t = data("t", "target", Type("real"), 1.0)
    infos = [parameter(name, (), filled((), value)) for name, value in (("w", 0.8), ("b", -0.2))]
    the_spec = spec([x, t], infos, [sgd(("w", "b"))], batch=None, **changes)

    def build(s: Sheet, training: bool) -> Any:
        w, b = s.parameter("w", Type("real")), s.parameter("b", Type("real"))
        z = w * s.input("x", Type("real")) + b
        y = s.named(1.0 / (1.0 + (-z).apply("exp")), "y")
        fit = 0.5 * (y - s.input("t", Type("real"))) ** 2.0
        return {
            ("loss", "fit"): fit,
            ("output", "y"): y,
            ("objective", ""): fit + 0.05 * w**2.0,
        }

    return programs(the_spec, build)


def scheduled() -> Programs:
    """A learning rate, a dropout rate and a state that depend on the run's clocks."""
    x = data("x", "input", Type("real", (n, 3)))
    count = Type("real")
    mean = Type("real", (3,))

    def rate(s: Sheet) -> Any:
        part = s.clock("epoch") / s.clock("epochs")
        return 0.1 * (1.0 + (3.14 * part).apply("cos"))

    the_spec = spec(
        [x],
        [parameter("w", (3, 2)), parameter("c", (2,))],
        [adam(("w",), rate), sgd(("c",), 0.01)],
        [state("running", mean, 1.0), state("seen", count)],
        outputs={"z": OutputInfo("z", None)},
    )

    def build(s: Sheet, training: bool) -> Any:
        inputs = s.input("x", x.type)
        running = s.state("running", mean)
        z = s.named((inputs - running) @ s.parameter("w", Type("real", (3, 2))), "z")
        if training:
            rate = 0.9 - 0.5 * s.clock("step") / s.clock("steps")
            keep = s.builder.op("draw_bernoulli", rate, shape=z.shape, place="here")
            z = z * keep / rate + 0.1 * s.builder.op("draw_normal", shape=z.shape, place="noise")
        z = z + s.parameter("c", Type("real", (2,)))
        objective = (z * z).apply("sum", axis=(0, 1)) / s.size()
        roots = {("objective", ""): objective, ("loss", "l"): objective, ("output", "z"): z}
        if training:
            roots["next", "running"] = 0.9 * running + 0.1 * (
                inputs.apply("sum", axis=(0,)) / s.size()
            )
            roots["next", "seen"] = s.state("seen", count) + s.size()
        return roots

    return programs(the_spec, build)


_count = 0


def load_source(source: str, folder: Path | None = None) -> Any:
    """The module that a source is; from a file where a folder is given."""
    global _count
    _count += 1
    if folder is None:
        module: dict[str, Any] = {"__name__": f"generated_{_count}"}
        exec(compile(source, "<generated>", "exec"), module)
        return SimpleNamespace(**module, source=source)
    path = folder / f"generated_{_count}.py"
    path.write_text(source, encoding="utf-8")
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None
    assert found.loader is not None
    loaded = importlib.util.module_from_spec(found)
    found.loader.exec_module(loaded)
    return loaded


def module_of(the_programs: Programs, **options: Any) -> Any:
    options.setdefault("classes", {})
    return load_source(print_module(the_programs, version="0.1.0", **options))


def random_batch(module: Any, rows: int, seed: int = 0, real: Any = np.float64) -> dict[str, Any]:
    """A batch that fits a module's signature."""
    random = np.random.default_rng(seed)
    batch: dict[str, Any] = {}
    for group in ("inputs", "targets"):
        for name, entry in module.signature[group].items():
            shape = [s if isinstance(s, int) else rows if s == "n" else 3 for s in entry["shape"]]
            if entry["kind"] == "real":
                batch[name] = np.asarray(random.standard_normal(shape)).astype(real)
            else:
                batch[name] = np.asarray(random.integers(0, entry.get("classes", 2), shape))
    return batch
