"""Why a GPU cannot be used: each case with what CuPy 14.2 says in it, from a CuPy that is made up.

What it says without a driver, with two wheels and without libraries is what it said without a GPU;
what it says with a driver is from its sources and from reports of its users.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest
import standin

from graphc.backends.cupy.device import find_device
from graphc.backends.targets import DeviceInfo, NoDeviceError

GIB = 2**30
INSUFFICIENT = (
    "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
)
NO_DEVICE = "cudaErrorNoDevice: no CUDA-capable device is detected"
INSTALL = (
    "pip install 'graphc[cuda13]' with an NVIDIA driver of version 580 or newer, 'graphc[cuda12]' "
    "with an older one"
)
MISSING = 'Failure finding "{0}": No such file: {0}, No such file: {0}\n'
IMPORT = """
================================================================
Failed to import CuPy.

If you installed CuPy via wheels (cupy-cudaXXX or cupy-rocm-X-X), make sure that the package matches
with the version of CUDA or ROCm installed.

Original error:
  ImportError: libcudart.so.12: cannot open shared object file: No such file or directory
================================================================
"""


class CUDARuntimeError(RuntimeError):
    pass


class MadeUp(ModuleType):
    """CuPy as far as a device is looked for, on an H200 with CUDA 12.9; a test changes ``says``,
    in which an exception is raised where a value would be given."""

    def __init__(self) -> None:
        super().__init__("cupy")
        self.__version__ = "14.2.0"
        self.says: dict[str, object] = {
            "driver": 12090,
            "runtime": 12090,
            "count": 1,
            "properties": {"name": b"NVIDIA H200", "major": 9, "minor": 0},
            "memory": (130 * GIB, 139 * GIB),
            "pool": 0,
            "nvrtc": (12, 9),
            "architectures": (50, 52, 60, 75, 80, 90, 120),
            "cublas": None,
        }
        runtime = SimpleNamespace(
            is_hip=False,
            CUDARuntimeError=CUDARuntimeError,
            driverGetVersion=lambda: self.ask("driver"),
            runtimeGetVersion=lambda: self.ask("runtime"),
            getDeviceCount=lambda: self.ask("count"),
            getDeviceProperties=lambda id: self.ask("properties") if id == 3 else None,
        )
        nvrtc = SimpleNamespace(
            getVersion=lambda: self.ask("nvrtc"),
            getSupportedArchs=lambda: self.ask("architectures"),
        )
        ask = self.ask

        class Device:
            id = 3
            mem_info = property(lambda _: ask("memory"))

        class Cuda(SimpleNamespace):
            cublas = property(lambda _: ask("cublas"))

        self.cuda = Cuda(runtime=runtime, nvrtc=nvrtc, Device=Device)
        self.get_default_memory_pool = lambda: SimpleNamespace(free_bytes=lambda: ask("pool"))

    def ask(self, what: str) -> object:
        said = self.says[what]
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    made = MadeUp()
    monkeypatch.setitem(sys.modules, "cupy", made)
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return made


def refusal() -> tuple[str, str]:
    with pytest.raises(NoDeviceError) as found:
        find_device()
    return found.value.message, found.value.help


# -------------------------------------------------------------------------------- it works


def test_a_gpu_that_works(cupy):
    assert find_device() == DeviceInfo("NVIDIA H200", 139 * GIB, 130 * GIB)


def test_what_cupy_keeps_in_its_pool_is_free(cupy):
    cupy.says["pool"] = 2 * GIB
    assert find_device().free == 132 * GIB


def test_a_newer_driver_runs_an_older_cuda(cupy):
    cupy.says["driver"] = 13010
    assert find_device().name == "NVIDIA H200"


# -------------------------------------------------------------------------------- the package


def test_no_cupy(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [])
    assert refusal() == ("CuPy is not installed", f"install it: {INSTALL}")


def test_two_wheels(cupy, monkeypatch):
    there = {"cupy-cuda12x", "cupy-cuda13x"}
    monkeypatch.setattr(
        importlib.metadata, "distributions", lambda name: [name] if name in there else []
    )
    message, help = refusal()
    assert message == "more than one CuPy is installed: cupy-cuda12x, cupy-cuda13x"
    assert help == (
        "each overwrites files of the others: pip uninstall cupy-cuda12x cupy-cuda13x, "
        f"then {INSTALL}"
    )


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        (
            ImportError("libcudart.so.12: cannot open shared object file: No such file"),
            "libcudart.so.12: cannot open shared object file: No such file",
        ),
        (ModuleNotFoundError("No module named 'cuda'", name="cuda"), "No module named 'cuda'"),
    ],
)
def test_a_cupy_that_does_not_load(monkeypatch, tmp_path, cause, told):
    """CuPy raises a page with the cause in it, from the cause."""
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [])
    named = f", name={cause.name!r}" if cause.name else ""
    (tmp_path / "cupy.py").write_text(
        f"try:\n    raise {type(cause).__name__}({str(cause)!r}{named})\n"
        f"except ImportError as problem:\n    raise ImportError({IMPORT!r}) from problem\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    message, help = refusal()
    assert message == f"CuPy is installed and cannot be imported: {told}"
    assert "pip install --force-reinstall 'graphc[cuda12]', or 'graphc[cuda13]'" in help


def test_a_package_that_cupy_needs_and_any_other_failure(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [])
    monkeypatch.syspath_prepend(tmp_path)
    for text, told in (
        ("import cuda.pathfinder_that_is_not_there", "No module named 'cuda"),
        ("raise AttributeError('numpy has no attribute bool8')", "numpy has no attribute bool8"),
    ):
        monkeypatch.delitem(sys.modules, "cupy", raising=False)
        (tmp_path / "cupy.py").write_text(text + "\n")
        assert refusal()[0].startswith(f"CuPy is installed and cannot be imported: {told}")


def test_another_cupy(cupy):
    cupy.cuda.runtime.is_hip = True
    assert refusal()[0] == "this CuPy is for AMD's ROCm, and the kernels of a module are CUDA"
    cupy.cuda.runtime.is_hip, cupy.__version__ = False, "13.6.0"
    assert refusal() == (
        "CuPy 13.6.0 is too old, version 14 is needed",
        f"uninstall it, then {INSTALL}",
    )
    cupy.__version__ = "15.0.0rc1"
    assert find_device() is not None


# -------------------------------------------------------------------------------- driver and GPU


def test_no_driver(cupy):
    cupy.says.update(driver=0, count=CUDARuntimeError(INSUFFICIENT))
    assert refusal() == (
        "there is no NVIDIA driver",
        "install the driver of the GPU; a container needs to be started with it, as with "
        "docker run --gpus all",
    )


@pytest.mark.parametrize(
    ("driver", "runtime", "message", "help"),
    [
        (
            12020,
            13000,
            "the NVIDIA driver is for CUDA 12.2, too old for this CuPy, which is for CUDA 13.0",
            "update the driver to version 580 or newer, or take the CuPy for it: "
            "pip uninstall cupy-cuda13x, then pip install 'graphc[cuda12]'",
        ),
        (
            11040,
            12090,
            "the NVIDIA driver is for CUDA 11.4, too old for this CuPy, which is for CUDA 12.9",
            "update the driver to version 525 or newer",
        ),
        (
            13000,
            14000,
            "the NVIDIA driver is for CUDA 13.0, too old for this CuPy, which is for CUDA 14.0",
            "update the driver to a newer version, or take the CuPy for it: "
            "pip uninstall cupy-cuda14x, then pip install 'graphc[cuda13]'",
        ),
    ],
)
def test_a_driver_that_is_too_old(cupy, driver, runtime, message, help):
    cupy.says.update(driver=driver, runtime=runtime, count=CUDARuntimeError(INSUFFICIENT))
    assert refusal() == (message, help)


@pytest.mark.parametrize("count", [0, CUDARuntimeError(NO_DEVICE)])
def test_no_gpu(cupy, monkeypatch, count):
    cupy.says["count"] = count
    assert refusal() == ("there is no NVIDIA GPU", "see whether nvidia-smi shows the GPU")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    message, help = refusal()
    assert message == "there is no NVIDIA GPU, or CUDA_VISIBLE_DEVICES= hides it"
    assert help == "unset CUDA_VISIBLE_DEVICES, or set it to the number of a GPU"


def test_a_driver_that_does_not_work(cupy):
    cupy.says["count"] = CUDARuntimeError(
        "cudaErrorSystemDriverMismatch: system has unsupported display driver / cuda driver "
        "combination"
    )
    message, help = refusal()
    assert message.startswith("the NVIDIA driver does not work: cudaErrorSystemDriverMismatch: ")
    assert help == "see whether nvidia-smi shows the GPU"


def test_a_gpu_that_another_process_holds(cupy):
    said = "cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy or unavailable"
    cupy.says["memory"] = CUDARuntimeError(said)
    assert refusal()[0] == f"the GPU cannot be used: {said}"


def test_a_gpu_that_is_too_old(cupy):
    cupy.says["runtime"] = 13000
    cupy.says["architectures"] = (75, 80, 86, 89, 90, 100, 120)
    cupy.says["properties"] = {"name": b"Tesla P100", "major": 6, "minor": 0}
    assert refusal() == (
        "Tesla P100 is too old: its compute capability is 6.0, and CUDA 13.0 needs 7.5",
        "CUDA 12 still knows it: uninstall this CuPy, then pip install 'graphc[cuda12]'",
    )
    cupy.says.update(runtime=12090, architectures=(50, 90))
    cupy.says["properties"] = {"name": b"Tesla K80", "major": 3, "minor": 7}
    assert refusal() == (
        "Tesla K80 is too old: its compute capability is 3.7, and CUDA 12.9 needs 5.0",
        "take another GPU",
    )


# -------------------------------------------------------------------------------- libraries


@pytest.mark.parametrize(
    ("library", "problem"),
    [
        ("nvrtc", RuntimeError(MISSING.format("libnvrtc.so.13 or libnvrtc.so.12"))),
        ("cublas", ImportError(MISSING.format("libcublasLt.so.13 or libcublasLt.so.12"))),
    ],
)
def test_a_library_that_is_missing(cupy, library, problem):
    cupy.says[library] = problem
    message, help = refusal()
    assert message.startswith("CuPy does not find a library of CUDA 12: Failure finding")
    assert f"lib{library}" in message
    assert "\n" not in message
    assert help == "pip install 'graphc[cuda12]' brings it"


def test_an_error_of_cuda_is_not_taken_for_a_missing_library(cupy):
    cupy.says["nvrtc"] = CUDARuntimeError("cudaErrorUnknown: unknown error")
    assert refusal()[0] == "the GPU cannot be used: cudaErrorUnknown: unknown error"


# -------------------------------------------------------------------------------- the compiler


def test_the_compiler_imports_no_cupy(root):
    """Looking for a device is the only reason to."""
    code = (
        "import sys, graphc.session, graphc.cli.train, graphc.backends.cupy.device\n"
        "assert not any(name.split('.')[0] == 'cupy' for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=60)


def test_the_stand_in_is_a_device_and_looking_transfers_nothing():
    with standin.installed() as made:
        assert find_device().name == "Stand-in"
        assert (made.counts.to_device, made.counts.to_host) == ([], [])
        made.set_memory(5 * GIB)
        assert (find_device().total, find_device().free) == (5 * GIB, 5 * GIB)
        made.no_device()
        assert refusal()[0] == "there is no NVIDIA GPU"
