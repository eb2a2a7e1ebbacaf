"""Functions that a module holds on request: per-example gradients, products with tangents, the
diagonal of the Hessian propagated backwards and what it is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from graphc.backends.printing.functions import print_function
from graphc.backends.printing.plain import PlainBody
from graphc.backends.printing.writer import Writer, quoted
from graphc.model.program import Program, Programs

__all__ = ["print_products"]

_DOCS = {
    "hessian_vector_products": "The objective's Hessian times each tangent",
    "gauss_newton_products": "The generalised Gauss-Newton matrix times each tangent",
    "penalty_products": "The Hessian of the penalties times each tangent",
}
_STEMS = {
    "hessian_vector_products": "Hv",
    "gauss_newton_products": "Gv",
    "penalty_products": "Pv",
    "layer_hessian_products": "d",
}
_OF_BATCH = {
    "per_example_gradients": (
        "gradient",
        "d",
        "Gradients of the objective of each example alone: [n, …] by parameter.",
    ),
    "backpropagated_diagonal": (
        "product",
        "h",
        "The diagonal of the objective's Hessian as it is propagated backwards, by parameter.",
    ),
    "layer_inputs": (
        "product",
        "x",
        "What each weight of one linear map is multiplied by: [rows, fan in].",
    ),
    "layer_curvatures": (
        "product",
        "h",
        "n times the second derivatives by the outputs of those maps: [rows, fan out].",
    ),
    "layer_gradients": (
        "product",
        "d",
        "The objective's gradient by the outputs of linear maps, by weight: [n, fan out].",
    ),
}
"""Role of the roots, stem of their variables, docstring."""


def print_products(w: Writer, programs: Programs, kind: type[PlainBody]) -> None:
    """Every function of ``programs.products``."""
    for name, program in programs.products.items():
        if name in _OF_BATCH:
            role, stem, doc = _OF_BATCH[name]
            _print(w, program, kind, f"{name}(state, batch)", program.named(role), stem, doc)
        elif name == "layer_hessian_products":
            doc = (
                "How layers' gradients, and inputs (`W:input`), move along each tangent of outputs."
            )
            head = f"{name}(state, batch, tangents)"
            _print(w, program, kind, head, program.named("product"), _STEMS[name], doc)
        else:
            doc = f"{_DOCS[name]}, both [k, …] by parameter."
            head, stem = f"{name}(state, batch, tangents)", _STEMS[name]
            _print(w, program, kind, head, program.named("product"), stem, doc)


def _print(
    w: Writer,
    program: Program,
    kind: type[PlainBody],
    head: str,
    roots: Mapping[str, int],
    stem: str,
    doc: str,
) -> None:
    """A function that returns the roots; the variable of one is ``stem_name``."""

    def finish(body: PlainBody, out: Writer) -> None:
        body.let_go()
        shared = {id for id, count in Counter(roots.values()).items() if count > 1}
        items = [f"{quoted(n)}: {body.own_array(i, shared=i in shared)}" for n, i in roots.items()]
        body.give_back(out, items, "state")

    hints = {id: f"{stem}_{name}" for name, id in roots.items()}
    print_function(w, program, kind, f"def {head}:", doc, roots.values(), hints, finish)
