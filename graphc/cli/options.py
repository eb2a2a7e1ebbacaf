"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import click

from graphc.backends.targets import TARGETS
from graphc.cli.terminal import Terminal

__all__ = [
    "Precision",
    "at_option",
    "data_option",
    "json_option",
    "output_options",
    "set_option",
    "settings_options",
    "sizes_option",
    "target_option",
]

Precision = Literal["f32", "f64"]
F = TypeVar("F", bound=Callable[..., Any])


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise click.BadParameter(f"'{text}' is not NAME=VALUE", ctx=ctx, param=param)
        pairs[name.strip()] = value.strip()
    return pairs


def _sizes(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, value in _pairs(ctx, param, values).items():
        if not value.isdecimal():
            raise click.BadParameter(f"'{value}' is not a number of elements", ctx=ctx, param=param)
        sizes[name] = int(value)
    return sizes


def _into_terminal(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    terminal = ctx.ensure_object(Terminal)
    if value:
        setattr(terminal, str(param.name), True)


at_option = click.option(
    "--at",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_pairs,
    help="Example value of an input, as in --at x=2. Repeatable.",
)
data_option = click.option(
    "--data",
    metavar="FOLDER|FILE",
    help="Folder that the data section's files lie in, or a data file (.npz or .csv) in place of "
    "them.",
)
json_option = click.option(
    "--json",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_into_terminal,
    help="Print the result, or the errors, as JSON.",
)

sizes_option = click.option(
    "--size",
    "sizes",
    multiple=True,
    metavar="NAME=N",
    callback=_sizes,
    help="With --report: another symbolic dimension, as in --size t=20. Repeatable.",
)

set_option = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_pairs,
    help="Value of a hyper, or of a key as in train.epochs=5. Repeatable.",
)

TARGET = click.Choice([*TARGETS, "auto"])

target_option = click.option(
    "--target",
    type=TARGET,
    default=next(iter(TARGETS)),
    show_default=True,
    help="What computes: "
    + ", ".join(f"{target.name} ({target.library}, {target.device})" for target in TARGETS.values())
    + ", or auto, a GPU where one works and the model is large enough to gain.",
)


def settings_options(function: F) -> F:
    """``--set``, ``--at`` and ``--precision``: how a model file is compiled."""
    for option in (
        click.option(
            "--precision", type=click.Choice(["f32", "f64"]), help="Precision of real numbers."
        ),
        at_option,
        set_option,
    ):
        function = option(function)
    return function


def output_options(function: F) -> F:
    """``--no-color`` and ``--quiet``."""
    for option in (
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_into_terminal,
            help="No progress, no warnings, no hints.",
        ),
        click.option(
            "--no-color",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_into_terminal,
            help="Plain text, also on a terminal (NO_COLOR does the same).",
        ),
    ):
        function = option(function)
    return function
