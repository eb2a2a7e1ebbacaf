"""Small pieces of source that the plain and the in-place printer share."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from os.path import basename

from graphc.backends.numpy.names import NameAllocator
from graphc.backends.numpy.writer import Writer, harmless
from graphc.ir import Graph, Node, Size, Type
from graphc.model.program import ModelSpec
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
    "clock_lines",
    "clocks_read",
    "guarded",
    "is_symbol",
    "leaf_label",
    "remark",
    "shape_text",
    "symbols_in",
    "symbols_of",
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

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def write_sections(w: Writer, lines: Sequence[Line], backward: Container[int]) -> None:
    """Lines, under ``# forward`` and ``# backward`` where there are both."""
    starts = [i for i, (_, _, node) in enumerate(lines) if node is not None and node.id in backward]
    both = bool(starts) and starts[0] > 0
    if both:
        w.line("", "forward")
    for number, (text, comment, _) in enumerate(lines):
        if both and number == starts[0]:
            w.line()
            w.line("", "backward")
        w.line(text, comment)


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
    return f"{shape_text(node.tensor)}  {harmless(basename(span.source.name))}:{span.line}"


def leaf_label(node: Node) -> str:
    """The name of what a leaf stands for."""
    label: str = node.op.label  # type: ignore[attr-defined]
    return label


def symbols_of(spec: ModelSpec) -> list[str]:
    """Symbolic dimensions of the inputs, the batch first."""
    found = {} if spec.batch is None else {spec.batch: None}
    for info in spec.inputs.values():
        found.update(dict.fromkeys(_symbols(info.type)))
    return list(found)


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


def is_symbol(size: Size, symbol: str) -> bool:
    return not isinstance(size, int) and str(size) == symbol


def axis_of(type: Type, symbol: str) -> int | None:
    """The first axis whose size is the symbol."""
    for axis, size in enumerate(type.shape):
        if is_symbol(size, symbol):
            return axis
    return None
