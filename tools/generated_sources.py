"""Write what the graphc on the path generates for model files, as JSON: for source_changes.py.

    python tools/generated_sources.py CODE OUTPUT MODEL...

CODE is the folder that graphc must come from. OUTPUT gets an object by model name, see `generated`.
Old revisions run this file too, so it asks them for little.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from module_parts import parts

PRODUCTS = (
    "per_example_gradients",
    "hessian_vector_products",
    "gauss_newton_products",
    "backpropagated_diagonal",
    "layer_inputs",
    "layer_curvatures",
    "layer_gradients",
    "layer_hessian_products",
    "penalty_products",
)
TARGETS = ("cupy",)
"""Beside NumPy."""


def main(code: str, output: str, models: list[str]) -> None:
    """Compile every model; SystemExit when another graphc than that of ``code`` is found."""
    import graphc

    home = Path(graphc.__file__).resolve().parent.parent
    if home != Path(code).resolve():
        raise SystemExit(f"graphc was loaded from {home}, not from {code}")
    found = {Path(model).stem: generated(graphc, model) for model in models}
    Path(output).write_text(json.dumps(found), encoding="utf-8")


def generated(graphc: Any, model: str) -> dict[str, Any]:
    """``module``, the source, and ``products``, what functions on request and other targets add;
    or ``error``."""
    try:
        module = graphc.compile(model).source
        return {"module": module, "products": added(graphc, model, parts(module))}
    except Exception as problem:
        return {"error": described(problem)}


def added(graphc: Any, model: str, plain: dict[str, str]) -> dict[str, str]:
    """Parts by name that functions on request and other targets add, or why there are none."""
    found = of_targets(graphc, model, plain)
    for name in PRODUCTS:
        try:
            source = graphc.compile(model, products=[name]).source
        except Exception as problem:
            found[name] = f"\n\n# no {name}: {described(problem).splitlines()[0]}\n"
            continue
        for part, text in parts(source).items():
            if plain.get(part) != text:
                key = part if found.get(part, text) == text else f"{part} with {name}"
                found[key] = text
    return found


def of_targets(graphc: Any, model: str, plain: dict[str, str]) -> dict[str, str]:
    """Parts of the modules for other targets that are not those of the plain one."""
    found: dict[str, str] = {}
    for target in TARGETS:
        try:
            source = graphc.compile(model, target=target).source
        except Exception as problem:
            found[target] = f"\n\n# not for {target}: {described(problem).splitlines()[0]}\n"
            continue
        own = {part: text for part, text in parts(source).items() if plain.get(part) != text}
        found.update({f"{part} for {target}": text for part, text in own.items()})
    return found


def described(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
