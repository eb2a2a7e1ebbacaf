"""Files of a state, and the way from raw columns to batches and back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import handmade
import numpy as np
import pytest
from handmade import Sheet, data, n, parameter, sgd, spec

from graphc.backends.numpy import print_module
from graphc.ir import Type
from graphc.model.program import DataPlan, OutputInfo, Programs


def test_round_trip(tmp_path: Path) -> None:
    module = handmade.module_of(handmade.mlp((4, 3)))
    state = module.init(7)
    path = tmp_path / "état.npz"
    module.save(path, state)
    again = module.load(path)
    assert list(again) == list(state)
    for name, value in state.items():
        assert np.array_equal(again[name], value)
        assert again[name].dtype == value.dtype
    with np.load(path, allow_pickle=False) as file:
        assert np.array_equal(file["h1.dense1.W"], state["h1.dense1.W"])


@pytest.mark.parametrize("name", ["file", "self", "μ", "block[1].h", "a.npy", "名前", "file.npy"])
def test_any_name_is_saved(name: str, tmp_path: Path) -> None:
    module = handmade.module_of(named(name))
    state = module.init()
    module.save(tmp_path / "s.npz", state)
    assert np.array_equal(module.load(tmp_path / "s.npz")[name], state[name])


def named(name: str) -> Programs:
    kind = Type("real", (n, 2))

    def build(s: Sheet, training: bool) -> Any:
        z = s.input("x", kind) * s.parameter(name, Type("real", (2,)))
        return {("objective", ""): (z * z).apply("sum", axis=(0, 1))}

    the_spec = spec([data("x", "input", kind)], [parameter(name, (2,))], [sgd((name,))])
    return handmade.programs(the_spec, build)


def test_saving_is_atomic(tmp_path: Path) -> None:
    module = handmade.module_of(handmade.mlp((4, 3)))
    path = tmp_path / "s.npz"
    module.save(path, module.init())
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        module.save(path, {"a": np.array([object()])})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["s.npz"]


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    module, other = (
        handmade.module_of(handmade.mlp((4, 3))),
        handmade.module_of(handmade.mlp((5, 3))),
    )
    path = tmp_path / "s.npz"
    other.save(path, other.init())
    with pytest.raises(ValueError, match=r"h1\.dense1\.W has shape \(5, 3\)"):
        module.load(path)
    state = module.init()
    del state["step"]
    module.save(path, {**state, "more": np.zeros(1)})
    with pytest.raises(ValueError, match="lacks step and has more"):
        module.load(path)
    module.save(path, {**module.init(), "h1.dense1.b": np.zeros(3, int)})
    with pytest.raises(ValueError, match="holds int64"):
        module.load(path)
    path.write_text("no archive")
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        module.load(path)
    np.savez(path, **{"h1.dense1.W": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        module.load(path)


def test_weights_beside_the_module(tmp_path: Path) -> None:
    source = print_module(handmade.mlp((4, 3)), classes={}, version="1", weights="w.npz")
    module = handmade.load_source(source, tmp_path)
    state = module.init(3)
    module.save(tmp_path / "w.npz", state)
    assert np.array_equal(module.load()["h1.dense1.W"], state["h1.dense1.W"])
    assert str(tmp_path / "w.npz") == module.WEIGHTS


def table() -> Programs:
    """Scaled inputs, a text label, a target to be scaled back."""
    two, one = Type("real", (n, 2)), Type("real", (n,))
    label = Type("label", (n,), 3)
    fitted = {"data.x.mean": Type("real", (2,)), "data.t.scale": Type("real")}
    the_spec = spec(
        [data("x", "input", two), data("kind", "target", label), data("t", "target", one)],
        [parameter("w", (2,))],
        [sgd(("w",))],
        [handmade.state(name, type, 1.0) for name, type in fitted.items()],
        outputs={"guess": OutputInfo("guess", "t")},
        data=DataPlan(columns={"raw x": ("x",), "class": ("kind",), "price": ("t",)}),
        fitted=fitted,
    )

    def build(s: Sheet, training: bool) -> Any:
        guess = s.named(s.input("x", two) @ s.parameter("w", Type("real", (2,))), "guess")
        error = guess - s.input("t", one)
        return {
            ("objective", ""): (error * error).apply("sum", axis=(0,)) / s.size(),
            ("output", "guess"): guess,
        }

    def prepare(s: Sheet) -> Any:
        return {
            ("batch", "x"): s.column("raw x", two) - s.state("data.x.mean", Type("real", (2,))),
            ("batch", "kind"): s.column("class", label),
            ("batch", "t"): s.column("price", one) / s.state("data.t.scale", Type("real")),
        }

    def fit(s: Sheet) -> Any:
        x, t = s.column("raw x", two), s.column("price", one)
        return {
            ("fitted", "data.x.mean"): x.apply("sum", axis=(0,)) / s.size(),
            ("fitted", "data.t.scale"): t.apply("max", axis=(0,)),
        }

    def restore(s: Sheet) -> Any:
        scale = s.state("data.t.scale", Type("real"))
        return {("restored", "guess"): s.input("guess", one) * scale}

    return handmade.programs(the_spec, build, prepare=prepare, fit=fit, restore=restore)


RAW = {
    "raw x": np.array([[0, 200], [100, 250]], dtype=np.uint8),
    "class": np.array(["cat", "ant"]),
    "price": np.array([2, 4]),
    "unused": np.array(["a", "b"]),
}


def test_from_columns_and_back() -> None:
    module = handmade.module_of(table(), classes={"kind": ["ant", "bee", "cat"]})
    fresh = module.init()
    state = module.fit(RAW, fresh)
    assert fresh["data.x.mean"].tolist() == [1.0, 1.0]
    assert state["data.x.mean"].tolist() == [50.0, 225.0]
    assert state["data.t.scale"].dtype == np.float32
    batch = module.prepare(RAW, state)
    assert batch["x"].tolist() == [[-50.0, -25.0], [50.0, 25.0]]
    assert batch["kind"].tolist() == [2, 0]
    assert batch["kind"].dtype == np.int64
    assert batch["t"].tolist() == [0.5, 1.0]
    assert {batch["x"].dtype, batch["t"].dtype} == {np.dtype(np.float32)}
    restored = module.restore({"guess": batch["t"], "other": 1}, state)
    assert restored["guess"].tolist() == [2.0, 4.0]
    assert module.restore({}, state) == {}
    module._check_state(state)


def test_missing_and_wrong_columns() -> None:
    module = handmade.module_of(table(), classes={"kind": ["ant", "bee", "cat"]})
    state = module.init()
    assert list(module.prepare({"raw x": RAW["raw x"]}, state)) == ["x"]
    with pytest.raises(ValueError, match="input x needs raw x"):
        module.prepare({"price": RAW["price"]}, state)
    with pytest.raises(ValueError, match="class holds 'dog', its classes are ant, bee, cat"):
        module.prepare({**RAW, "class": np.array(["ant", "dog"])}, state)
    objects = np.array(["bee", "bee"], dtype=object)
    assert module.prepare({**RAW, "class": objects}, state)["kind"].tolist() == [1, 1]
    floats = np.array([2.0, 1.0])
    assert module.prepare({**RAW, "class": floats}, state)["kind"].tolist() == [2, 1]
    for wrong in (np.array([0.5, 1.0]), np.array([0, 3]), np.array([-1, 0]), np.array([0, np.nan])):
        with pytest.raises(ValueError, match="class holds"):
            module.prepare({**RAW, "class": wrong}, state)
    with pytest.raises(ValueError, match="no column price"):
        module.fit({"raw x": RAW["raw x"]}, state)


def test_a_saved_state_has_the_permissions_of_any_file(tmp_path: Path) -> None:
    module = handmade.module_of(handmade.mlp((4, 3)))
    module.save(tmp_path / "s.npz", module.init())
    (tmp_path / "other").write_bytes(b"")
    assert (tmp_path / "s.npz").stat().st_mode == (tmp_path / "other").stat().st_mode
