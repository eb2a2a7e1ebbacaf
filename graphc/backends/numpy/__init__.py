"""Programs to a Python module that imports only NumPy.

``print_module`` is the room's door; ``plan_trainer`` is for who wants to know what a step costs.
The plain functions of a module are one statement a node and read as a worked derivation; its
``Trainer`` computes the same numbers over fixed arrays.
"""

from graphc.backends.numpy.module import print_module
from graphc.backends.numpy.trainer import plan_trainer

__all__ = ["plan_trainer", "print_module"]
