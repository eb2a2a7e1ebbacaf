"""Formulas in Unicode and in LaTeX, from one rule an operator.

An operator writes its formula against :class:`Notation`; the two notations differ only in how
sums, fractions, powers and names look. A :class:`Formula` knows how tightly it binds, so that
parentheses appear where they are needed and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["LATEX", "UNICODE", "Binds", "Formula", "Latex", "Notation"]


class Binds(IntEnum):
    """How tightly a formula holds together, loosest first."""

    SUM = 1
    QUOTIENT = 2
    PRODUCT = 3
    POWER = 4
    ATOM = 5


@dataclass(frozen=True, slots=True)
class Formula:
    """Text of a formula in one notation."""

    text: str
    binds: Binds = Binds.ATOM

    def __str__(self) -> str:
        return self.text


_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SUBSCRIPT = str.maketrans("0123456789,", "₀₁₂₃₄₅₆₇₈₉,")
_TIGHT = re.compile(r" (?=[−+/·])|(?<=[−+/·]) ")


class Notation:
    """Unicode, for terminals and generated source; :class:`Latex` changes what differs."""

    minus = "−"
    times = "·"

    # -- atoms

    def symbol(self, name: str) -> Formula:
        """A value by its name."""
        return Formula(name)

    def number(self, value: float | int | bool) -> Formula:
        """A number, as short as it can be told from others."""
        if isinstance(value, bool):
            return Formula("true" if value else "false")
        if value != value or value in (float("inf"), float("-inf")):
            text = self.undefined if value != value else self.infinity
        else:
            text = str(int(value)) if abs(value) < 1e15 and value == int(value) else f"{value:.6g}"
            text = self.scientific(text.lstrip("-"))
        return Formula(f"{self.minus}{text}", Binds.SUM) if value < 0 else Formula(text)

    infinity = "∞"
    undefined = "NaN"

    def scientific(self, text: str) -> str:
        mantissa, _, exponent = text.partition("e")
        if not exponent:
            return text
        return f"{mantissa}·10{str(int(exponent)).translate(_SUPERSCRIPT)}"

    def adjoint(self, name: str) -> Formula:
        """∂objective/∂name: a bar over one letter, ``∂name`` for longer names."""
        return Formula(f"{name}\u0304" if len(name) == 1 else f"∂{name}")

    # -- arithmetic

    def add(self, a: Formula, b: Formula) -> Formula:
        if b.text.startswith(self.minus) and b.binds == Binds.SUM:
            return Formula(f"{a} {self.minus} {b.text.removeprefix(self.minus)}", Binds.SUM)
        return Formula(f"{a} + {b}", Binds.SUM)

    def subtract(self, a: Formula, b: Formula) -> Formula:
        return Formula(f"{a} {self.minus} {self.fence(b, Binds.QUOTIENT)}", Binds.SUM)

    def negative(self, a: Formula) -> Formula:
        return Formula(f"{self.minus}{self.fence(a, Binds.QUOTIENT)}", Binds.SUM)

    def multiply(self, a: Formula, b: Formula) -> Formula:
        left, right = (self.fence(x, Binds.PRODUCT) for x in (a, b))
        return Formula(f"{left}{self.times}{right}", Binds.PRODUCT)

    def divide(self, a: Formula, b: Formula) -> Formula:
        left, right = self.fence(a, Binds.PRODUCT), self.fence(b, Binds.POWER)
        return Formula(f"{left} / {right}", Binds.QUOTIENT)

    def power(self, a: Formula, b: Formula) -> Formula:
        base = self.fence(a, Binds.ATOM)
        if re.fullmatch(r"\d{1,2}", b.text):
            return Formula(f"{base}{b.text.translate(_SUPERSCRIPT)}", Binds.POWER)
        return Formula(f"{base}^{self.fence(b, Binds.ATOM)}", Binds.POWER)

    # -- functions and marks

    def call(self, name: str, *args: Formula) -> Formula:
        """A function of arguments: ``tanh(x)``."""
        return Formula(f"{self.function(name)}({', '.join(map(str, args))})")

    def function(self, name: str) -> str:
        return _GREEK_FUNCTIONS.get(name, (name, ""))[0]

    def root(self, a: Formula) -> Formula:
        return Formula(f"√{self.fence(a, Binds.ATOM)}", Binds.POWER)

    def between(self, left: str, a: Formula, right: str) -> Formula:
        """Inside bars or brackets: ``|x|``, ``⌊x⌋``."""
        return Formula(f"{left}{a}{right}")

    def truth(self, a: Formula, sign: str, b: Formula) -> Formula:
        """1 where the comparison holds, else 0: Iverson's bracket."""
        return Formula(f"[{a} {self.sign(sign)} {b}]")

    def sign(self, text: str) -> str:
        return {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥", "&": "∧", "|": "∨"}.get(text, text)

    def total(self, mark: str, a: Formula, axes: Sequence[int] | None = None) -> Formula:
        """A reduction: ``Σ x``, ``max₁ x``; ``axes`` None is all of them."""
        under = "" if axes is None else ",".join(map(str, axes)).translate(_SUBSCRIPT)
        return Formula(f"{self.mark(mark)}{under} {self.fence(a, Binds.QUOTIENT)}", Binds.PRODUCT)

    def mark(self, name: str) -> str:
        return {"sum": "Σ", "prod": "Π"}.get(name, name)

    def transpose(self, a: Formula) -> Formula:
        return Formula(f"{self.fence(a, Binds.ATOM)}ᵀ", Binds.POWER)

    def index(self, a: Formula, *items: str) -> Formula:
        """Elements of a tensor: ``x[0, 1:3]``."""
        return Formula(f"{self.fence(a, Binds.ATOM)}[{', '.join(items)}]")

    # -- parentheses

    def fence(self, a: Formula, least: Binds) -> str:
        """The text, in parentheses where it binds more loosely than ``least``."""
        return a.text if a.binds >= least else f"({_TIGHT.sub('', a.text)})"


class Latex(Notation):
    """LaTeX's mathematics mode."""

    minus = "-"
    times = r" \cdot "
    infinity = r"\infty"
    undefined = r"\mathrm{NaN}"

    def symbol(self, name: str) -> Formula:
        if name in _GREEK:
            return Formula(f"\\{name}")
        return Formula(name if len(name) == 1 else f"\\mathit{{{_escaped(name)}}}")

    def scientific(self, text: str) -> str:
        mantissa, _, exponent = text.partition("e")
        return f"{mantissa} \\cdot 10^{{{int(exponent)}}}" if exponent else text

    def adjoint(self, name: str) -> Formula:
        inner = self.symbol(name).text
        return Formula(f"\\bar{{{inner}}}" if len(name) == 1 else f"\\partial {inner}")

    def divide(self, a: Formula, b: Formula) -> Formula:
        return Formula(f"\\frac{{{a}}}{{{b}}}", Binds.PRODUCT)

    def power(self, a: Formula, b: Formula) -> Formula:
        return Formula(f"{self.fence(a, Binds.ATOM)}^{{{b}}}", Binds.POWER)

    def call(self, name: str, *args: Formula) -> Formula:
        inner = ", ".join(map(str, args))
        return Formula(f"{self.function(name)}\\left({inner}\\right)")

    def function(self, name: str) -> str:
        if name in _GREEK_FUNCTIONS:
            return _GREEK_FUNCTIONS[name][1]
        return f"\\{name}" if name in _LATEX_NAMES else f"\\operatorname{{{_escaped(name)}}}"

    def root(self, a: Formula) -> Formula:
        return Formula(f"\\sqrt{{{a}}}")

    def between(self, left: str, a: Formula, right: str) -> Formula:
        return Formula(f"\\left{_BARS[left]} {a} \\right{_BARS[right]}")

    def truth(self, a: Formula, sign: str, b: Formula) -> Formula:
        return Formula(f"\\left[{a} {self.sign(sign)} {b}\\right]")

    def sign(self, text: str) -> str:
        signs = {"==": "=", "!=": r"\neq", "<=": r"\leq", ">=": r"\geq", "&": r"\wedge"}
        return {**signs, "|": r"\vee"}.get(text, text)

    def total(self, mark: str, a: Formula, axes: Sequence[int] | None = None) -> Formula:
        under = "" if axes is None else f"_{{{','.join(map(str, axes))}}}"
        return Formula(f"{self.mark(mark)}{under} {self.fence(a, Binds.QUOTIENT)}", Binds.PRODUCT)

    def mark(self, name: str) -> str:
        return {"sum": r"\sum", "prod": r"\prod"}.get(name) or self.function(name)

    def transpose(self, a: Formula) -> Formula:
        return Formula(f"{{{self.fence(a, Binds.ATOM)}}}^{{\\top}}", Binds.POWER)

    def index(self, a: Formula, *items: str) -> Formula:
        return Formula(f"{{{self.fence(a, Binds.ATOM)}}}_{{{', '.join(items)}}}")

    def fence(self, a: Formula, least: Binds) -> str:
        return a.text if a.binds >= least else f"\\left({a}\\right)"


def _escaped(name: str) -> str:
    return re.sub(r"([_#$%&{}])", r"\\\1", name)


_GREEK = frozenset(
    (
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "pi",
        "rho",
        "sigma",
        "tau",
        "phi",
        "chi",
        "psi",
        "omega",
    )
)
_GREEK_FUNCTIONS = {"sigmoid": ("σ", r"\sigma")}
_LATEX_NAMES = frozenset(
    (
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "arcsin",
        "arccos",
        "arctan",
        "exp",
        "log",
        "max",
        "min",
    )
)
_BARS = {"|": "|", "⌊": r"\lfloor", "⌋": r"\rfloor", "‖": r"\|"}

UNICODE = Notation()
LATEX = Latex()
