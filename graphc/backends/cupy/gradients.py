"""Objective and gradients on the device: functions that leave gradients in arrays given to them."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.backends.cupy.statements import DeviceBody
from graphc.backends.printing.functions import function_body, function_lines, gap
from graphc.backends.printing.plain import PlainBody
from graphc.backends.printing.writer import Writer, quoted
from graphc.model.program import Program, Programs, RootKey
from graphc.schedule.roots import step_roots

__all__ = ["pass_body", "print_passes", "training_roots"]

_DOCS = {
    "_evaluation": "in evaluation; `slopes` take the gradients",
    "_training": "in training; `slopes` take the gradients",
    "_step": "in training; `slopes` take the gradients less weight decay",
}


def print_passes(w: Writer, programs: Programs, kind: type[DeviceBody]) -> str:
    """``loss_and_gradients`` and what it calls; the name of the function that a step calls."""
    assert programs.evaluation is not None
    assert programs.training is not None
    wanted = {
        "_evaluation": (programs.evaluation, training_roots(programs.evaluation)),
        "_training": (programs.training, training_roots(programs.training)),
    }
    if programs.spec.driver is None:
        wanted["_step"] = (programs.training, step_roots(programs.training))
    parts: dict[str, list[str]] = {}
    for name, (program, roots) in wanted.items():
        same = (n for n in parts if (wanted[n][0].graph, wanted[n][1]) == (program.graph, roots))
        known_as = next(same, "")
        parts[name] = parts[known_as] if known_as else _lines(program, roots, kind)
    first: dict[tuple[str, ...], str] = {}
    known = {name: first.setdefault(tuple(lines), name) for name, lines in parts.items()}
    for name, lines in parts.items():
        if known[name] == name:
            _print_part(w, name, lines)
    _print_face(w, known["_evaluation"], known["_training"])
    return known.get("_step", "")


def training_roots(program: Program) -> dict[RootKey, int]:
    """The objective, the gradients in full and the next states."""
    roles = ("objective", "gradient", "next")
    return {key: id for key, id in program.roots.items() if key[0] in roles}


def _print_part(w: Writer, name: str, lines: Sequence[str]) -> None:
    for line in DeviceBody.decorators:
        w.line(line)
    with w.block(f"def {name}(state, batch, slopes):"):
        w.docstring(f"The objective and next states, {_DOCS[name]}.")
        w.lines.extend(lines)
    gap(w)


def _print_face(w: Writer, evaluation: str, training: str) -> None:
    with w.block("def loss_and_gradients(state, batch, training=False):"):
        w.docstring("The objective and its gradient by each parameter. Nothing is changed.")
        w.line("slopes = _slopes(state)")
        called = evaluation
        if training != evaluation:
            w.line(f"passes = {training} if training else {evaluation}")
            called = "passes"
        w.line(f"objective, _ = {called}(state, batch, slopes)")
        w.line("_expect_no_trouble()")
        w.line("return float(objective), _given_back(slopes, state)")
    gap(w)


def pass_body(program: Program, roots: dict[RootKey, int], kind: type[DeviceBody]) -> DeviceBody:
    """The statements that compute some roots, gradients written to where they are wanted."""
    others = {id for (role, _), id in roots.items() if role != "gradient"}
    targets: dict[int, str] = {}
    hints = {id: f"{name}_next" for (role, name), id in roots.items() if role == "next"}
    for (role, name), id in roots.items():
        if role == "gradient":
            hints.setdefault(id, f"d_{name}")
            if id not in others:
                targets.setdefault(id, f"slopes[{quoted(name)}]")
    hints.setdefault(roots["objective", ""], "objective")
    body = function_body(program, kind, dict.fromkeys(roots.values()), hints, targets=targets)
    assert isinstance(body, DeviceBody)
    body.let_go()
    return body


def _lines(program: Program, roots: dict[RootKey, int], kind: type[DeviceBody]) -> list[str]:
    """The statements of a part, from its state and batch to what it returns."""
    body = pass_body(program, roots, kind)

    def finish(_: PlainBody, out: Writer) -> None:
        for (role, name), id in roots.items():
            target = f"slopes[{quoted(name)}]"
            if role == "gradient" and body.written.get(id) != target:
                out.line(f"cp.copyto({target}, {body.as_array(id)})")
        following = {name: id for (role, name), id in roots.items() if role == "next"}
        items = [f"{quoted(n)}: {body.as_array(i)}" for n, i in following.items()]
        out.items(f"return {body.as_array(roots['objective', ''])}, {{", items, "}")

    return function_lines(program, body, "batch", finish).lines
