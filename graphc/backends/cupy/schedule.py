"""What a training step does on the device, as text for people: launches and calls in order."""

from __future__ import annotations

import re

from graphc.backends.cupy.memory import live_bytes, step_body
from graphc.model.program import ModelSpec, Program
from graphc.schedule import likely_sizes, opened, update_plans

__all__ = ["schedule_text"]

_KERNEL = re.compile(r"_(?:each|each_row|parts|total)\(run\.(\w+)")


def schedule_text(spec: ModelSpec, program: Program, *, reuse: bool = True) -> str:
    """Each kernel and each call of a step with its result, and the bytes that are alive there.

    Sizes that nothing gives are taken for 64.
    """
    body = step_body(opened(program), reuse=reuse)
    dims = {**dict.fromkeys(spec.symbols, 64), **likely_sizes(spec)}
    live = live_bytes(body.memory, spec.train.precision, dims)
    rows, kernels = [], 0
    for (text, comment, node), alive in zip(body.lines, live, strict=True):
        kernel = _KERNEL.match(text)
        quiet = text.startswith(("del ", "_expect")) or ("= cp.empty(" in text and kernel is None)
        if node is None or quiet or "= slopes[" in text:
            continue
        kernels += kernel is not None
        rows.append((f"kernel {kernel[1]}" if kernel else text, comment, f"{alive:,}"))
    if spec.driver is None:
        rows += [(f"update {update.title}", "", "") for update in update_plans(program)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    sizes = ", ".join(f"{name} = {value}" for name, value in dims.items())
    rows.insert(0, ("", "", "bytes held"))
    lines = [f"a step on the device{f' for {sizes}' if sizes else ''}", ""]
    lines += [
        f"{number or '':>4}  {what:<{min(widths[0], 72)}}  {where:<{widths[1]}}  {alive}".rstrip()
        for number, (what, where, alive) in enumerate(rows)
    ]
    peak = max(live, default=0)
    lines += ["", f"{kernels} kernels of groups; at most {peak:,} bytes of arrays at one time"]
    return "\n".join(lines)
