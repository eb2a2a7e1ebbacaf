"""Small pieces of source that the plain and the in-place printer share."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cache
from os.path import basename

from graphc.backends.printing.names import NameAllocator
from graphc.backends.printing.writer import Writer, harmless
from graphc.ir import Graph, Group, Kind, Node, Size, Type, WriteContext
from graphc.ops.leaves import Clock
from graphc.ops.shapes import Broadcast
from graphc.schedule import ordered

__all__ = [
    "CLOCKS_OF_A_RUN",
    "DTYPES",
    "Dims",
    "Line",
    "as_operand",
    "atom",
    "axis_of",
    "bytes_text",
    "clock_lines",
    "clocks_read",
    "guarded",
    "is_symbol",
    "leaf_label",
    "remark",
    "shape_text",
    "symbols_in",
    "write_sections",
]

DTYPES = {"real": "real", "int": "np.int64", "label": "np.int64", "bool": "np.bool_"}

CLOCKS_OF_A_RUN = {
    "epoch": ("steps_per_epoch",),
    "epochs": ("epochs",),
    "steps": ("epochs", "steps_per_epoch"),
}
"""What each clock must know of the run; ``step`` and ``t`` need nothing."""

_CLOCK_TEXT = {
    "step": "step",
    "t": "step + 1",
    "epoch": "step / steps_per_epoch",
    "epochs": "epochs",
    "steps": "epochs * steps_per_epoch",
}

Line = tuple[str, str, Node | None]
"""A statement, its comment and the node that it computes."""


class Dims(Mapping[str, str]):
    """Names of symbolic dimensions; remembers which were asked for."""

    def __init__(self, symbols: Iterable[str], names: NameAllocator) -> None:
        self._names = {symbol: names.fresh(symbol) for symbol in symbols}
        self.used: set[str] = set()

    def __getitem__(self, symbol: str) -> str:
        self.used.add(symbol)
        return self._names[symbol]

    @property
    def names(self) -> dict[str, str]:
        """The name of each, none of them asked for by this."""
        return dict(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def write_sections(
    w: Writer, lines: Sequence[Line], backward: Container[int], groups: Mapping[int, Group]
) -> None:
    """Lines, under ``# forward`` and ``# backward`` where there are both; a group of them is a
    paragraph under its title."""
    parts = [None if node is None else node.id in backward for _, _, node in lines]
    both = True in parts and False in parts
    part: bool | None = None
    group: Group | None = None
    for (text, comment, node), own in zip(lines, parts, strict=True):
        starts = both and own is not None and own is not part
        if starts:
            if part is not None:
                w.line()
            w.line("", "backward" if own else "forward")
            part, group = own, None
            if node is not None and node.id in groups:
                w.line()
        if node is not None:
            group = _paragraph(w, groups.get(node.id), group, first=starts)
        w.line(text, comment)


def _paragraph(w: Writer, own: Group | None, last: Group | None, *, first: bool) -> Group | None:
    """Begin a paragraph where a line belongs to another group than the last one."""
    if own is not last:
        if not first and w.lines and w.lines[-1]:
            w.line()
        if own is not None:
            w.line("", harmless(own.body.title))
    return own


def atom(text: str) -> str:
    """An expression that may stand beside any operator."""
    return f"({text})" if " " in text or text.startswith("-") else text


def guarded(node: Node, args: list[str], literal: bool) -> list[str]:
    """Operands of arithmetic with numbers: NumPy's 1/0 is infinite, Python's is an error."""
    if literal and node.op.name in ("divide", "power"):
        return [f"np.float64({args[0]})", *args[1:]]
    return args


def as_operand(node: Node, number: bool, text: str, user: Node) -> str:
    """A number as an operand of ``user``, which asks for an array unless it is element-wise."""
    if not number or user.op.elementwise or isinstance(user.op, Broadcast):
        return text
    return f"np.asarray({text}, dtype={DTYPES[node.tensor.kind]})"


@cache
def shape_text(type: Type) -> str:
    """``[n, 64]``, ``label{10}[n]``, ``scalar``."""
    if type.kind != "real":
        return harmless(str(type))
    return harmless(f"[{', '.join(map(str, type.shape))}]") if type.shape else "scalar"


def remark(node: Node) -> str:
    """Shape, and where the model says it."""
    span = node.origin.span
    if span is None:
        return shape_text(node.tensor)
    return f"{shape_text(node.tensor)}  {_file_text(span.source.name)}:{span.line}"


@cache
def _file_text(path: str) -> str:
    return harmless(basename(path))


def leaf_label(node: Node) -> str:
    """The name of what a leaf stands for."""
    label: str = node.op.label  # type: ignore[attr-defined]
    return label


def symbols_in(graph: Graph) -> list[str]:
    """Symbolic dimensions of all nodes."""
    found: dict[str, None] = {}
    for node in graph:
        found.update(dict.fromkeys(_symbols(node.tensor)))
    return list(found)


def _symbols(type: Type) -> list[str]:
    sizes = (size for size in type.shape if not isinstance(size, int))
    return [name for size in sizes for name in sorted(size.symbols)]


def clocks_read(graph: Graph, roots: Iterable[int]) -> set[str]:
    """Names of the clocks that the roots depend on."""
    return {node.op.which for node in ordered(graph, roots) if isinstance(node.op, Clock)}


def clock_lines(clocks: Mapping[str, str]) -> list[str]:
    """Statements that give each clock its variable, from ``step`` and what is known of the run."""
    return [f"{name} = np.float64({_CLOCK_TEXT[which]})" for which, name in clocks.items()]


_BYTES = {"real": "real", "bool": "", "int": "8", "label": "8"}
"""Bytes of an element as a factor in source."""


def bytes_text(residents: Iterable[tuple[Kind, Size]], dims: Dims) -> str:
    """Bytes of the longest of some arrays: ``real * 64 * n``, ``max(real * 640, 8 * n)``."""
    largest: dict[tuple[str, object], tuple[int, Size]] = {}
    for kind, size in residents:
        factor, monomials = _leading(size)
        key = (_BYTES[kind], monomials)
        if key not in largest or factor > largest[key][0]:
            largest[key] = (factor, size)
    texts = [_product(item, size, dims) for (item, _), (_, size) in largest.items()]
    return texts[0] if len(texts) == 1 else f"max({', '.join(texts)})"


def _leading(size: Size) -> tuple[int, object]:
    """Sizes of equal second part are compared by the first: numbers, and multiples of a term."""
    if isinstance(size, int):
        return size, ()
    ((monomial, factor), *others) = size.terms
    return (0, size) if others else (factor, monomial)


def _product(item: str, size: Size, dims: Dims) -> str:
    text = WriteContext(dims=dims).size(size)
    if not item:
        return text
    return f"{item} * ({text})" if " + " in text else f"{item} * {text}"


def is_symbol(size: Size, symbol: str) -> bool:
    return not isinstance(size, int) and str(size) == symbol


def axis_of(type: Type, symbol: str) -> int | None:
    """The first axis whose size is the symbol."""
    for axis, size in enumerate(type.shape):
        if is_symbol(size, symbol):
            return axis
    return None
