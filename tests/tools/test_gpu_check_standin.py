"""The check of a GPU with the stand-in for CuPy in its place: machine, parity, memory, and graphc's
half of the benchmarks, on small models; that each finds what is wrong there."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gpu_check import benchmarks, device, memory, parity, prepare, prepared
from gpu_check.memory import Seen
from gpu_check.peers import NETWORKS
from gpu_check.rows import Row


class Told:
    """An ``emit`` that keeps rows."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def __call__(self, what, status, detail="", **values) -> None:
        self.rows.append(Row("part", "item", what, status, detail, values))

    def failed(self) -> set[str]:
        return {row.what for row in self.rows if row.status == "failed"}

    def __getitem__(self, what: str) -> Row:
        return next(row for row in self.rows if row.what == what)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("prepared")
    entries = prepare.prepare(made, ["iris", "draws", "64-32-10"], workers=1)
    assert not [entry.problem for entry in entries if entry.problem]
    return made


@pytest.fixture
def entry(folder):
    """The entry of a model in f32."""
    entries = prepared.read_manifest(folder)
    return lambda name: next(e for e in entries if (e.name, e.precision) == (name, "f32"))


def test_machine(cupy, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert device.problem() == ""
    told = Told()
    device.describe(told, cupy)
    assert told["GPU"].detail == "Stand-in"
    assert told["CUDA of the driver"].detail == "12.9"
    assert told["PyTorch"].detail == told["CUDA of PyTorch"].detail == "not installed"


def test_a_machine_without_a_driver(cupy):
    cupy.no_device(35)
    assert device.problem().startswith("CuPy finds no GPU that works: CUDARuntimeError")


@pytest.fixture
def check(cupy, folder):
    """The rows of a model, its module for the device changed before they are told."""

    def check(name: str, spoil=lambda module: None) -> Told:
        told = Told()
        entries = [e for e in prepared.read_manifest(folder) if e.name == name]

        def side(module):
            spoil(module)
            return parity.device_side(module, cupy)

        parity.check_model(folder, {e.precision: e for e in entries}, told, side)
        return told

    return check


class TestParity:
    @pytest.mark.parametrize("name", ["iris", "draws"])
    def test_alike(self, check, name):
        told = check(name)
        assert not told.failed(), [row.detail for row in told.rows if row.status == "failed"]
        assert {row.what for row in told.rows if row.status == "ok"} >= {
            f"{precision} {name}"
            for precision in ("f64", "f32")
            for name in ("face", "gradients in training", "hessian_vector_products", "three steps")
        }

    def test_broken_promises(self, check):
        """Each is found by the check of the face; no number is wrong."""

        def spoil(module):
            place = module.place
            module.place = lambda arrays: {n: a.copy() for n, a in place(arrays).items()}
            module.room = lambda: 0
            module.ahead = lambda batches: iter([*((place(a), n) for a, n in batches)][1:])
            trainer = module.Trainer

            class Hasty(trainer):
                def step(self, batch):
                    return float(super().step(batch))

            module.Trainer = Hasty

        told = check("iris", spoil)
        assert told.failed() == {"f64 face", "f32 face"}
        for said in (
            "place copies what is there",
            "room() is 0",
            "ahead does not give each batch once and in order",
            "a step gives a float",
        ):
            assert said in told["f64 face"].detail

    def test_errors_that_are_swallowed(self, check):
        def spoil(module):
            trainer = module.Trainer

            class Silent(trainer):
                def state(self):
                    try:
                        return super().state()
                    except (FloatingPointError, ValueError, IndexError):
                        return {}

            module.Trainer = Silent

        detail = check("iris", spoil)["f32 face"].detail
        assert "parameters that are not numbers: nothing is raised" in detail
        assert "a label 1000000 of y: nothing is raised" in detail


class Meter:
    """Bytes that the stand-in's arrays hold."""

    def __init__(self, cupy) -> None:
        self._counts = cupy.counts

    def __enter__(self):
        self._counts.clear()
        self._base = self._counts.bytes
        return self

    def __exit__(self, *_) -> None:
        pass

    @property
    def held(self) -> int:
        return self._counts.bytes - self._base

    @property
    def peak(self) -> int:
        return self._counts.peak - self._base


@pytest.fixture
def measure(cupy, folder, entry):
    """The rows about the memory of iris."""

    def transfers(function) -> Seen:
        counts = cupy.counts
        counts.clear()
        function()
        launched = sum(counts.launches.values()) + sum(counts.operations.values())
        return Seen(len(counts.to_device) + len(counts.ahead), len(counts.to_host), launched)

    def measure(spoil=lambda module: None, **changed) -> Told:
        of = SimpleNamespace(**{**vars(entry("iris")), **changed})
        module = prepared.load_module(folder / of.files["cupy"])
        spoil(module)
        told = Told()
        options = {"steps": (3, 6), "watched": 4}
        memory.check_memory(module, of, told, lambda: Meter(cupy), transfers, **options)
        return told

    return measure


class TestMemory:
    def test_as_predicted(self, measure):
        told = measure()
        assert not told.failed()
        assert told["peak"].values["held"] > 1000
        assert told["transfers"].values["copies"] == 0
        assert told["kernels a step"].values["kernels"] > 5

    def test_a_wrong_prediction(self, measure, monkeypatch):
        monkeypatch.setattr(memory, "ROUNDING", 0)
        held = measure()["peak"].values["held"]
        assert not measure(device_bytes=held).failed()
        too_few, too_many = measure(device_bytes=held // 2), measure(device_bytes=10**9)
        assert too_few.failed() == too_many.failed() == {"peak"}
        assert too_few["peak"].detail.startswith(f"{held:,} bytes are held, ")
        assert too_many["peak"].detail == f"1,000,000,000 bytes were predicted, {held:,} are held"

    def test_what_grows(self, measure):
        def spoil(module):
            trainer = module.Trainer

            class Hoarder(trainer):
                kept: list[object] = []  # noqa: RUF012

                def step(self, batch):
                    objective = super().step(batch)
                    self.kept.append(module.cp.zeros(100) + objective)
                    return objective

            module.Trainer = Hoarder

        assert measure(spoil).failed() == {"growth"}

    def test_a_hidden_transfer(self, measure):
        def spoil(module):
            trainer = module.Trainer

            class Reader(trainer):
                def step(self, batch):
                    objective = super().step(batch)
                    float(objective)
                    return objective

            module.Trainer = Reader

        told = measure(spoil)
        assert told.failed() == {"transfers"}
        assert told["transfers"].detail == "0 to the device and 4 to the host in 4 steps"


def test_bytes_of_a_pool():
    """The hook counts what the pool gives, and what it takes back."""

    class Hook:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    pool = SimpleNamespace(free_all_blocks=lambda: None)
    cuda = SimpleNamespace(
        MemoryHook=Hook, Device=lambda: SimpleNamespace(synchronize=lambda: None)
    )
    cupy = SimpleNamespace(cuda=cuda, get_default_memory_pool=lambda: pool)
    with memory.pool_meter(cupy) as meter:
        meter.free_postprocess(mem_ptr=1, mem_size=4096)  # taken before it was opened
        meter.malloc_postprocess(mem_ptr=2, mem_size=1024, size=1000)
        meter.malloc_postprocess(mem_ptr=3, mem_size=512, size=4)
        meter.free_postprocess(mem_ptr=2, mem_size=1024)
        assert (meter.held, meter.peak) == (512, 1536)


def test_benchmark_of_graphc_alone(cupy, folder, entry):
    """Without PyTorch there are graphc's figures, and it is said that the others are not."""
    module = prepared.load_module(folder / entry("64-32-10").files["cupy"])
    told = Told()
    wait = cupy.cuda.Device().synchronize
    options = {"seconds": 9.0, "rounds": 1, "round_of": 0.001}
    benchmarks.check_network(module, NETWORKS["64-32-10"], told, None, wait, **options)
    assert np.isfinite(told["graphc"].values["times"]).all()
    assert {told[peer].status for peer in benchmarks.PEERS} == {"left out"}
