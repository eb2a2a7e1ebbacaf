"""What to say of a text that the grammar does not allow: the usual mistakes, each with its cure.

Every rule is a function from the place of a mistake to a diagnostic, or None where it does not
apply; the first of :data:`_RULES` that applies speaks. Finding the place and going on after it is
the parser's work.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from lark import Token

from graphc.diagnostics import Diagnostic, Label, Source, Span

__all__ = ["Place", "explain"]


_VALUE_ENDS = frozenset(
    {"NAME", "PRIMED", "NUMBER", "STRING", "TRUE", "FALSE", "RPAR", "RSQB", "RBRACE"}
)
_NOT_AFTER_VALUE = frozenset({"NUMBER", "EQUAL", "COLON", "TILDE", "_IN", "BROKEN", "KIND"})


@dataclass(frozen=True)
class Place:
    """Where the parser could not go on.

    ``text`` is the laid-out text, ``token`` what was found (its type is empty where it is no token
    at all), ``last`` the token before it, ``start`` where the statement begins, and ``accepted``
    the terminals that would have been right.
    """

    source: Source
    text: str
    token: Token
    last: Token | None
    start: int
    accepted: frozenset[str]

    @property
    def offset(self) -> int:
        return self.token.start_pos or 0

    @property
    def before(self) -> str:
        """What the statement says before the mistake."""
        return self.text[max(self.start, self.offset - 1000) : self.offset]

    @property
    def after_value(self) -> bool:
        """Whether a value is complete here, so that an operator could follow."""
        if "PLUS" in self.accepted:
            return True
        # The parser may have closed the expression before it saw that the token does not fit.
        complete = self.last is not None and self.last.type in _VALUE_ENDS
        return complete and not self.accepted & _NOT_AFTER_VALUE

    @property
    def wants_value(self) -> bool:
        return "NUMBER" in self.accepted

    @property
    def is_word(self) -> bool:
        return self.token[:1].isidentifier()

    @property
    def at_line_end(self) -> bool:
        return self.token.startswith("\n") or not self.token

    def error(
        self,
        code: str,
        title: str,
        *,
        label: str = "",
        labels: tuple[Label, ...] = (),
        length: int | None = None,
        help: str = "",
    ) -> Diagnostic:
        if length is None:
            length = 0 if self.at_line_end else len(self.token)
        start = min(self.offset, len(self.source.text))
        end = min(start + length, len(self.source.text))
        span = Span(self.source, start, end)
        return Diagnostic("error", code, title, span, label, labels, (), help)


def explain(place: Place) -> Diagnostic:
    """The diagnostic for a mistake."""
    for rule in _RULES:
        diagnostic = rule(place)
        if diagnostic is not None:
            return diagnostic
    return _unexpected(place)


# ------------------------------------------------------------------------------------ characters

_INSTEAD = {
    "≤": "<=", "≥": ">=", "≠": "!=", "×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "−": "-",
    "–": "-", "—": "-", "→": "|>", "²": "^2", "³": "^3", "√": "sqrt(…)", "∑": "sum(…)",
    "∞": "1e308", "…": "...", "≈": "==",
}  # fmt: skip
_SMART_QUOTES = frozenset("“”„‟«»‘’‚`")
_ADVICE = {
    ";": "every statement stands on a line of its own, without `;`",
    "%": "`%` stands directly after a number, as in `80%`; for remainders there is no operator",
    "&": "write `and`",
    "|": "write `or`; `|>` feeds a value into a call",
    "!": "write `not`; `!=` compares",
    "\\": "a line goes on inside brackets, or when the next one starts with `|>`",
    "\u00a0": "this is a no-break space: replace it with an ordinary one",
    "?": "write `a if condition else b`",
    "$": "names are written without a sign before them",
}


def _single_quote(place: Place) -> Diagnostic | None:
    if place.token != "'":
        return None
    return place.error(
        "E102",
        "`'` starts no text",
        help='write text between double quotes: "text"; a prime belongs to a name, as in m\'',
    )


def _other_character(place: Place) -> Diagnostic | None:
    if place.token.type:
        return None
    character = str(place.token)
    title = f"unexpected character `{character}`"
    if character in _INSTEAD:
        return place.error("E102", title, help=f"write `{_INSTEAD[character]}`")
    if character in _SMART_QUOTES:
        return place.error("E102", title, help='write text between straight double quotes: "text"')
    return place.error("E102", title, help=_ADVICE.get(character, ""))


# --------------------------------------------------------------------------------------- numbers


def _malformed_number(place: Place) -> Diagnostic | None:
    last = place.last
    if last is None or last.end_pos != place.offset or last.type != "NUMBER":
        return None
    rest = re.compile(r"[\w.]+").match(place.text, place.offset)
    if rest is None:
        return None
    start = last.start_pos or 0
    written = place.text[start : rest.end()]
    span = Span(place.source, start, rest.end())
    help_text = _number_help(str(last), rest.group())
    return Diagnostic("error", "E105", f"`{written}` is not a number", span, help=help_text)


def _number_help(number: str, rest: str) -> str:
    if rest == ".":
        return f"write `{number}.0`, or `{number}`"
    if number == "0" and rest[0] in "xXoObB":
        return "numbers are written in decimal"
    if rest.startswith("_"):
        return f"write the digits without `_`: `{number}{rest.replace('_', '')}`"
    if rest[0].isalpha() and rest.isidentifier() and rest not in ("e", "E"):
        return f"for a product write `{number} * {rest}`"
    return "numbers are written as in `3`, `0.5`, `1e-3` or `80%`"


def _leading_point(place: Place) -> Diagnostic | None:
    digits = re.compile(r"\.([0-9]+)").match(place.text, place.offset)
    if digits is None or place.after_value:
        return None
    return place.error(
        "E105",
        f"`{digits.group()}` is not a number",
        length=len(digits.group()),
        help=f"write `0{digits.group()}`",
    )


# ----------------------------------------------------------------------------- braces and blocks

_BLOCK_HEAD = re.compile(r"\s*(?:\}\s*)?(data|train|regularize|prune|if|repeat|else)\b")


def _brace_apart(place: Place) -> Diagnostic | None:
    if place.token != "{" or place.last is None or not place.after_value:
        return None
    name = str(place.last)
    if not name.isidentifier() or "LBRACE" in place.accepted:
        return None
    return place.error(
        "E101",
        "an attribute brace touches the name before it",
        help=f"write `{name}{{…}}` without a space",
    )


def _block_brace_touches(place: Place) -> Diagnostic | None:
    head = _BLOCK_HEAD.match(place.text, place.start)
    if head is None:
        return None
    brace = re.compile(r"[^\n{]*[\w](\{)").match(place.text, head.start())
    if brace is None or place.offset < brace.start(1) or place.accepted == {"LBRACE"}:
        return None
    if head[1] == "if" and place.after_value and "LBRACE" not in place.accepted:
        return None
    start = brace.start(1)
    span = Span(place.source, start, start + 1)
    return Diagnostic(
        "error",
        "E101",
        "the brace of a block stands after a space",
        span,
        help=f"write `{head[1]} … {{`: a brace that touches a name holds attributes",
    )


# ----------------------------------------------------------------------------------- operators


def _comment_sign(place: Place) -> Diagnostic | None:
    written = place.text[place.offset : place.offset + 2]
    if written in ("/*", "*/") or (written == "//" and not place.after_value):
        return place.error(
            "E101", f"`{written}` is no comment", length=2, help="a comment starts with `#`"
        )
    joined = place.text[place.offset - 1 : place.offset + 1]
    if joined == "/*":
        return place.error("E101", "`/*` is no comment", help="a comment starts with `#`")
    if place.is_word and "//" in place.before:
        return place.error(
            "E101",
            f"unexpected {_quoted(place.token)}",
            help="a comment starts with `#`; `//` divides whole numbers",
        )
    return None


def _double_star(place: Place) -> Diagnostic | None:
    if place.token != "*" or place.text[place.offset - 1] != "*":
        return None
    return place.error("E101", "`**` is no operator", help="the power is `^`: `x^2`")


def _chained_comparison(place: Place) -> Diagnostic | None:
    if place.token.type != "COMPARE" or not place.after_value:
        return None
    return place.error(
        "E110",
        "comparisons do not chain",
        help="compare twice: `a < b and b < c`",
    )


def _single_equals(place: Place) -> Diagnostic | None:
    if place.token != "=" or "COMPARE" not in place.accepted:
        return None
    head = re.compile(r"[^\W\d]\w*").search(place.before)
    if (head is not None and head.group() in ("if", "minimize", "return")) or "if" in place.before:
        return place.error("E101", "`=` binds a name", help="`==` compares")
    return place.error("E101", "unexpected `=`", help="`==` compares; `=` follows a name only")


def _updating_equals(place: Place) -> Diagnostic | None:
    operator = place.text[place.offset - 1 : place.offset]
    if place.token == "=" and place.wants_value and operator and operator in "+-*/@^":
        return place.error(
            "E101", f"`{operator}=` is no operator", help=f"write `y = x {operator} …` in full"
        )
    written = place.text[place.offset : place.offset + 2]
    if written in ("+=", "-=", "*=", "/=", "@=", "^=", ":="):
        cure = "bind with `=`" if written == ":=" else f"write `y = x {written[0]} …` in full"
        return place.error("E101", f"`{written}` is no operator", length=2, help=cure)
    return None


# ---------------------------------------------------------------------------------- statements

_FOREIGN = {
    "import": 'definitions come from another file with `use "file.gc"`',
    "from": 'definitions come from another file with `use "file.gc"`',
    "include": 'definitions come from another file with `use "file.gc"`',
    "for": "write `repeat i in 1..3 { … }`",
    "while": "only `repeat i in 1..3 { … }` repeats; its count is known when compiled",
    "fn": "write `def f(x) = …`",
    "func": "write `def f(x) = …`",
    "function": "write `def f(x) = …`",
    "lambda": "write `def f(x) = …`",
    "class": "write `layer L{units}(x) { … }`",
    "module": "write `layer L{units}(x) { … }`",
    "let": "write `name = …`",
    "var": "write `name = …`",
    "const": "write `hyper name = …` or `name = …`",
    "elif": "write `else if`",
    "switch": "write `if … { … } else if … { … }`",
    "maximize": "write `minimize -…`",
    "objective": "write `minimize …`",
}
_SECTIONS = ("data", "train", "regularize", "prune")
_KEYWORDS = (
    "model", "use", "hyper", "input", "target", "param", "state", "loss", "metric", "output",
    "minimize", "def", "layer", "optimizer", "repeat", "data", "train", "regularize", "prune",
    "return", "derivative",
)  # fmt: skip
_FOLLOWED_BY = {
    "use": 'the file is written as text: `use "blocks.gc"`',
    "derivative": "`derivative` stands below a `def`",
    **{name: f"`{name}` opens a block: `{name} {{ … }}`" for name in _SECTIONS},
    **{
        name: f"as a keyword, `{name}` is followed by a name"
        for name in _KEYWORDS
        if name not in (*_SECTIONS, "use", "derivative", "return", "minimize")
    },
}


def _head(place: Place) -> str:
    """The first word of the statement."""
    word = re.compile(r"[\s{}]*([^\W\d]\w*)").match(place.text, place.start)
    return word[1] if word is not None else ""


def _foreign_statement(place: Place) -> Diagnostic | None:
    import difflib

    head = _head(place)
    last = place.last
    second = last is not None and str(last) == head and place.is_word
    if not second and not (place.token == head and place.is_word):
        return None
    if head in _FOREIGN:
        title = f"`{head}` is no statement of the language"
        return place.error("E101", title, help=_FOREIGN[head])
    if not second or "EQUAL" not in place.accepted:
        return None
    if head in _FOLLOWED_BY:
        return place.error("E101", _title(place), help=_FOLLOWED_BY[head])
    near = difflib.get_close_matches(head.lower(), _KEYWORDS, n=1)
    hint = f"did you mean `{near[0]}`?" if near else "a statement starts with a keyword or `name =`"
    return place.error("E101", f"`{head}` is no keyword of a statement", help=hint)


def _python_definition(place: Place) -> Diagnostic | None:
    if place.token != ":" or _head(place) not in ("def", "layer", "if", "repeat", "else"):
        return None
    if not {"EQUAL", "LBRACE"} & place.accepted:
        return None
    cure = {
        "def": "write `def f(x) = …`, or `def f(x) { … }`",
        "layer": "write `layer L{units}(x) { … }`",
    }
    block = "a block stands in braces: `{ … }`"
    return place.error("E101", "unexpected `:`", help=cure.get(_head(place), block))


def _incomplete_declaration(place: Place) -> Diagnostic | None:
    head = _head(place)
    cures = {
        "COLON": {
            "input": "write its type: `input x: real[n, 64]`",
            "target": "write its type: `target y: label{10}[n]`",
            "param": "write its type: `param w: real[3] = 0`",
        },
        "EQUAL": {
            "loss": "a loss has a name: `loss fit = …`",
            "metric": "a metric has a name: `metric accuracy = …`",
            "output": "an output has a name: `output y = …`",
            "hyper": "a hyper has a value and no type: `hyper rate = 0.1`",
            "param": "write where it starts: `= 0`, or `~ normal{0, 0.01}`",
            "state": "write where it starts: `state m = 0`",
            "def": "write `= …` or a block `{ … }`",
        },
    }
    if place.after_value or place.wants_value:
        return None
    for terminal, by_head in cures.items():
        if terminal in place.accepted and head in by_head:
            return place.error("E101", _title(place), label=_expected(place), help=by_head[head])
    return None


def _unknown_type(place: Place) -> Diagnostic | None:
    if "KIND" not in place.accepted:
        return None
    cure = "the types are `real`, `int`, `bool` and `label{k}`"
    return place.error("E101", _title(place), label="expected a type", help=cure)


def _orphan(place: Place) -> Diagnostic | None:
    if place.token == "derivative" and place.after_value:
        cure = "`derivative` stands below a `def`"
    elif place.token in ("on", "after", "before") and place.after_value:
        cure = "places belong into `train { … }`, `regularize { … }` or `prune { … }`"
    elif place.token == "if" and not place.after_value:
        cure = "`if` starts a statement, or stands in `a if condition else b`"
    elif place.token == "else":
        cure = "`else` follows the `}` of an `if`, or stands in `a if condition else b`"
    elif place.token in ("return", "minimize") and place.wants_value:
        cure = f"`{place.token}` starts a line"
    else:
        return None
    return place.error("E101", f"unexpected `{place.token}`", help=cure)


def _uncallable(place: Place) -> Diagnostic | None:
    last = place.last
    if last is None:
        return None
    if last.type == "PIPE":
        cure = "write a definition or layer there: `x |> dense{64} |> relu`"
        return place.error("E101", _title(place), label="expected a call", help=cure)
    if place.token != "(" or not place.after_value or last.type not in _VALUE_ENDS:
        return None
    cure = "only a name can be called"
    if last.type == "NAME":
        cure = "a bound layer that a path leads to is fed with `|>`: `x |> block[1].enc`"
    return place.error("E101", "this cannot be called", help=cure)


def _side_by_side(place: Place) -> Diagnostic | None:
    if not place.after_value or place.last is None or _head(place) in ("model", "use"):
        return None
    if not place.is_word and place.token.type not in ("NUMBER", "STRING", "LPAR"):
        return None
    left, right = str(place.last), str(place.token)
    cure = "put an operator between them"
    if left.isidentifier() and place.is_word:
        cure = (
            f"write `{left} @ {right}` for a matrix product, `{left} * {right}` element by element"
        )
    return place.error(
        "E101",
        f"unexpected {_quoted(place.token)}",
        label="two values side by side",
        help=cure,
    )


def _nothing_bound(place: Place) -> Diagnostic | None:
    last = place.last
    if last is None or place.accepted != {"COMMA", "EQUAL"}:
        return None
    if str(last) in _FOLLOWED_BY and _head(place) == str(last):
        return place.error("E101", _title(place), help=_FOLLOWED_BY[str(last)])
    return place.error(
        "E101",
        _title(place),
        label="expected `=`",
        help="a statement binds a name: `name = …`",
    )


# -------------------------------------------------------------------------------- all the others

_GROUPS = (
    (frozenset({"NUMBER", "NAME"}), "a value"),
    (frozenset({"PLUS", "POWER"}), "an operator"),
)
_WORDS = {
    "NAME": "a name",
    "STRING": "a text",
    "KIND": "a type",
    "SELECTOR": "a selector",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "RPAR": "`)`",
    "RSQB": "`]`",
    "EQUAL": "`=`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "TILDE": "`~`",
    "RANGE": "`..`",
    "_IN": "`in`",
    "ELSE": "`else`",
    "PREPOSITION": "`on`",
    "_NL": "the end of the line",
}
_STATEMENT_WORDS = frozenset({"MODEL", "BROKEN"})


def _unexpected(place: Place) -> Diagnostic:
    return place.error("E101", _title(place), label=_expected(place))


def _title(place: Place) -> str:
    return "the line ends too early" if place.at_line_end else f"unexpected {_quoted(place.token)}"


def _quoted(token: Token) -> str:
    text = str(token)
    if token.type == "STRING":
        return "text"
    return f"`{text if len(text) <= 30 else text[:29] + '…'}`"


def _expected(place: Place) -> str:
    """``expected a value or `)```: what could stand here, in words."""
    if place.accepted >= _STATEMENT_WORDS:
        return "expected a statement"
    accepted = set(place.accepted)
    if place.after_value:
        accepted |= {"PLUS", "POWER"}
    phrases = []
    for group, phrase in _GROUPS:
        if group <= accepted:
            phrases.append(phrase)
            accepted -= {"NAME", "STRING"} if phrase == "a value" else set()
    phrases += [phrase for name, phrase in _WORDS.items() if name in accepted]
    if not phrases:
        return ""
    return "expected " + " or ".join(filter(None, (", ".join(phrases[:-1]), phrases[-1])))


_RULES: tuple[Callable[[Place], Diagnostic | None], ...] = (
    _block_brace_touches,
    _single_quote,
    _other_character,
    _malformed_number,
    _leading_point,
    _brace_apart,
    _comment_sign,
    _double_star,
    _chained_comparison,
    _updating_equals,
    _single_equals,
    _foreign_statement,
    _python_definition,
    _unknown_type,
    _orphan,
    _incomplete_declaration,
    _nothing_bound,
    _uncallable,
    _side_by_side,
)
