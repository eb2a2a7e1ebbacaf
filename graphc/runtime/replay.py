"""Training once more, to see the states that it went through.

A run keeps its best and its last state only. Training is reproducible, so the others are had by
doing the same steps again, in memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc.runtime.computing import computing, on_machine
from graphc.runtime.errors import RunError
from graphc.runtime.examples import load_examples, on_device
from graphc.runtime.face import Arrays, Module, Raw
from graphc.runtime.split import epoch_order
from graphc.runtime.starting import TrainConfig, step_sizes

__all__ = ["replay"]


def replay(
    module: Module, state: Arrays, raw_train: Raw, config: TrainConfig, *, epochs: int, every: int
) -> Iterator[Arrays]:
    """The states of a run from ``state`` through ``epochs`` epochs of ``config``, in order: the
    first, those after every ``every`` steps, and the last.

    RunError for data that do not fit the model, and where training runs into NaN.
    """
    examples = load_examples(module, state, raw_train, part="the training part")
    batch, steps = step_sizes(module.signature, examples.count, config.batch)
    with computing():
        trainer = module.Trainer(
            {name: array.copy() for name, array in state.items()},
            batch,
            steps_per_epoch=steps,
            epochs=config.epochs,
        )
        first = trainer.state()
    yield first
    with on_machine():
        examples = on_device(module, examples)
        done = 0
        for epoch in range(epochs):
            order = epoch_order(examples.count, config.seed, epoch)
            try:
                for arrays, _ in examples.shuffled(order, batch):
                    with computing():
                        trainer.step(arrays)
                    done += 1
                    if done % every == 0 or done == epochs * steps:
                        with computing():
                            reached = trainer.state()
                        yield reached
            except FloatingPointError as problem:
                # On a device a step's error is told by the state after it.
                raise RunError(
                    f"training once more ran into NaN or infinity in epoch {epoch + 1}",
                    help="the data, or the versions of NumPy, are not those of the run",
                ) from problem
