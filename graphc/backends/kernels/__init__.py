"""Kernels in CUDA C++: a group of the graph as one function, for targets that run such.

Knows the schedule and what is below it, and no target. One text serves CUDA, through NVRTC, and,
behind definitions of what CUDA has and C++ has not, a host's compiler.
"""

from graphc.backends.kernels.kernel import Entry, Kernel
from graphc.backends.kernels.names import kernel_name
from graphc.backends.kernels.prelude import OPTIONS, helpers_used, prelude
from graphc.backends.kernels.printing import print_kernel
from graphc.backends.kernels.update import print_update

__all__ = [
    "OPTIONS",
    "Entry",
    "Kernel",
    "helpers_used",
    "kernel_name",
    "prelude",
    "print_kernel",
    "print_update",
]
