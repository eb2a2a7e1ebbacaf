"""Run a generated module where only NumPy can be imported: python only_numpy.py MODULE.py"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from pathlib import Path


class OnlyNumPy(importlib.abc.MetaPathFinder):
    """Refuses every package that is neither NumPy nor Python's own."""

    def find_spec(self, fullname, path, target=None):
        top = fullname.partition(".")[0]
        if top != "numpy" and top not in sys.stdlib_module_names:
            raise ImportError(f"a generated module must not import {fullname}")


def main(path: Path) -> None:
    import numpy as np

    sys.meta_path.insert(0, OnlyNumPy())
    spec = importlib.util.spec_from_file_location("generated", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    batch = dict(np.load(path.with_suffix(".batch.npz")))
    state = module.init(seed=1)
    inputs = {name: batch[name] for name in module.signature["inputs"]}
    before = module.predict(state, inputs)
    trainer = module.Trainer(state, 6, steps_per_epoch=2, epochs=1)
    first = trainer.step(batch)
    second = trainer.step(batch)
    assert np.isfinite([first, second]).all()
    after = trainer.state()
    assert any((after[name] != state[name]).any() for name in module.signature["parameters"])
    saved = path.with_suffix(".state.npz")
    module.save(str(saved), after)
    again = module.load(str(saved))
    for name in after:
        assert np.array_equal(after[name], again[name]), name
    assert set(before) == set(module.signature["outputs"])
    objective, gradients = module.loss_and_gradients(again, batch)
    assert np.isfinite(objective)
    assert set(gradients) == set(module.signature["parameters"])
    assert not {"graphc", "networkx", "lark"} & set(sys.modules)
    print("works with NumPy alone")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
