"""Names in C: ASCII, unique, none that means something to C++, CUDA or a header."""

from __future__ import annotations

import keyword
import re
import unicodedata

from graphc.backends.kernels.prelude import HELPERS

__all__ = ["CNames", "PlainNames", "kernel_name"]

LONGEST = 40
"""Characters of a kernel's name, about."""

_LANGUAGE = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t
    char32_t class compl concept const consteval constexpr constinit const_cast continue co_await
    co_return co_yield decltype default delete do double dynamic_cast else enum explicit export
    extern false float for friend goto if inline int long main mutable namespace new noexcept not
    not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires
    restrict return short signed sizeof static static_assert static_cast struct switch template
    this thread_local throw true try typedef typeid typename typeof union unsigned using virtual
    void volatile wchar_t while xor xor_eq linux unix errno major minor assert
"""
_CUDA = "threadIdx blockIdx blockDim gridDim warpSize dim3 cuda std half"
_FUNCTIONS = """
    abs acos acosh asin asinh atan atanh ceil cos cosh erf exp expm1 fabs floor isfinite isinf isnan
    log log1p max min pow rint round sin sinh sqrt tan tanh
"""
_OWN = "real REAL i row column block blocks seed step trouble"
_RESERVED = frozenset({*_LANGUAGE.split(), *_CUDA.split(), *_FUNCTIONS.split(), *_OWN.split()})
_RESERVED |= HELPERS.keys()

_OTHER = re.compile(r"\W+", re.ASCII)
_MACRO = re.compile(r"[A-Z][A-Z0-9_]+")


class CNames:
    """Names of one kernel."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def fresh(self, wanted: str) -> str:
        """``wanted`` made safe, with a number behind it if it is taken."""
        base = _identifier(wanted)
        name, number = base, 2
        while name in self._taken:
            name, number = f"{base}_{number}", number + 1
        self._taken.add(name)
        return name


class PlainNames(CNames):
    """Names that say nothing: two kernels that differ in names alone get the same text."""

    def fresh(self, wanted: str) -> str:
        name = f"v{len(self._taken)}"
        self._taken.add(name)
        return name


def kernel_name(title: str) -> str:
    """A kernel's name from what it computes: ``h: dense, relu`` is ``h_dense_relu``. It means
    nothing to Python either, where the kernel is called."""
    name = _identifier(title)
    if len(name) > LONGEST:
        name = name[:LONGEST].rpartition("_")[0].rstrip("_") or name[:LONGEST]
    return f"{name}_" if keyword.iskeyword(name) else name


def _identifier(text: str) -> str:
    """Text as a name that no header defines as a macro."""
    name = _OTHER.sub("_", "".join(map(_ascii, text))).strip("_") or "v"
    if name[0].isdigit():
        name = f"v{name}"
    reserved = name in _RESERVED or _MACRO.fullmatch(name)
    return f"{name}_" if reserved else name


def _ascii(sign: str) -> str:
    """A sign by ASCII: μ is mu, é is e, and what has no such name is its number."""
    if sign.isascii():
        return sign
    plain = unicodedata.normalize("NFKD", sign)[0]
    if plain.isascii():
        return plain
    words = unicodedata.name(sign, "").split()
    if words[:1] == ["GREEK"] and "LETTER" in words:
        letter = words[words.index("LETTER") + 1].lower()
        return letter.capitalize() if "CAPITAL" in words else letter
    return f"u{ord(sign):x}"
