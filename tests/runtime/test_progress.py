from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from graphc.runtime import LiveReporter, PlainReporter, TrainConfig, initial_state, train


def run(toy, reporter, **options):
    raw = toy.raw_data(40)
    state = initial_state(toy, raw, 0)
    return train(toy, state, raw, raw, TrainConfig(epochs=3, batch=10, **options), report=reporter)


def test_a_line_an_epoch(toy):
    stream = io.StringIO()
    result = run(toy, PlainReporter(stream))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "training toy: 40 examples, 40 to validate, 4 steps an epoch, 3 epochs"
    heads = ["epoch", "objective", "val objective", "val ce", "val accuracy", "seconds"]
    assert lines[1].split() == " ".join(heads).split()
    assert len(lines) == 6
    assert {len(line.removesuffix("  *")) for line in lines[1:5]} == {len(lines[1])}
    assert [line.endswith("*") for line in lines[2:5]] == [r.best for r in result.history]
    assert lines[5].startswith(f"finished; best epoch {result.best_epoch} (")
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_live(toy, terminal):
    stream = io.StringIO()
    toy.signature = {**toy.signature, "model": "[bold]toy"}
    run(toy, LiveReporter(Console(file=stream, force_terminal=terminal, width=100)))
    text = stream.getvalue()
    assert "training [bold]toy" in text
    assert "val accuracy" in text
    assert "finished; best epoch" in text


def test_live_gives_the_terminal_back_after_an_error(toy):
    stream = io.StringIO()
    reporter = LiveReporter(Console(file=stream, force_terminal=True))

    def fail(step, state):
        if step == 6:
            raise ZeroDivisionError

    toy.Trainer.on_step = staticmethod(fail)
    with pytest.raises(ZeroDivisionError):
        run(toy, reporter)
    assert stream.getvalue().count("\x1b[?25h") == 1  # the cursor is shown again


def test_an_interruption_is_told(toy):
    stream = io.StringIO()

    def stop(step, state):
        if step == 5:
            raise KeyboardInterrupt

    toy.Trainer.on_step = staticmethod(stop)
    run(toy, PlainReporter(stream))
    assert "interrupted" in stream.getvalue().splitlines()[-1]


def test_rich_is_not_imported_before_it_is_needed():
    import subprocess

    code = "import sys, graphc.runtime; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
