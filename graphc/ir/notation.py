"""Formulas in Unicode and in LaTeX, from one rule an operator.

An operator writes its formula against :class:`Notation`; the two notations differ only in how
sums, fractions, powers and names look. A :class:`Formula` knows how tightly it binds, so that
parentheses appear where they are needed and nowhere else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["LATEX", "UNICODE", "Binds", "Formula", "Latex", "Notation"]


class Binds(IntEnum):
    """How tightly a formula holds together, loosest first."""

    SUM = 1
    QUOTIENT = 2
    TOTAL = 3
    PRODUCT = 4
    POWER = 5
    ATOM = 6


@dataclass(frozen=True, slots=True)
class Formula:
    """Text of a formula in one notation."""

    text: str
    binds: Binds = Binds.ATOM

    def __str__(self) -> str:
        return self.text


_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SUBSCRIPT = str.maketrans("0123456789,", "₀₁₂₃₄₅₆₇₈₉,")
_TIGHT = re.compile(r" (?=[−+/·⊗])|(?<=[−+/·⊗]) ")


class Notation:
    """Unicode, for terminals and generated source; :class:`Latex` changes what differs."""

    minus = "−"
    times = "·"
    crossed = " ⊗ "
    longest = 200
    """Characters of a formula beyond which its inside is left out."""

    # -- atoms

    def symbol(self, name: str) -> Formula:
        """A value by its name."""
        return Formula(name)

    def number(self, value: float | int | bool) -> Formula:
        """A number, as short as it can be told from others."""
        if isinstance(value, bool):
            return Formula("true" if value else "false")
        if value != value or value in (float("inf"), float("-inf")):
            raw = self.undefined if value != value else self.infinity
        else:
            raw = str(int(value)) if abs(value) < 1e15 and value == int(value) else f"{value:.6g}"
        text = self.scientific(raw.lstrip("-"))
        if value < 0:
            return Formula(f"{self.minus}{text}", Binds.SUM)
        return Formula(text, Binds.PRODUCT if text != raw else Binds.ATOM)

    infinity = "∞"
    undefined = "NaN"

    def scientific(self, text: str) -> str:
        mantissa, _, exponent = text.partition("e")
        if not exponent:
            return text
        mantissa = "" if mantissa == "1" else f"{mantissa}·"
        return f"{mantissa}10{str(int(exponent)).translate(_SUPERSCRIPT)}"

    def adjoint(self, name: str) -> Formula:
        """∂objective/∂name: a bar over one letter, ``∂name`` for longer names."""
        barred = unicodedata.normalize("NFC", f"{name}\u0304")
        return Formula(barred if len(name) == 1 else f"∂{name}")

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
        """``a·b``; a sum over axes goes last without parentheses: ``2·Σ x``."""
        left, right = self.fence(a, Binds.PRODUCT), self.fence(b, Binds.TOTAL)
        binds = Binds.TOTAL if b.binds == Binds.TOTAL else Binds.PRODUCT
        return Formula(f"{left}{self.times}{right}", binds)

    def outer(self, a: Formula, b: Formula) -> Formula:
        """The matrix of all products of an element of a with one of b."""
        left, right = self.fence(a, Binds.POWER), self.fence(b, Binds.POWER)
        return Formula(f"{left}{self.crossed}{right}", Binds.PRODUCT)

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
        """A function of arguments: ``tanh(x)``; the name may have attributes: ``dense{64}``."""
        title, attributes = _short_title(name)
        return Formula(f"{self.function(title)}{attributes}({', '.join(map(str, args))})")

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

    def choice(self, condition: Formula, a: Formula, b: Formula) -> Formula:
        """a where the condition holds, else b."""
        return Formula(f"({a} if {self.bare(condition)} else {b})")

    def opposite(self, truth: Formula) -> Formula:
        """1 where the condition does not hold, else 0."""
        return Formula(f"[¬{truth}]")

    def bare(self, truth: Formula) -> str:
        """A comparison without its brackets, for where a condition is expected."""
        inside = truth.text[1:-1]
        nested = "[" in inside or "]" in inside or not truth.text.startswith("[")
        return truth.text if nested else inside

    def sign(self, text: str) -> str:
        return {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥", "&": "∧", "|": "∨"}.get(text, text)

    def total(self, mark: str, a: Formula, axes: Sequence[int] | None = None) -> Formula:
        """A reduction: ``Σ x``, ``max₁ x``; ``axes`` None is all of them."""
        under = "" if axes is None else ",".join(map(str, axes)).translate(_SUBSCRIPT)
        return Formula(f"{self.mark(mark)}{under} {self.fence(a, Binds.TOTAL)}", Binds.TOTAL)

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
    crossed = r" \otimes "
    longest = 600
    infinity = r"\infty"
    undefined = r"\mathrm{NaN}"

    def symbol(self, name: str) -> Formula:
        if name in _GREEK:
            return Formula(f"\\{name}")
        if name == "…":
            return Formula(r"\dots")
        if name.endswith("′"):
            return Formula(f"{self.symbol(name[:-1])}'")
        return Formula(name if len(name) == 1 else f"\\mathit{{{_escaped(name)}}}")

    def scientific(self, text: str) -> str:
        mantissa, _, exponent = text.partition("e")
        mantissa = "" if mantissa == "1" else f"{mantissa} \\cdot "
        return f"{mantissa}10^{{{int(exponent)}}}" if exponent else text

    def adjoint(self, name: str) -> Formula:
        inner = self.symbol(name).text
        return Formula(f"\\bar{{{inner}}}" if len(name) == 1 else f"\\partial {inner}")

    def divide(self, a: Formula, b: Formula) -> Formula:
        return Formula(f"\\frac{{{a}}}{{{b}}}", Binds.PRODUCT)

    def power(self, a: Formula, b: Formula) -> Formula:
        return Formula(f"{self.fence(a, Binds.ATOM)}^{{{b}}}", Binds.POWER)

    def call(self, name: str, *args: Formula) -> Formula:
        inner = ", ".join(map(str, args))
        title, attributes = _short_title(name)
        shown = f"\\mathrm{{{_escaped(attributes)}}}" if attributes else ""
        return Formula(f"{self.function(title)}{shown}\\left({inner}\\right)")

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

    def choice(self, condition: Formula, a: Formula, b: Formula) -> Formula:
        cases = f"{a} & {self.bare(condition)} \\\\ {b} & \\text{{otherwise}}"
        return Formula(f"\\begin{{cases}} {cases} \\end{{cases}}")

    def opposite(self, truth: Formula) -> Formula:
        return Formula(f"\\left[\\neg {truth}\\right]")

    def bare(self, truth: Formula) -> str:
        inside = truth.text.removeprefix("\\left[").removesuffix("\\right]")
        whole = len(truth.text) == len(inside) + len("\\left[\\right]")
        return inside if whole and "\\left[" not in inside else truth.text

    def sign(self, text: str) -> str:
        signs = {"==": "=", "!=": r"\neq", "<=": r"\leq", ">=": r"\geq", "&": r"\wedge"}
        return {**signs, "|": r"\vee"}.get(text, text)

    def total(self, mark: str, a: Formula, axes: Sequence[int] | None = None) -> Formula:
        under = "" if axes is None else f"_{{{','.join(map(str, axes))}}}"
        return Formula(f"{self.mark(mark)}{under} {self.fence(a, Binds.TOTAL)}", Binds.TOTAL)

    def mark(self, name: str) -> str:
        return {"sum": r"\sum", "prod": r"\prod"}.get(name) or self.function(name)

    def transpose(self, a: Formula) -> Formula:
        return Formula(f"{{{self.fence(a, Binds.ATOM)}}}^{{\\top}}", Binds.POWER)

    def index(self, a: Formula, *items: str) -> Formula:
        return Formula(f"{{{self.fence(a, Binds.ATOM)}}}_{{{', '.join(items)}}}")

    def fence(self, a: Formula, least: Binds) -> str:
        return a.text if a.binds >= least else f"\\left({a}\\right)"


def _short_title(title: str) -> tuple[str, str]:
    """A definition's name and its attributes, numbers shortened; whether axes are kept goes
    without saying in a formula."""
    name, brace, attributes = title.partition("{")
    attributes = _KEEP.sub("", brace + attributes)
    attributes = _LONG_NUMBER.sub(lambda match: f"{float(match[0]):.6g}", attributes)
    return name, "" if attributes == "{}" else attributes


_KEEP = re.compile(r"(?:, |(?<=\{))keep = (?:true|false)")
_LONG_NUMBER = re.compile(r"\d+\.\d{6,}")


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
_BARS = {
    "|": "|",
    "⌊": r"\lfloor",
    "⌋": r"\rfloor",
    "⌈": r"\lceil",
    "⌉": r"\rceil",
    "‖": r"\|",
}

UNICODE = Notation()
LATEX = Latex()
