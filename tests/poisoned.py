"""A model whose every name and title is bad, and names that are: for tests of several targets."""

from __future__ import annotations

from typing import Any

import handmade
from handmade import Sheet, data, n, parameter, spec

from graphc.diagnostics import Source, Span
from graphc.ir import Origin, Type
from graphc.model.program import OutputInfo, Programs

__all__ = ["BAD", "POISON", "poisoned"]

BAD = [
    "__import__",
    "np",
    "state",
    "batch",
    "self",
    "print",
    "lambda",
    "real",
    "n",
    "step",
    "objective",
    "gradients",
    "loss_and_gradients",
    "add",
    "c_0_0",
    "μ",
    "µ",
    "名前",
    "1abc",
    "",
    "_",
    "a b\nimport os",
    '"); raise SystemExit #',
    "'''",
    '"""',
    "\\",
    "{state}",
    "x" * 300,
    "\u202eevil",
    "h_1",
    "h",
]
POISON = 'x"""\n\nraise SystemExit("escaped")\n# \u2028 \\" \' {0}'


def poisoned(names: list[str]) -> Programs:
    """A model whose every name is bad."""
    kind = Type("real", (n, 2))
    source = Source(POISON, POISON)
    parameters = [parameter(f"p{name}" if name in ("step", "") else name, (2,)) for name in names]
    labels = [info.name for info in parameters]
    the_spec = spec(
        [data(name, "input", kind) for name in names],
        parameters,
        [handmade.adam(tuple(labels))],
        name=POISON,
        path=POISON,
        outputs={name: OutputInfo(name, None) for name in names},
    )

    def build(s: Sheet, training: bool) -> Any:
        s.builder.origin = Origin(Span(source, 0, 3))
        total = s.builder.constant(0.0)
        roots: dict[Any, Any] = {}
        for name, label in zip(names, labels, strict=True):
            z = s.input(name, kind) * s.parameter(label, Type("real", (2,)))
            z = s.named(z.apply("maximum", 0.0), name)
            roots["output", name] = z
            total = total + s.named((z * z).apply("sum", axis=(0, 1)), name)
        roots["loss", POISON] = roots["objective", ""] = total
        roots["metric", POISON] = total + 1.0
        return roots

    def prepare(s: Sheet) -> Any:
        return {("batch", name): s.column(POISON + name, kind) * 2.0 for name in names}

    return handmade.programs(the_spec, build, prepare=prepare)
