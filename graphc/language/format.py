"""Syntax tree to text: one canonical spacing, as few parentheses as the precedences allow.

What :func:`format_file` writes parses to the same tree. Comments, which the tree does not hold, are
taken from the text that it was read from, and so is the spelling of a number (``1e-3``, ``80%``).
Expressions are written without recursion: a chain may be as long as the parser lets through.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from graphc.language import tree

__all__ = ["format_expr", "format_file"]

_WIDTH = 100
_INDENT = "  "

# How tightly an expression binds; each operand says what it needs at least.
_PIPE, _CONDITIONAL, _OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _MINUS, _POWER, _ATOM = range(11)
_REFERENCE = _ATOM + 1
"""What an index or a member may follow: no literal."""

_BINARY = {
    "or": _OR, "and": _AND, "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "//": _PRODUCT,
    "@": _PRODUCT, "^": _POWER, "==": _COMPARISON, "!=": _COMPARISON, "<": _COMPARISON,
    "<=": _COMPARISON, ">": _COMPARISON, ">=": _COMPARISON,
}  # fmt: skip
_UNITS = {
    prefix + suffix: base**power
    for suffix, base in (("B", 1000), ("iB", 1024))
    for power, prefix in enumerate("KMGT", start=1)
}
_SPELLING = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?:(%)|([ \t]*)([KMGT]i?B))?")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
_MUST_ESCAPE = re.compile(r'[\\"\n\t\x00-\x1f\x7f]')
_COMMENTS = re.compile(r'"(?:[^"\\\n]++|\\[^\n])*+"?|#[^\n]*')


def format_expr(expr: tree.Expr) -> str:
    """The expression on one line."""
    return _formatted(expr)[0]


def format_file(file: tree.File) -> str:
    """The whole file, with a line break at its end; the empty text for an empty file."""
    writer = _Writer(file.source.text)
    writer.statements(file.statements, "")
    writer.comments_before(len(file.source.text) + 1, "")
    return "".join(line + "\n" for line in writer.lines)


# ----------------------------------------------------------------------------------- expressions

_Written = tuple[str, int]
"""The text of an expression, and how tightly it binds."""


def _formatted(expr: tree.Expr) -> _Written:
    """Post-order over the expression, with a stack of our own."""
    done: list[_Written] = []
    todo: list[tuple[tree.Expr, bool]] = [(expr, False)]
    while todo:
        node, ready = todo.pop()
        children = _children(node)
        if not ready and children:
            todo.append((node, True))
            todo.extend((child, False) for child in reversed(children))
            continue
        split = len(done) - len(children)
        parts = done[split:]
        del done[split:]
        done.append(_join(node, parts))
    return done[0]


def _children(node: tree.Expr) -> list[tree.Expr]:
    match node:
        case tree.ListExpr():
            return list(node.items)
        case tree.Unary():
            return [node.operand]
        case tree.Binary() | tree.Pipe():
            return [node.left, node.right]
        case tree.Conditional():
            return [node.then, node.condition, node.other]
        case tree.Apply():
            return [item.value for item in (*(node.attributes or ()), *(node.arguments or ()))]
        case tree.Index():
            return [node.base, *(part for item in node.items for part in _index_parts(item))]
        case tree.Member():
            return [node.base]
        case tree.Placed():
            return [node.value]
    return []


def _index_parts(item: tree.Expr | tree.Slice | tree.Ellipsis_) -> list[tree.Expr]:
    if isinstance(item, tree.Slice):
        return [part for part in (item.start, item.stop, item.step) if part is not None]
    return [item] if isinstance(item, tree.Expr) else []


def _join(node: tree.Expr, parts: list[_Written]) -> _Written:
    """The text of ``node`` from the texts of its children, in the order of :func:`_children`."""
    match node:
        case tree.Number():
            return _number(node), _ATOM
        case tree.Text():
            return _text(node.value), _ATOM
        case tree.Bool():
            return ("true" if node.value else "false"), _ATOM
        case tree.Name():
            return node.name + "'" * node.primed, _REFERENCE
        case tree.ListExpr():
            return f"[{_comma(parts)}]", _REFERENCE
        case tree.Unary():
            return _unary(node, parts[0])
        case tree.Binary():
            return _binary(node, parts[0], parts[1])
        case tree.Pipe():
            return f"{_at(parts[0], _PIPE)} |> {_at(parts[1], _REFERENCE)}", _PIPE
        case tree.Conditional():
            then, condition = _at(parts[0], _OR), _at(parts[1], _OR)
            return f"{then} if {condition} else {_at(parts[2], _CONDITIONAL)}", _CONDITIONAL
        case tree.Apply():
            return _apply(node, parts), _REFERENCE
        case tree.Index():
            return f"{_at(parts[0], _REFERENCE)}[{_index_items(node, parts[1:])}]", _REFERENCE
        case tree.Member():
            return f"{_at(parts[0], _REFERENCE)}.{node.name}", _REFERENCE
        case tree.Placed():
            return f"{parts[0][0]} {node.preposition} {node.selector.pattern}", _PIPE
    raise TypeError(f"no expression: {type(node).__name__}")


def _at(part: _Written, least: int) -> str:
    """The text of an operand, in parentheses if it binds less tightly than it must."""
    text, strength = part
    return text if strength >= least else f"({text})"


def _unary(node: tree.Unary, operand: _Written) -> _Written:
    if node.op == "not":
        return f"not {_at(operand, _NOT)}", _NOT
    return f"-{_at(operand, _MINUS)}", _MINUS


def _binary(node: tree.Binary, left: _Written, right: _Written) -> _Written:
    strength = _BINARY[node.op]
    if node.op == "^":
        # An exponent may begin with a minus: `2^-1`.
        return f"{_at(left, _ATOM)}^{_at(right, _MINUS)}", _POWER
    chains = strength != _COMPARISON
    left_text = _at(left, strength if chains else strength + 1)
    return f"{left_text} {node.op} {_at(right, strength + 1)}", strength


def _apply(node: tree.Apply, parts: list[_Written]) -> str:
    text = node.name
    split = len(node.attributes or ())
    if node.attributes is not None:
        text += "{" + _arguments(node.attributes, parts[:split]) + "}"
    if node.arguments is not None:
        text += "(" + _arguments(node.arguments, parts[split:]) + ")"
    return text


def _arguments(arguments: Sequence[tree.Argument], parts: list[_Written]) -> str:
    texts = [
        text if argument.name is None else f"{argument.name} = {text}"
        for argument, (text, _) in zip(arguments, parts, strict=True)
    ]
    return ", ".join(texts)


def _index_items(node: tree.Index, parts: list[_Written]) -> str:
    texts = iter(text for text, _ in parts)
    items = []
    for item in node.items:
        if isinstance(item, tree.Ellipsis_):
            items.append("...")
        elif isinstance(item, tree.Slice):
            start = next(texts) if item.start is not None else ""
            stop = next(texts) if item.stop is not None else ""
            step = ":" + next(texts) if item.step is not None else ""
            items.append(f"{start}:{stop}{step}")
        else:
            items.append(next(texts))
    return ", ".join(items)


def _comma(parts: list[_Written]) -> str:
    return ", ".join(text for text, _ in parts)


def _number(node: tree.Number) -> str:
    written = _SPELLING.fullmatch(node.span.text.strip("( \t)"))
    if written is not None and _value(written) == (node.value, node.unit):
        digits, percent, _, unit = written.groups()
        return digits + (percent or "") + (f" {unit}" if unit else "")
    if node.unit:
        amount = node.value / _UNITS[node.unit]
        return f"{int(amount) if amount == int(amount) else amount!r} {node.unit}"
    return repr(node.value)


def _value(written: re.Match[str]) -> tuple[int | float, str]:
    digits, percent, _, unit = written.groups()
    value = int(digits) if digits.isdigit() and len(digits) < 20 else float(digits)
    if unit:
        value *= _UNITS[unit]
    return (value / 100 if percent else value), unit or ""


def _text(value: str) -> str:
    escaped = _MUST_ESCAPE.sub(
        lambda match: _ESCAPES.get(match.group()) or f"\\u{ord(match.group()):04x}", value
    )
    return f'"{escaped}"'


# ------------------------------------------------------------------------------------ statements


@dataclass
class _Writer:
    """Writes statements line by line and lets the comments of the source stand where they stood."""

    source: str
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.comments = [
            match for match in _COMMENTS.finditer(self.source) if match.group().startswith("#")
        ]
        self.next_comment = 0
        self.opened_at = 0
        """How many lines there were when the block being written, or the file, began."""

    # ------------------------------------------------------------------- comments, blank lines

    def comments_before(self, offset: int, indent: str) -> bool:
        """Write the comments that stand before ``offset``; whether there was one."""
        first = self.next_comment
        while self.next_comment < len(self.comments):
            comment = self.comments[self.next_comment]
            if comment.start() >= offset:
                break
            self.blank_line_before(comment.start())
            self.lines.append(indent + comment.group().rstrip())
            self.next_comment += 1
        return self.next_comment > first

    def comments_behind(self, end: int) -> None:
        """Put the comments up to ``end``, and the one that ends its line, behind the last line.

        A comment that stood between the lines of a statement comes here too: on a line of its own
        it would become the description of the definition below.
        """
        while self.next_comment < len(self.comments):
            comment = self.comments[self.next_comment]
            if comment.start() >= end and self.source[end : comment.start()].strip(" \t"):
                break
            self.append_comment(comment)

    def comment_behind_brace(self) -> None:
        """Put the comment that follows the opening brace of a block behind it."""
        if self.next_comment < len(self.comments):
            comment = self.comments[self.next_comment]
            line_start = self.source.rfind("\n", 0, comment.start()) + 1
            if self.source[line_start : comment.start()].rstrip().endswith("{"):
                self.append_comment(comment)

    def append_comment(self, comment: re.Match[str]) -> None:
        self.lines[-1] += "  " + comment.group().rstrip()
        self.next_comment += 1

    def blank_line_before(self, offset: int) -> None:
        """Keep one blank line where the source has some, but none after an opening brace."""
        line_start = self.source.rfind("\n", 0, offset)
        if line_start <= 0 or len(self.lines) == self.opened_at:
            return
        above = self.source.rfind("\n", 0, line_start)
        if self.lines[-1] and not self.source[above + 1 : line_start].strip():
            self.lines.append("")

    # ------------------------------------------------------------------------------ statements

    def statements(self, statements: Sequence[tree.Statement], indent: str) -> None:
        for statement in statements:
            commented = self.comments_before(statement.span.start, indent)
            self.blank_line_before(statement.span.start)
            if isinstance(statement, tree.Definition) and not commented:
                self.doc(statement.doc, indent)
            self.statement(statement, indent)
            self.comments_behind(statement.span.end)

    def doc(self, doc: str, indent: str) -> None:
        if doc:
            self.lines += [f"{indent}# {line}".rstrip() for line in doc.split("\n")]

    def statement(self, statement: tree.Statement, indent: str) -> None:
        match statement:
            case tree.Definition():
                self.definition(statement, indent)
            case tree.Repeat():
                first, last = format_expr(statement.first), format_expr(statement.last)
                self.lines.append(f"{indent}repeat {statement.index.name} in {first}..{last} {{")
                self.block(statement.body, indent)
                self.lines.append(indent + "}")
            case tree.If():
                self.conditional(statement, indent)
            case tree.Section():
                self.lines.append(f"{indent}{statement.kind} {{")
                self.block(statement.entries, indent)
                self.lines.append(indent + "}")
            case tree.Return():
                values = ", ".join(map(format_expr, statement.values))
                self.lines.append(f"{indent}return {values}")
            case _:
                self.line(statement, indent)

    def line(self, statement: tree.Statement, indent: str) -> None:
        """A statement of one line, which ends in an expression but for a hyper's description."""
        match statement:
            case tree.ModelStatement():
                self.lines.append(f"{indent}model {statement.name.name}")
            case tree.Use():
                self.lines.append(f"{indent}use {format_expr(statement.path)}")
            case tree.Hyper():
                self.equation(f"{indent}hyper {statement.name.name} = ", statement.value, indent)
                self.lines[-1] += f" {_text(statement.doc)}" if statement.doc else ""
            case tree.Data():
                head = f"{indent}{statement.role} {statement.name.name}: {_type(statement.type)}"
                if statement.example is None:
                    self.lines.append(head)
                else:
                    self.equation(f"{head} = ", statement.example, indent)
            case tree.Param():
                sign = "~" if statement.random else "="
                head = f"{indent}param {statement.name.name}: {_type(statement.type)}"
                self.equation(f"{head} {sign} ", statement.value, indent)
            case tree.State():
                kind = "" if statement.type is None else f": {_type(statement.type)}"
                self.equation(
                    f"{indent}state {statement.name.name}{kind} = ", statement.value, indent
                )
            case tree.Assign():
                targets = ", ".join(item.name + "'" * item.primed for item in statement.targets)
                self.equation(f"{indent}{targets} = ", statement.value, indent)
            case tree.Report():
                head = f"{indent}{statement.role} {statement.name.name} = "
                self.equation(head, statement.value, indent)
            case tree.Minimize():
                self.equation(f"{indent}minimize ", statement.value, indent)
            case tree.Entry():
                self.equation(f"{indent}{statement.name.name} = ", statement.value, indent)
            case tree.Rule():
                self.equation(indent, statement.value, indent)
            case _:
                raise TypeError(f"no statement: {type(statement).__name__}")

    def equation(self, head: str, value: tree.Expr, indent: str) -> None:
        """``head`` and the expression; a chain of pipes takes a line a link where it is long, or
        where its author has written it so."""
        line = head + format_expr(value)
        broken = "\n" in value.span.text or len(line) > _WIDTH
        if not isinstance(value, tree.Pipe) or not broken:
            self.lines.append(line)
            return
        links: list[tree.Expr] = []
        first: tree.Expr = value
        while isinstance(first, tree.Pipe):
            links.append(first.right)
            first = first.left
        self.lines.append(head + format_expr(first))
        self.lines += [f"{indent}{_INDENT}|> {_operand(link)}" for link in reversed(links)]

    # -------------------------------------------------------------------------------- blocks

    def definition(self, statement: tree.Definition, indent: str) -> None:
        head = f"{indent}{statement.kind} {statement.name.name}{_attributes(statement.attributes)}"
        head += "(" + ", ".join(item.name for item in statement.parameters) + ")"
        value = _body_expression(statement)
        if value is not None:
            self.equation(f"{head} = ", value, indent)
            self.comments_behind(value.span.end)
        else:
            self.lines.append(head + " {")
            self.block(statement.body, indent)
            self.lines.append(indent + "}")
        if statement.derivative is not None:
            self.equation(f"{indent}{_INDENT}derivative ", statement.derivative, indent + _INDENT)

    def conditional(self, statement: tree.If, indent: str) -> None:
        self.lines.append(f"{indent}if {format_expr(statement.condition)} {{")
        self.block(statement.then, indent)
        otherwise = statement.otherwise
        while len(otherwise) == 1 and isinstance(otherwise[0], tree.If):
            link = otherwise[0]
            self.lines.append(f"{indent}}} else if {format_expr(link.condition)} {{")
            self.block(link.then, indent)
            otherwise = link.otherwise
        if otherwise:
            self.lines.append(indent + "} else {")
            self.block(otherwise, indent)
        self.lines.append(indent + "}")

    def block(self, body: Sequence[tree.Statement], indent: str) -> None:
        """The inside of a block whose opening line is written; its comments stay inside."""
        if not body:
            return
        self.comment_behind_brace()
        self.opened_at = len(self.lines)
        self.statements(body, indent + _INDENT)
        self.comments_before(self.closing_brace(body[-1].span.end), indent + _INDENT)

    def closing_brace(self, offset: int) -> int:
        """Where the brace stands that closes the block whose last statement ends at ``offset``."""
        for match in re.compile(r"#[^\n]*|\}").finditer(self.source, offset):
            if match.group() == "}":
                return match.start()
        return offset


def _type(kind: tree.TypeExpr) -> str:
    classes = "" if kind.classes is None else "{" + format_expr(kind.classes) + "}"
    dims = "" if kind.dims is None else "[" + ", ".join(map(format_expr, kind.dims)) + "]"
    return kind.kind + classes + dims


def _attributes(attributes: Sequence[tree.AttributeDecl]) -> str:
    texts = [
        item.name.name + ("" if item.default is None else f" = {format_expr(item.default)}")
        for item in attributes
    ]
    return "{" + ", ".join(texts) + "}" if texts else ""


def _body_expression(statement: tree.Definition) -> tree.Expr | None:
    """The expression of ``def f(x) = expr``; None for a body that was, or must be, a block."""
    body = statement.body
    if statement.kind == "optimizer" or len(body) != 1 or not isinstance(body[0], tree.Return):
        return None
    values = body[0].values
    if len(values) != 1 or values[0].span.start != body[0].span.start:
        return None
    return values[0]


def _operand(expr: tree.Expr) -> str:
    """The right side of a pipe."""
    return _at(_formatted(expr), _REFERENCE)
