"""`cupy.cuda`: the device, its runtime."""

from __future__ import annotations

from typing import Any

from .device import DEVICE
from .errors import CUDARuntimeError
from .memory import PinnedMemoryPointer, PinnedMemoryPool
from .streams import Event, Stream, device_synchronized, elapsed

__all__ = ["CUDA", "NVRTC", "RUNTIME", "Device"]

NAME = b"Stand-in"
ATTRIBUTES = {"MaxThreadsPerBlock": 1024, "MultiProcessorCount": 132, "WarpSize": 32}
ARCHITECTURES = (50, 60, 70, 75, 80, 86, 89, 90, 100, 120)
DRIVER_VERSION = RUNTIME_VERSION = 12090


def _known(device: int) -> None:
    DEVICE.expect()
    if device != 0:
        raise CUDARuntimeError(101)


class Device:
    """`cupy.cuda.Device(0)`, the only one."""

    def __init__(self, device: Any = None) -> None:
        self.id = device.id if isinstance(device, Device) else int(device or 0)
        DEVICE.expect()

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return self.id

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"

    def __enter__(self) -> Device:
        _known(self.id)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def use(self) -> None:
        _known(self.id)

    def synchronize(self) -> None:
        _known(self.id)
        device_synchronized()

    @property
    def mem_info(self) -> tuple[int, int]:
        _known(self.id)
        return memGetInfo()

    @property
    def attributes(self) -> dict[str, int]:
        _known(self.id)
        return dict(ATTRIBUTES)

    @property
    def compute_capability(self) -> str:
        return "90"


def getDeviceCount() -> int:
    DEVICE.expect()
    return 1


def getDevice() -> int:
    DEVICE.expect()
    return 0


def getDeviceProperties(device: int) -> dict[str, Any]:
    _known(device)
    return {
        "name": NAME,
        "totalGlobalMem": DEVICE.total,
        "multiProcessorCount": ATTRIBUTES["MultiProcessorCount"],
        "maxThreadsPerBlock": ATTRIBUTES["MaxThreadsPerBlock"],
        "warpSize": ATTRIBUTES["WarpSize"],
        "major": 9,
        "minor": 0,
    }


def memGetInfo() -> tuple[int, int]:
    """Bytes that are free and in all; what the pool holds is not free."""
    DEVICE.expect()
    return DEVICE.total - DEVICE.held, DEVICE.total


def driverGetVersion() -> int:
    """0 where there is no driver."""
    return 0 if DEVICE.absent == 35 else DRIVER_VERSION


def runtimeGetVersion() -> int:
    return RUNTIME_VERSION


def deviceSynchronize() -> None:
    DEVICE.expect()
    device_synchronized()


def is_available() -> bool:
    return not DEVICE.absent


def alloc_pinned_memory(size: int) -> PinnedMemoryPointer:
    DEVICE.expect()
    return PinnedMemoryPool().malloc(size)


def get_current_stream(device_id: int = -1) -> Stream:
    DEVICE.expect()
    return Stream.current()


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    return elapsed(start_event, end_event)


def get_device_id() -> int:
    return getDevice()


def get_local_runtime_version() -> int:
    return RUNTIME_VERSION


def getVersion() -> tuple[int, int]:
    return RUNTIME_VERSION // 1000, RUNTIME_VERSION % 1000 // 10


def getSupportedArchs() -> tuple[int, ...]:
    return ARCHITECTURES


RUNTIME = [
    deviceSynchronize, driverGetVersion, getDevice, getDeviceCount, getDeviceProperties, memGetInfo,
    runtimeGetVersion,
]  # fmt: skip
CUDA = [
    alloc_pinned_memory, get_current_stream, get_device_id, get_elapsed_time,
    get_local_runtime_version, is_available,
]  # fmt: skip
NVRTC = [getSupportedArchs, getVersion]
