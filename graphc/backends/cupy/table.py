"""The kernels of one module: each once, however many functions call it, under a name of its own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from graphc.backends.kernels import Entry, Kernel, kernel_name, prelude

__all__ = ["KernelTable"]

NOTE_RANGE = """\
// An index of an array that is not from low to high - 1, if there is one, to a place of its own.
extern "C" __global__ void note_range(const long long* index, long long count, long long low,
                                      long long high, long long* notes, long long place)
{
    for (long long i = thread_number(); i < count; i += thread_count()) {
        if (index[i] < low || index[i] >= high) {
            notes[place] = index[i];
        }
    }
}
"""

NOTE_OBJECTIVE = """\
// An objective as f64; where it is not finite and none was before, the step is written down.
extern "C" __global__ void note_objective(const real* objective, double* copy, long long* failed,
                                          long long step)
{
    if (thread_number() == 0) {
        copy[0] = (double)objective[0];
        if (copy[0] - copy[0] != 0.0 && failed[0] < 0) {
            failed[0] = step;
        }
    }
}
"""

NORMAL = """\
// Standard normal numbers of a place.
extern "C" __global__ void normal(real* out, long long count, unsigned long long seed,
                                  unsigned long long place, long long step)
{
    for (long long i = thread_number(); i < count; i += thread_count()) {
        out[i] = draw_normal(seed, place, step, i);
    }
}
"""

FIXED = {"note_range": NOTE_RANGE, "note_objective": NOTE_OBJECTIVE, "normal": NORMAL}
"""Kernels that functions printed as they are call, by name."""


@dataclass
class KernelTable:
    """Collects kernels while functions are printed; then gives the source of all."""

    sources: dict[str, str] = field(default_factory=dict)
    """By the name of the entry that is launched first."""
    names: list[str] = field(default_factory=list)
    """Of all entries."""
    constants: dict[str, int] = field(default_factory=dict)
    """A number for the text of each array that never changes."""

    def __post_init__(self) -> None:
        self._known: dict[str, Kernel] = {}

    def free_name(self, title: str) -> str:
        """A name that no kernel has: two kernels may have one title."""
        what, _, of = title.rpartition(": ")
        backward = what.startswith("gradient of ")
        base = kernel_name(f"gradient of {of}" if backward else of)
        taken = {*self.names, *FIXED, *(f"{name}_total" for name in self.names)}
        name, number = base, 2
        while name in taken or f"{name}_total" in taken:
            name, number = f"{base}_{number}", number + 1
        return name

    def enter(self, kernel: Kernel) -> Kernel:
        """The kernel under the names of the one that is there already, if one is like it."""
        known = self._known.get(kernel.key)
        if known is None:
            self._known[kernel.key] = kernel
            self.sources[kernel.main.name] = kernel.source
            self.names += [entry.name for entry in _entries(kernel)]
            return kernel
        main = replace(kernel.main, name=known.main.name)
        total = kernel.total and replace(kernel.total, name=known.total.name if known.total else "")
        return replace(kernel, main=main, total=total)

    def constant(self, text: str) -> int:
        """The number of an array that never changes, by its text."""
        return self.constants.setdefault(text, len(self.constants))

    def source(self, called: str) -> str:
        """All of them in CUDA C++ with what they call, and the fixed ones that a text calls."""
        fixed = [text for name, text in FIXED.items() if f".{name}" in called]
        self.names += [name for name in FIXED if f".{name}" in called and name not in self.names]
        body = "\n".join([*self.sources.values(), *fixed])
        return f"{prelude(body)}\n{body}" if body else ""


def _entries(kernel: Kernel) -> list[Entry]:
    return [kernel.main, *([kernel.total] if kernel.total else [])]
