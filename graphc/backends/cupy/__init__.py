"""Programs to a Python module that computes with CuPy on an NVIDIA GPU.

Files, raw data and numbers of the run stay on the host, with NumPy. A fused group is one kernel in
CUDA C++, everything else a call of CuPy. CuPy is needed to run a module, not to print one.
"""

from graphc.backends.cupy.device import find_device
from graphc.backends.cupy.memory import device_bytes
from graphc.backends.cupy.module import print_module
from graphc.backends.cupy.schedule import schedule_text

__all__ = ["device_bytes", "find_device", "print_module", "schedule_text"]
