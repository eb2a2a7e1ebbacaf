"""Random draws: each a pure function of (seed, place in the model, step, element).

The generator is Philox4x64-10 (Salmon et al., 2011) with key (seed, hash of the place) and counter
(block, 0, step, 0). Block b (from 1) holds the 64-bit words 4(b−1)…4(b−1)+3. A uniform number takes
one word, a normal one two (Box and Muller, 1958), a Bernoulli one 16 bits, lowest first; an
orthogonal matrix takes those of a normal one. Any target that has the ten rounds draws the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from graphc.ir import (
    Formula,
    Notation,
    Operator,
    Sample,
    Size,
    Type,
    TypeRuleError,
    Value,
    WriteContext,
    product,
)


def place_key(place: str) -> int:
    """The 64-bit half of the key that a place gives."""
    return int.from_bytes(blake2b(place.encode(), digest_size=8).digest(), "little")


class Draw(Operator):
    """Base of the family: a shape, and the place that keys the generator."""

    shape: tuple[Size, ...]
    place: str

    def where(self, w: WriteContext) -> str:
        return f"{w.shape(self.shape)}, {w.seed}, 0x{place_key(self.place):016X}, {w.step}"

    def words(self, w: WriteContext, count: str) -> str:
        """The same words from a generator that is kept from step to step."""
        source = w.once(f"_word_source({w.seed}, 0x{place_key(self.place):016X})")
        return f"{source}({count}, {w.step})"

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> None:
        return None


@dataclass(frozen=True)
class Uniform(Draw):
    """Uniform on [0, 1)."""

    name, arity = "draw_uniform", 0
    shape: tuple[Size, ...]
    place: str

    def infer(self, *types: Type) -> Type:
        return Type("real", self.shape)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("U", f.number(0), f.number(1))

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"_uniform({self.where(w)}, {w.real})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        words = self.words(w, w.size(product(self.shape)))
        return f"np.copyto({out}, _uniform_of({words}, {w.shape(self.shape)}, {w.real}))"


@dataclass(frozen=True)
class Normal(Draw):
    """Normal with mean 0 and standard deviation 1."""

    name, arity = "draw_normal", 0
    shape: tuple[Size, ...]
    place: str

    def infer(self, *types: Type) -> Type:
        return Type("real", self.shape)

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("N", f.number(0), f.number(1))

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"_normal({self.where(w)}, {w.real})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        words = self.words(w, w.size(2 * product(self.shape)))
        return f"np.copyto({out}, _normal_of({words}, {w.shape(self.shape)}, {w.real}))"


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

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"_orthogonal({self.where(w)}, {w.real})"


@dataclass(frozen=True)
class Bernoulli(Draw):
    """True with the probability that the scalar operand holds, in steps of 1/65536."""

    name, arity = "draw_bernoulli", 1
    shape: tuple[Size, ...]
    place: str

    def infer(self, *types: Type) -> Type:
        return Type("bool", self.shape)

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"_bernoulli({args[0]}, {self.where(w)})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        words = self.words(w, f"({w.size(product(self.shape))} + 3) // 4")
        lanes = f"_lanes({words}, {w.shape(self.shape)})"
        return f"np.less({lanes}, _threshold({args[0]}), out={out})"

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.call("Bernoulli", *args)

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls((2, 3), "sample"), (Type("real"),), 0.1, 0.9)]
