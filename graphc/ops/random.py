"""Random draws: each a pure function of (seed, place in the model, step, element).

The generator is Philox4x64-10 (Salmon et al., 2011) with key (seed, hash of the place) and counter
(block, 0, step, 0). Block b (from 1) holds the 64-bit words 4(b−1)…4(b−1)+3. Of a word w, u is
(w >> 11)·2⁻⁵³, and any target that has the ten rounds draws the same:

- a uniform number is u, in f32 its leading 24 bits;
- a normal one takes two words (Box and Muller, 1958), an orthogonal matrix those of a normal one;
- one word serves three truth values: with W = ⌈size / 3⌉, the elements i, W + i and 2W + i take
  word i. Let v = 16 + u, rounded to f64, whose lowest 48 bits are u to 48 binary places, and
  t = p·65536, rounded. The first is true where v < 16 + t/65536, the second where bits 16 to 31
  of v, as a number, are below t, the third where bits 0 to 15 are.

Costs are those of what is made of the words; the rounds themselves are integer work and count 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from graphc.ir import (
    Formula,
    KernelContext,
    Notation,
    Operator,
    Sample,
    Size,
    Type,
    TypeRuleError,
    Value,
    Workspace,
    WriteContext,
    product,
    symbol,
)


def place_key(place: str) -> int:
    """The 64-bit half of the key that a place gives."""
    return int.from_bytes(blake2b(place.encode(), digest_size=8).digest(), "little")


def _words(count: Size) -> Workspace:
    """Room for that many words of the generator."""
    return Workspace(Type("int", (count,)))


def _third(size: Size) -> Size:
    """A third, or a little more: each coefficient is rounded up."""
    if isinstance(size, int):
        return -(-size // 3)
    third: Size = 0
    for symbols, factor in size.terms:
        third = third + product(map(symbol, symbols)) * -(-factor // 3)
    return third


class Draw(Operator):
    """Base of the family: a shape, and the place that keys the generator."""

    shape: tuple[Size, ...]
    place: str

    def where(self, w: WriteContext) -> str:
        return f"{w.shape(self.shape)}, {w.seed}, 0x{place_key(self.place):016X}, {w.step}"

    def drawer(self, w: WriteContext, name: str, out: str, real: str = "") -> str:
        """The function that fills ``out``: its generator is kept from step to step."""
        fill = w.fixed(f"_uniform_source({w.seed}, 0x{place_key(self.place):016X})")
        numbers = w.fixed(f"_{name}_numbers({real})")
        return w.once(f"_{name}_into({out}, {w.workspace[0]}, {fill}, {numbers})")

    def key(self, k: KernelContext) -> str:
        """What a draw in a kernel is keyed by."""
        return f"{k.seed}, 0x{place_key(self.place):016X}ULL, {k.step}, {k.index}"

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> None:
        return None


@dataclass(frozen=True)
class Uniform(Draw):
    """Uniform on [0, 1)."""

    name, arity = "draw_uniform", 0
    numbers = 2
    shape: tuple[Size, ...]
    place: str

    def infer(self, *types: Type) -> Type:
        return Type("real", self.shape)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("U", f.number(0), f.number(1))

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"_uniform({self.where(w)}, {w.real})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"{self.drawer(w, 'uniform', out, w.real)}({w.step})"

    def kernel(self, k: KernelContext, *args: str) -> str:
        return f"draw_uniform({self.key(k)})"

    def workspace(self, types: tuple[Type, ...], result: Type) -> tuple[Workspace, ...]:
        return (_words(product(self.shape)),)


@dataclass(frozen=True)
class Normal(Draw):
    """Normal with mean 0 and standard deviation 1."""

    name, arity = "draw_normal", 0
    numbers = 3
    flops = 26  # √(−2·log(1 − u))·cos(2π·v): log and cos 8, root 4, and six with making u and v
    shape: tuple[Size, ...]
    place: str

    def infer(self, *types: Type) -> Type:
        return Type("real", self.shape)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("N", f.number(0), f.number(1))

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"_normal({self.where(w)}, {w.real})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"{self.drawer(w, 'normal', out)}({w.step})"

    def kernel(self, k: KernelContext, *args: str) -> str:
        return f"draw_normal({self.key(k)})"

    def workspace(self, types: tuple[Type, ...], result: Type) -> tuple[Workspace, ...]:
        return (_words(2 * product(self.shape)),)


@dataclass(frozen=True)
class Orthogonal(Draw):
    """A matrix with orthonormal columns, or rows if it is wider than high, uniformly distributed:
    Q of the QR factors of a normal matrix, with R's diagonal positive (Mezzadri, 2007). All axes
    but the last are its rows."""

    name, arity = "draw_orthogonal", 0
    shape: tuple[Size, ...]
    place: str

    def infer(self, *types: Type) -> Type:
        if len(self.shape) < 2:
            raise TypeRuleError(
                "E203", f"an orthogonal matrix has two axes or more, not {len(self.shape)}"
            )
        return Type("real", self.shape)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("O", *(f.symbol(str(size)) for size in self.shape))

    def cost(self, types: tuple[Type, ...], result: Type) -> Size:
        """Drawing, then Q and R of m·n elements by Householder's reflections: at most 4·m·n·k,
        k the shorter side (Golub and Van Loan, Matrix Computations); the columns if symbolic."""
        rows, side = product(self.shape[:-1]), self.shape[-1]
        if isinstance(rows, int) and isinstance(side, int):
            side = min(rows, side)
        return result.size * (Normal.flops + 4 * side)

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"_orthogonal({self.where(w)}, {w.real})"

    def hidden(self, types: tuple[Type, ...], result: Type) -> tuple[Type, ...]:
        """The factorization takes a normal matrix in f64 and copies of it."""
        return (Type("int", (result.size,)),) * 8


@dataclass(frozen=True)
class Bernoulli(Draw):
    """True with the probability that the scalar operand holds, in steps of 1/65536."""

    name, arity = "draw_bernoulli", 1
    numbers = 5
    shape: tuple[Size, ...]
    place: str

    def infer(self, *types: Type) -> Type:
        return Type("bool", self.shape)

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"_bernoulli({args[0]}, {self.where(w)})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        return f"{self.drawer(w, 'bernoulli', out)}({args[0]}, {w.step})"

    def kernel(self, k: KernelContext, *args: str) -> str:
        """The probability is rounded to 1/65536 from what it was before it was a ``real``."""
        (p,) = k.exact or args
        return f"draw_bernoulli({p}, {self.key(k)}, {k.size})"

    def workspace(self, types: tuple[Type, ...], result: Type) -> tuple[Workspace, ...]:
        return (_words(_third(product(self.shape))),)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("Bernoulli", *args)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls((2, 3), "sample"), (Type("real"),), 0.1, 0.9)]
