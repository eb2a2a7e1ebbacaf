"""``einsum{"nij,njk->nik"}(a, b)``: equations as they are written, made explicit for the operator.

Written ones may leave out the output (the letters that occur once, in alphabetical order), stand
``...`` for axes that broadcast, and name an axis twice in a term (its diagonal), as NumPy has it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from string import ascii_letters

from graphc.ir import Size, Value, broadcast_shapes
from graphc.model.builtin_use import REQUIRED, Builtin, Use
from graphc.model.meanings import POISON, Meaning

__all__ = ["EQUATIONS"]

_TERM = re.compile(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*")
_LONGEST = 200


class _Wrong(Exception):
    """An equation that does not parse or does not fit; the text is the error's title."""

    def __init__(self, title: str, code: str = "E241", help: str = "") -> None:
        super().__init__(title)
        self.title, self.code, self.help = title, code, help


@dataclass
class _Equation:
    """Terms and operands on their way to the explicit form."""

    text: str
    terms: list[str]
    output: str | None
    values: list[Value]
    unused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.unused = [letter for letter in ascii_letters if letter not in self.text]

    def fresh(self) -> str:
        if not self.unused:
            raise _Wrong("`einsum` has at most 52 letters, those of `...` and diagonals included")
        return self.unused.pop(0)


def _einsum(use: Use) -> Meaning:
    text = use.constant("equation")
    if isinstance(text, str):
        return _of_text(use, text)
    if text is not POISON:
        use.error("E303", '`equation` of `einsum` is a text, as in "ij,jk->ik"')
    return POISON


def _of_text(use: Use, text: str) -> Meaning:
    try:
        equation = _parsed(text, use.values)
        _check_ranks(equation)
        _expand_dots(equation)
        with use.frame.at(use.whole):
            _split_diagonals(equation)
    except _Wrong as wrong:
        return use.error(wrong.code, wrong.title, help=wrong.help)
    explicit = f"{','.join(equation.terms)}->{equation.output}"
    return use.emit("einsum", equation.values, equation=explicit)


_HELP = 'one letter an axis, a term for each tensor: einsum{"nij,njk->nik"}(a, b)'


def _parsed(text: str, values: Sequence[Value]) -> _Equation:
    plain = text.replace(" ", "")
    left, arrow, right = plain.partition("->")
    terms = left.split(",")
    whole = len(plain) <= _LONGEST and all(map(_TERM.fullmatch, [*terms, right]))
    if not whole:
        shown = text if len(text) <= 60 else f"{text[:57]}…"
        raise _Wrong(f"`{shown}` is no equation of `einsum`", help=_HELP)
    if len(terms) != len(values):
        given = f"{len(values)} tensor{'s' * (len(values) != 1)}"
        raise _Wrong(f"`{plain}` has {len(terms)} terms, but `einsum` is given {given}", help=_HELP)
    letters = "".join(terms).replace(".", "")
    for letter in right.replace(".", ""):
        if letter not in letters:
            raise _Wrong(f"`{letter}` of the output of `{plain}` is in no term")
        if right.count(letter) > 1:
            raise _Wrong(f"`{letter}` is twice in the output of `{plain}`")
    dotted = any("..." in term for term in terms)
    if arrow and dotted != ("..." in right):
        raise _Wrong(f"`...` of `{plain}` stands in the terms and in the output, or in neither")
    if not arrow:
        once = sorted(letter for letter in set(letters) if letters.count(letter) == 1)
        right = ("..." if dotted else "") + "".join(once)
    return _Equation(plain, terms, right, list(values))


def _check_ranks(equation: _Equation) -> None:
    for term, value in zip(equation.terms, equation.values, strict=True):
        letters, rank = len(term.replace(".", "")), value.type.rank
        if letters > rank or (letters < rank and "." not in term):
            named = f"{letters} ax{'is' if letters == 1 else 'es'}"
            raise _Wrong(f"`{term}` of `{equation.text}` names {named}, {value.type} has {rank}")


def _expand_dots(equation: _Equation) -> None:
    """Letters for the axes of ``...``, counted from the last; one of length 1 is dropped where
    another tensor is longer there."""
    parts = [_dotted(t, v) for t, v in zip(equation.terms, equation.values, strict=True)]
    shape = broadcast_shapes(*parts)
    if shape is None:
        raise _Wrong(f"the axes of `...` of `{equation.text}` do not broadcast", "E201")
    letters = "".join(equation.fresh() for _ in shape)
    for i, part in enumerate(parts):
        start = equation.terms[i].find(".")
        if start < 0:
            continue
        own = list(letters[len(letters) - len(part) :])
        dropped = [
            a
            for a, (size, full) in enumerate(
                zip(part, shape[len(shape) - len(part) :], strict=True)
            )
            if size != full
        ]
        equation.values[i] = _without(equation.values[i], [start + a for a in dropped])
        kept = "".join(letter for a, letter in enumerate(own) if a not in dropped)
        equation.terms[i] = equation.terms[i].replace("...", kept)
    equation.output = (equation.output or "").replace("...", letters)


def _dotted(term: str, value: Value) -> tuple[Size, ...]:
    """The dimensions that ``...`` of a term stands for."""
    start = term.find(".")
    if start < 0:
        return ()
    return value.shape[start : start + value.type.rank - (len(term) - 3)]


def _without(value: Value, axes: Sequence[int]) -> Value:
    """A tensor without some axes of length 1."""
    if not axes:
        return value
    shape = tuple(size for axis, size in enumerate(value.shape) if axis not in axes)
    return value.apply("reshape", shape=shape)


def _split_diagonals(equation: _Equation) -> None:
    """A letter that a term repeats gets another name there, equal by a factor: the identity."""
    for i, value in enumerate(list(equation.values)):
        seen: dict[str, Size] = {}
        term = ""
        for letter, size in zip(equation.terms[i], value.shape, strict=True):
            if letter not in seen:
                seen[letter] = size
                term += letter
                continue
            if seen[letter] != size:
                raise _Wrong(
                    f"`{letter}` of `{equation.text}` is {seen[letter]} and {size} in {value.type}"
                )
            other = equation.fresh()
            term += other
            equation.terms.append(letter + other)
            equation.values.append(_identity(value, size))
        equation.terms[i] = term


def _identity(value: Value, size: Size) -> Value:
    """The identity matrix."""
    places = value.builder.op("positions", size=size)
    equal = places.apply("reshape", shape=(size, 1)).apply("equal", places)
    return equal.apply("cast", kind="real")


EQUATIONS = (
    Builtin(
        "einsum",
        'sum of products by an equation: einsum{"nij,njk->nik"}(a, b)',
        _einsum,
        1,
        100,
        (("equation", REQUIRED),),
    ),
)
