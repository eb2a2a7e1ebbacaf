"""From the parser's reductions to syntax trees: one method a rule of the grammar.

The parser calls these methods bottom up while it reads, so nothing here recurses. What the grammar
cannot say is checked here: the depth of an expression, escapes in a text, the range of a number,
the order of arguments, and statements in a place where they mean nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from lark import Token, Transformer

from graphc.diagnostics import Diagnostics, Source, Span
from graphc.language import tree
from graphc.language.layout import MAX_NESTING

__all__ = ["MAX_LINKS", "Builder", "TooDeep"]

MAX_LINKS = 1000
"""Links of a chain (``a + b + …``, ``x |> f |> …``): what walks over the tree may recurse."""

_MAX_HEIGHT = MAX_LINKS + MAX_NESTING
_UNITS = {
    prefix + suffix: base**power
    for suffix, base in (("B", 1000), ("iB", 1024))
    for power, prefix in enumerate("KMGT", start=1)
}
_NUMBER = re.compile(r"([0-9.eE+-]+)(%|[ \t]*([KMGT]i?B))?")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_ESCAPED = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
_TOP_ONLY = (
    tree.ModelStatement,
    tree.Use,
    tree.Hyper,
    tree.Data,
    tree.Definition,
    tree.Section,
)


class TooDeep(Exception):
    """An expression has more links or nesting than what walks over it is ready for."""

    def __init__(self, span: Span, title: str) -> None:
        self.span = span
        self.title = title
        super().__init__(title)


class Builder(Transformer[Token, Any]):
    """Makes syntax trees of one text after the other; :meth:`begin` opens each."""

    def begin(self, source: Source, diagnostics: Diagnostics) -> None:
        self.source = source
        self.diagnostics = diagnostics
        self.block_depths: dict[tree.Statement, int] = {}
        self.depths: dict[tree.Expr, tuple[int, int]] = {}
        """Height and nesting of what has been built; a leaf, which has none, is left out."""
        self.returns: list[tree.Return] = []
        self.placed_values: list[tree.Placed] = []

    # ------------------------------------------------------------------------------- helpers

    def span(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)

    def at(self, token: Token) -> Span:
        return Span(self.source, _start(token), _end(token))

    def ident(self, token: Token) -> tree.Ident:
        primed = token.endswith("'")
        return tree.Ident(self.at(token), self.spelling(token), primed)

    def spelling(self, token: Token) -> str:
        """The name that a token writes, without its prime; what no name may contain is reported."""
        name = token.removesuffix("'")
        if name.isascii():
            return name
        name = unicodedata.normalize("NFC", name)
        if not name.isidentifier():
            self.report_spelling(token)
        return name

    def report_spelling(self, token: Token) -> None:
        length = next(
            length for length in range(1, len(token) + 1) if not token[:length].isidentifier()
        )
        place = _start(token) + length - 1
        digit = unicodedata.digit(token[length - 1], None)
        self.error(
            "E102",
            f"`{token[length - 1]}` cannot be part of a name",
            self.span(place, place + 1),
            help=f"write the power as `^{digit}`" if digit is not None else "",
        )

    def error(self, code: str, title: str, span: Span, *, help: str = "") -> None:
        self.diagnostics.error(code, title, span, help=help)

    def deepen(
        self,
        node: tree.Expr,
        inner: Sequence[tree.Expr | None],
        spine: tree.Expr | None = None,
    ) -> None:
        """Note how deep ``node`` is. ``spine`` is the operand that a chain goes on with: it adds a
        link, while each of ``inner`` adds to the nesting as well."""
        height, nesting = self.depths.get(spine, (0, 0)) if spine is not None else (0, 0)
        for child in inner:
            if child is not None:
                child_height, child_nesting = self.depths.get(child, (0, 0))
                height = max(height, child_height)
                nesting = max(nesting, child_nesting + 1)
        height += 1
        if nesting > MAX_NESTING:
            raise TooDeep(node.span, f"expressions nested more than {MAX_NESTING} deep")
        if height > _MAX_HEIGHT:
            raise TooDeep(node.span, f"an expression with more than {MAX_LINKS:,} links")
        self.depths[node] = (height, nesting)

    def enclose(self, node: tree.Statement, body: Sequence[tree.Statement]) -> None:
        """Note how deep the blocks of ``node`` are nested; each `else if` is a level."""
        depth = 1 + max((self.block_depths.get(child, 0) for child in body), default=0)
        if depth > MAX_NESTING:
            raise TooDeep(node.span, f"blocks nested more than {MAX_NESTING} deep")
        self.block_depths[node] = depth

    # ---------------------------------------------------------------------------------- file

    def file(self, children: list[tree.Statement | None]) -> tree.File:
        for statement in self.returns:
            self.error(
                "E111",
                "`return` outside of a definition",
                statement.span,
                help="a model returns nothing: `output NAME = …` names what it gives",
            )
        for placed in self.placed_values:
            self.error(
                "E111",
                f"`{placed.preposition}` outside of a section",
                placed.selector.span,
                help="places belong into `train { … }`, `regularize { … }` or `prune { … }`",
            )
        return tree.File(self.source, _present(children))

    # ---------------------------------------------------------------------------- statements

    def broken(self, _children: list[Token]) -> None:
        return None

    def model(self, children: list[Token]) -> tree.ModelStatement:
        keyword, name = children
        return tree.ModelStatement(self.span(_start(keyword), _end(name)), self.ident(name))

    def use(self, children: list[Token]) -> tree.Use:
        keyword, path = children
        return tree.Use(self.span(_start(keyword), _end(path)), self.text([path]))

    def hyper(self, children: list[Any]) -> tree.Hyper:
        keyword, name, value, doc = children
        end = _end(doc) if doc is not None else value.span.end
        text = self.text([doc]).value if doc is not None else ""
        return tree.Hyper(self.span(_start(keyword), end), self.ident(name), value, text)

    def data(self, children: list[Any]) -> tree.Data:
        role, name, kind, example = children
        end = (kind if example is None else example).span.end
        return tree.Data(
            self.span(_start(role), end), _literal(role), self.ident(name), kind, example
        )

    def param(self, children: list[Any]) -> tree.Param:
        keyword, name, kind, sign, value = children
        span = self.span(_start(keyword), value.span.end)
        return tree.Param(span, self.ident(name), kind, value, sign == "~")

    def state(self, children: list[Any]) -> tree.State:
        keyword, name, kind, value = children
        span = self.span(_start(keyword), value.span.end)
        return tree.State(span, self.ident(name), kind, value)

    def report(self, children: list[Any]) -> tree.Report:
        role, name, value = children
        span = self.span(_start(role), value.span.end)
        return tree.Report(span, _literal(role), self.ident(name), value)

    def minimize(self, children: list[Any]) -> tree.Minimize:
        keyword, value = children
        return tree.Minimize(self.span(_start(keyword), value.span.end), value)

    def return_(self, children: list[Any]) -> tree.Return:
        keyword, *values = children
        span = self.span(_start(keyword), values[-1].span.end)
        statement = tree.Return(span, tuple(values))
        self.returns.append(statement)
        return statement

    def binding(self, children: list[Token]) -> tree.Ident:
        return self.ident(children[0])

    def assign(self, children: list[Any]) -> tree.Assign:
        *targets, value = children
        return tree.Assign(targets[0].span.to(value.span), tuple(targets), value)

    def repeat(self, children: list[Any]) -> tree.Repeat:
        keyword, index, first, last, (body, end) = children
        span = self.span(_start(keyword), end)
        node = tree.Repeat(span, self.ident(index), first, last, body)
        self.enclose(node, body)
        return node

    def if_(self, children: list[Any]) -> tree.If:
        keyword, condition, (then, end), _else, other = children
        otherwise: tuple[tree.Statement, ...] = ()
        if isinstance(other, tree.If):
            otherwise, end = (other,), other.span.end
        elif other is not None:
            otherwise, end = other
        node = tree.If(self.span(_start(keyword), end), condition, then, otherwise)
        self.enclose(node, (*then, *otherwise))
        return node

    def block(self, children: list[Any]) -> tuple[tuple[tree.Statement, ...], int]:
        """The statements of a block and the place where it ends."""
        body = _present(children[1:-1])
        for statement in body:
            if isinstance(statement, _TOP_ONLY):
                self.error(
                    "E111",
                    f"`{_keyword(statement)}` inside a block",
                    self.span(
                        statement.span.start, statement.span.start + len(_keyword(statement))
                    ),
                    help="this statement belongs to the top level of the file",
                )
        return body, _end(children[-1])

    # --------------------------------------------------------------------------- definitions

    def function(self, children: list[Any]) -> tree.Definition:
        *head, derivative = children
        definition = self.definition(head)
        if derivative is None:
            return definition
        span = definition.span.to(derivative.span)
        return replace(definition, span=span, derivative=derivative)

    def definition(self, children: list[Any]) -> tree.Definition:
        kind, name, attributes, parameters, (body, end) = children
        start = _start(kind)
        self.returns = [item for item in self.returns if item.span.start < start]
        return tree.Definition(
            self.span(start, end),
            _literal(kind),
            self.ident(name),
            attributes,
            parameters,
            body,
            doc=_doc_above(self.source.text, start),
        )

    def body_expression(self, children: list[tree.Expr]) -> tuple[tuple[tree.Statement, ...], int]:
        value = children[0]
        return (tree.Return(value.span, (value,)),), value.span.end

    def attributes(self, children: list[tree.AttributeDecl | None]) -> tuple[Any, ...]:
        return tuple(child for child in children if child is not None)

    def declaration(self, children: list[Any]) -> tree.AttributeDecl:
        name, default = children
        return tree.AttributeDecl(self.ident(name), default)

    def parameters(self, children: list[Token | None]) -> tuple[tree.Ident, ...]:
        return tuple(self.ident(child) for child in children if child is not None)

    # ------------------------------------------------------------------------------ sections

    def section(self, children: list[Any]) -> tree.Section:
        kind, _brace, *entries, end = children
        start = _start(kind)
        self.placed_values = [item for item in self.placed_values if item.span.start < start]
        return tree.Section(
            self.span(start, _end(end)),
            _literal(kind),
            self.at(kind),
            _present(entries),
        )

    def entry(self, children: list[Any]) -> tree.Entry:
        name, value = children
        return tree.Entry(self.span(_start(name), value.span.end), self.ident(name), value)

    def rule(self, children: list[tree.Expr]) -> tree.Rule:
        return tree.Rule(children[0].span, children[0])

    def placed(self, children: list[Any]) -> tree.Placed:
        value, preposition, selector = children
        pattern = unicodedata.normalize("NFC", str(selector))
        node = tree.Placed(
            self.span(value.span.start, _end(selector)),
            value,
            _literal(preposition),
            tree.Selector(self.at(selector), pattern),
        )
        self.deepen(node, (value,))
        self.placed_values.append(node)
        return node

    # --------------------------------------------------------------------------------- types

    def type_(self, children: list[Any]) -> tree.TypeExpr:
        kind, classes, brace, dims = children
        end = kind if brace is None else brace
        values, close = dims if dims is not None else (None, end)
        return tree.TypeExpr(
            self.span(_start(kind), _end(close)),
            _literal(kind),
            classes,
            values,
        )

    def dims(self, children: list[Any]) -> tuple[tuple[tree.Expr, ...], Token]:
        *values, close = children
        return tuple(values), close

    # --------------------------------------------------------------------------- expressions

    def pipe(self, children: list[tree.Expr]) -> tree.Pipe:
        left, right = children
        if not isinstance(right, (tree.Name, tree.Apply, tree.Member)):
            self.error(
                "E112",
                "the right side of `|>` is nothing that can be called",
                right.span,
                help="write a definition or layer there: `x |> dense{64} |> relu`",
            )
        node = tree.Pipe(left.span.to(right.span), left, right)
        self.deepen(node, (right,), left)
        return node

    def conditional(self, children: list[Any]) -> tree.Conditional:
        then, _if, condition, _else, other = children
        node = tree.Conditional(then.span.to(other.span), then, condition, other)
        self.deepen(node, (then, condition, other))
        return node

    def binary(self, children: list[Any]) -> tree.Binary:
        left, op, right = children
        node = tree.Binary(left.span.to(right.span), _literal(op), left, right, self.at(op))
        self.deepen(node, (right,), left)
        return node

    def unary(self, children: list[Any]) -> tree.Unary:
        op, operand = children
        span = self.span(_start(op), operand.span.end)
        node = tree.Unary(span, _literal(op), operand)
        self.deepen(node, (operand,))
        return node

    def number(self, children: list[Token]) -> tree.Number:
        token = children[0]
        match = _NUMBER.fullmatch(token)
        digits, suffix, unit = match.groups() if match else (str(token), None, None)
        value = int(digits) if digits.isdigit() and len(digits) < 20 else float(digits)
        if unit:
            value = _whole(value * _UNITS[unit])
        elif suffix:
            value = value / 100
        if value == float("inf") or (digits.isdigit() and value >= 2**63):
            self.error(
                "E105",
                "this number is too large",
                self.at(token),
                help="whole numbers have 64 bits, real numbers end at about 1.8e308",
            )
        return tree.Number(self.at(token), value, unit or "")

    def text(self, children: list[Token]) -> tree.Text:
        token = children[0]
        body = token[1:-1]
        if "\\" in body:
            body = _ESCAPE.sub(lambda match: self.unescape(match, _start(token) + 1), body)
        return tree.Text(self.at(token), body)

    def unescape(self, match: re.Match[str], offset: int) -> str:
        code, character = match.groups()
        if code and not 0xD800 <= int(code, 16) < 0xE000:
            return chr(int(code, 16))
        if not code and character in _ESCAPED:
            return _ESCAPED[character]
        self.error(
            "E109",
            f"unknown escape `{match.group()}` in a text",
            self.span(offset + match.start(), offset + match.end()),
            help='the escapes are `\\n`, `\\t`, `\\"`, `\\\\` and `\\u` with four hex digits',
        )
        return match.group()

    def bool_(self, children: list[Token]) -> tree.Bool:
        return tree.Bool(self.at(children[0]), children[0] == "true")

    def name(self, children: list[Token]) -> tree.Name:
        token = children[0]
        return tree.Name(self.at(token), self.spelling(token), token.endswith("'"))

    def parenthesised(self, children: list[Any]) -> tree.Expr:
        """The expression itself, with the span of its brackets."""
        opened, value, closed = children
        node = replace(cast(tree.Expr, value), span=self.span(_start(opened), _end(closed)))
        if value in self.depths:
            self.depths[node] = self.depths[value]
        return node

    def list_(self, children: list[Any]) -> tree.ListExpr:
        opened, *items, closed = children
        values = tuple(item for item in items if item is not None)
        node = tree.ListExpr(self.span(_start(opened), _end(closed)), values)
        self.deepen(node, values)
        return node

    def call(self, children: list[Any]) -> tree.Apply:
        name, arguments, close = children
        return self.apply(name, None, arguments, close)

    def bound(self, children: list[Any]) -> tree.Apply:
        name, attributes, close = children
        return self.apply(name, attributes, None, close)

    def bound_call(self, children: list[Any]) -> tree.Apply:
        name, attributes, arguments, close = children
        return self.apply(name, attributes, arguments, close)

    def apply(
        self,
        name: Token,
        attributes: tuple[tree.Argument, ...] | None,
        arguments: tuple[tree.Argument, ...] | None,
        close: Token,
    ) -> tree.Apply:
        node = tree.Apply(
            self.span(_start(name), _end(close)),
            self.spelling(name),
            self.at(name),
            attributes,
            arguments,
        )
        self.deepen(node, [item.value for item in (*(attributes or ()), *(arguments or ()))])
        return node

    def arguments(self, children: list[tree.Argument | None]) -> tuple[tree.Argument, ...]:
        values = tuple(child for child in children if child is not None)
        named = False
        for value in values:
            named = named or value.name is not None
            if named and value.name is None:
                self.error(
                    "E113",
                    "an argument without a name after one with a name",
                    value.span,
                    help="write the arguments without names first",
                )
                break
        return values

    def positional(self, children: list[tree.Expr]) -> tree.Argument:
        return tree.Argument(children[0].span, children[0])

    def named(self, children: list[Any]) -> tree.Argument:
        name, value = children
        span = self.span(_start(name), value.span.end)
        return tree.Argument(span, value, self.spelling(name))

    def index(self, children: list[Any]) -> tree.Index:
        base, *items, close = children
        node = tree.Index(self.span(base.span.start, _end(close)), base, tuple(items))
        inner: list[tree.Expr | None] = []
        for item in items:
            if isinstance(item, tree.Slice):
                inner += (item.start, item.stop, item.step)
            elif isinstance(item, tree.Expr):
                inner.append(item)
        self.deepen(node, inner, base)
        return node

    def slice_(self, children: list[Any]) -> tree.Slice:
        start, colon, stop, second, step = children
        first = start.span.start if start is not None else _start(colon)
        last = _end(colon if second is None else second)
        for part in (stop, step):
            last = part.span.end if part is not None else last
        return tree.Slice(self.span(first, last), start, stop, step)

    def ellipsis(self, children: list[Token]) -> tree.Ellipsis_:
        return tree.Ellipsis_(self.at(children[0]))

    def member(self, children: list[Any]) -> tree.Member:
        base, name = children
        span = self.span(base.span.start, _end(name))
        node = tree.Member(span, base, self.spelling(name))
        self.deepen(node, (), base)
        return node


def _start(token: Token) -> int:
    return token.start_pos or 0


def _end(token: Token) -> int:
    return token.end_pos or 0


def _present(children: Sequence[Any]) -> tuple[Any, ...]:
    """The statements that were read, without the tokens around them and those that were not."""
    return tuple(child for child in children if isinstance(child, tree.Statement))


def _keyword(statement: tree.Statement) -> str:
    return statement.span.text.split(maxsplit=1)[0]


def _literal(token: Token) -> Any:
    """The token's text where the tree names the few texts that the grammar lets through."""
    return str(token)


def _whole(value: float) -> float:
    return int(value) if value < 2**63 and value == int(value) else value


def _doc_above(text: str, start: int) -> str:
    """The comment block directly above the line of ``start``, without its ``#`` signs."""
    line_start = text.rfind("\n", 0, start) + 1
    if text[line_start:start].strip():
        return ""
    lines: list[str] = []
    while line_start:
        previous = text.rfind("\n", 0, line_start - 1) + 1
        line = text[previous : line_start - 1].strip()
        if not line.startswith("#"):
            break
        lines.append(line[1:].removeprefix(" "))
        line_start = previous
    return "\n".join(reversed(lines))
