"""Programs to a Python module that imports only NumPy.

``print_module`` is the room's one door. The plain functions of a module are one statement a node
and read as a worked derivation; its ``Trainer`` computes the same numbers over fixed arrays.
"""

from graphc.backends.numpy.module import print_module

__all__ = ["print_module"]
