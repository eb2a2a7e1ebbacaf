"""Functions that a module holds on request: per-example gradients, products with tangents."""

from __future__ import annotations

from graphc.backends.numpy.functions import print_function
from graphc.backends.numpy.plain import PlainBody
from graphc.backends.numpy.text import DTYPES
from graphc.backends.numpy.writer import Writer, quoted
from graphc.model.program import Program, Programs

__all__ = ["print_products"]

_DOCS = {
    "per_example_gradients": "Gradients of the objective of each example alone: [n, …] by name.",
    "hessian_vector_products": "The objective's Hessian times each tangent.",
    "gauss_newton_products": "The generalised Gauss-Newton matrix times each tangent.",
}


def print_products(w: Writer, programs: Programs) -> None:
    """Every function of ``programs.products``."""
    for name, program in programs.products.items():
        if name == "per_example_gradients":
            _print(w, program, f"{name}(state, batch)", "gradient", _DOCS[name])
        else:
            doc = f"{_DOCS[name]} Tangents and results by parameter, [k, …] each."
            _print(w, program, f"{name}(state, batch, tangents)", "product", doc)


def _print(w: Writer, program: Program, head: str, role: str, doc: str) -> None:
    roots = program.named(role)

    def finish(body: PlainBody, out: Writer) -> None:
        items = [f"{quoted(n)}: {_whole(body, i)}" for n, i in roots.items()]
        out.items("return {", items, "}")

    hints = {id: f"d_{name}" for name, id in roots.items()}
    print_function(w, program, f"def {head}:", doc, roots.values(), hints, finish)


def _whole(body: PlainBody, id: int) -> str:
    """A root as an array of its own: not a view of a smaller one, nor of what was given."""
    return f"np.array({body.array_text(id)}, dtype={DTYPES['real']})"
