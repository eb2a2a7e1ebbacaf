"""Whatever is given to a command: one clear error with what to do, exit status 1, 2 for usage."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from graphc import session

FIT = """model fit
input  x: real[n, 2]
target y: label{3}[n]
logits = x |> dense{3}
loss ce = cross_entropy(logits, y)
output probs = softmax(logits)
data {
  file = "d.csv"
  x = [a, b]
  y = c
}
train { epochs = 2 }
"""


@pytest.fixture
def fit(here):
    """A model that reads d.csv, with a few right rows in it."""
    Path("fit.gc").write_text(FIT)
    Path("d.csv").write_text("a,b,c\n1,2,0\n2,3,1\n3,4,2\n")
    return Path("fit.gc")


@pytest.fixture
def trained(say, fit):
    assert say("train", fit, "-q").status == 0
    return Path("runs/fit-1")


# ----------------------------------------------------------------------- model files

FILES = {
    "empty": b"",
    "blank": b"\n\n   \n",
    "binary": bytes(range(256)),
    "latin1": "model m\n# caf\xe9\n".encode("latin-1"),
    "utf16": "model m\n".encode("utf-16"),
    "nul": b"model m\n\0\n",
    "prose": b"Dear Sir or Madam,\nplease train me a network.\n",
    "python": b"import os\nos.system('touch executed')\n",
    "unclosed": b'model m\ninput x: real[n, \ndata { file = "x\n',
    "brackets": b"model m\nloss f = " + b"(" * 100_000 + b"\n",
    "one line": b"model m " * 10_000,
    "no end": b"model m\n" + b"# a comment\n" * 1_000 + b"repeat i in 1..",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", ["check", "train"])
def test_texts_that_are_no_models(refused, name, command):
    Path("bad.gc").write_bytes(FILES[name])
    message = refused(command, "bad.gc")
    assert "bad.gc" in message
    assert len(message) < 50_000
    assert os.listdir() == ["bad.gc"]


@pytest.mark.parametrize("command", ["check", "compile", "train", "eval", "prune"])
def test_paths_that_are_no_model_files(refused, command, here):
    Path("digits.gc").write_text("model digits\n")
    assert "did you mean 'digits.gc'" in refused(command, "digit.gc")
    assert "no model file" in refused(command, "nowhere/m.gc")
    assert "cannot read" in refused(command, "x" * 5_000)
    assert "cannot read" in refused(command, "a\0b")


def test_a_folder_is_no_model(say, refused, here):
    Path("empty").mkdir()
    assert "folder" in refused("check", "empty")
    assert "not a run" in refused("eval", "empty")
    assert "not a run" in refused("predict", "empty", "x.csv")
    assert "not a run" in refused("compile", "empty")
    assert say("train", "empty").status == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(refused, here):
    Path("secret.gc").write_text("model m\n")
    Path("secret.gc").chmod(0)
    assert "Permission denied" in refused("check", "secret.gc")


def test_huge_and_endless_files_are_refused_before_they_are_read(refused, here):
    with open("huge.gc", "wb") as file:
        file.truncate(10**10)
    assert "more than 8 MB" in refused("check", "huge.gc")
    assert "/dev/zero" in refused("check", "/dev/zero")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("command", ["check", "compile", "train", "eval", "prune"])
def test_a_pipe_is_not_waited_for(refused, here, command):
    os.mkfifo("pipe.gc")
    assert "not a regular file" in refused(command, "pipe.gc")


def test_a_repeat_over_a_huge_range(refused, here):
    Path("m.gc").write_text(
        "model m\nparam w: real = 1\nh = w\nrepeat i in 1..1000000000 { h = h + 1 }\nloss f = h\n"
    )
    assert "repeat" in refused("check", "m.gc")


# ------------------------------------------------------------------------ data files

CSV = {
    "ragged": ("a,b,c\n1,2,0\n2,3\n", "line 3"),
    "empty": ("", "empty"),
    "header only": ("a,b,c\n", "no rows"),
    "missing column": ("a,c\n1,0\n", "b"),
    "text": ("a,b,c\nx,2,0\n2,3,1\n", "a"),
    "empty cell": ("a,b,c\n1,,0\n2,3,1\n", "b"),
    "nan": ("a,b,c\n1,nan,0\n2,3,1\n", "nan"),
    "label out of range": ("a,b,c\n1,2,0\n2,3,7\n", "label 7"),
    "negative label": ("a,b,c\n1,2,0\n2,3,-1\n", "label -1"),
    "fractional label": ("a,b,c\n1,2,0\n2,3,0.5\n", "label 0.5"),
    "wrong classes": ("a,b,c\n1,2,u\n2,3,v\n", "2 different texts"),
    "doubled names": ("a,a,c\n1,2,0\n", "a"),
    "not utf-8": (b"a,b,c\n1,2,\xff\n", "UTF-8"),
}


@pytest.mark.parametrize("name", CSV)
def test_csv_files_that_do_not_fit(refused, fit, name):
    text, told = CSV[name]
    Path("d.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert told in refused("train", fit)
    assert not Path("runs").exists() or not list(Path("runs").iterdir())


def test_names_of_a_file_do_not_steer_the_terminal(refused, fit):
    Path("d.csv").write_text("\x1b[31m,b,c\n1,2,0\n")
    Path("twice.csv").write_text("\x1b[31m,\x1b[31m\n1,2\n")
    assert "\x1b" not in refused("train", fit)
    message = refused("train", fit, "--data", "twice.csv")
    assert "two columns named \\x1b[31m" in message


def test_data_files_of_the_wrong_kind(refused, fit):
    assert "no data file" in refused("train", fit, "--data", "missing.csv")
    assert "unknown kind" in refused("train", fit, "--data", "fit.gc")
    Path("d.npz").write_bytes(b"this is no archive")
    assert "not an .npz file" in refused("train", fit, "--data", "d.npz")
    np.savez("objects.npz", a=np.array([{}], dtype=object))
    assert "objects" in refused("train", fit, "--data", "objects.npz")
    Path("folder.csv").mkdir()
    assert "folder" in refused("train", fit, "--data", "folder.csv")


def test_npz_dimensions_that_do_not_match(refused, here):
    Path("m.gc").write_text(
        "model m\ninput x: real[n, 64]\ntarget y: label{10}[n]\nz = x |> dense{10}\n"
        "loss ce = cross_entropy(z, y)\n"
        'data {\n  file = "d.npz"\n  x = images / 16\n  y = labels\n}\n'
    )
    np.savez("d.npz", images=np.zeros((5, 63)), labels=np.zeros(5, int))
    message = refused("train", "m.gc")
    assert "64" in message
    assert "63" in message


# ------------------------------------------------------------------------- training


def test_an_objective_that_turns_nan(refused, models, here):
    message = refused("train", models / "diabetes.gc", "--set", "train.optimizer=sgd{1e9}", "-q")
    assert "learning rate" in message
    assert session.load("runs/diabetes-1").state


def test_a_full_disk(refused, models, here, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("graphc.runtime.atomic._write_through", full)
    assert "No space left" in refused("train", models / "xor.gc", "-q")
    assert "No space left" in refused("compile", models / "xor.gc", "-o", "xor.py", "-q")
    assert not Path("xor.py").exists()


def test_a_disk_that_fills_up_keeps_what_was_saved(say, models, here, monkeypatch):
    """The third checkpoint does not fit any more; the run goes on once there is room."""
    from graphc.runtime import atomic

    written, through = [], atomic._write_through

    def filling(path, data):
        if "last.safetensors" in path.name:
            written.append(path)
            if len(written) == 4:
                raise OSError(28, "No space left on device")
        through(path, data)

    monkeypatch.setattr(atomic, "_write_through", filling)
    said = say("train", models / "iris.gc", "--epochs", 6, "-q")
    assert said.status == 1
    assert "No space left" in said.err
    monkeypatch.setattr(atomic, "_write_through", through)
    assert say("train", "--resume", "runs/iris-1", "-q").status == 0
    assert len(session.load("runs/iris-1").history) == 6


def test_output_that_cannot_be_written(graphc_process, models):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        done = graphc_process(
            "compile", models / "xor.gc", capture_output=False, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("arguments", [["check", "nowhere.gc", "--json"], ["--help"], ["fly"]])
def test_errors_that_cannot_be_told(graphc_process, arguments):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        done = graphc_process(*arguments, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr


def test_outputs_that_were_closed_before_the_start(models, here, root):
    command = f"{sys.executable} -m graphc check {models / 'xor.gc'} >&- 2>&-"
    environment = {**os.environ, "PYTHONPATH": str(root)}
    assert subprocess.run(command, shell=True, env=environment).returncode == 0


def test_a_closed_pipe_is_quiet(graphc_process, models):
    reading, writing = os.pipe()
    os.close(reading)
    done = graphc_process(
        "compile",
        models / "digits.gc",
        capture_output=False,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert done.stderr == ""


def test_ctrl_c_leaves_a_run_that_goes_on(models, here, root, say):
    """A real SIGINT, sent once the first epochs have been written."""
    process = subprocess.Popen(
        [sys.executable, "-m", "graphc", "train", models / "digits.gc", "--epochs", "500"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    metrics = Path("runs/digits-1/metrics.jsonl")
    patience = time.monotonic() + 60
    while time.monotonic() < patience and not (
        metrics.exists() and metrics.read_text().count("\n")
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "graphc train --resume runs/digits-1" in err
    told = re.search(r"interrupted after epoch (\d+); the run is in runs/digits-1", err)
    assert told
    done = int(told[1])
    assert say("train", "--resume", "runs/digits-1", "--epochs", done + 1, "-q").status == 0
    assert say("eval", "runs/digits-1").status == 0


# ----------------------------------------------------------------------------- runs


def test_runs_that_are_not_there(refused, say, fit):
    assert "no finished run" in refused("eval", fit)
    assert "no finished run" in refused("predict", fit, "d.csv")
    assert "no run" in refused("train", "--resume", "runs/fit-7")
    assert "no model file" in refused("eval", "runs/fit-7")


def test_resuming_with_a_changed_text(refused, trained, fit):
    fit.write_text(FIT + "# changed\n")
    assert "not the text" in refused("train", fit, "--resume", trained, "--epochs", 4)


def test_predicting_for_a_file_that_does_not_fit(refused, trained):
    Path("new.csv").write_text("a\n1\n")
    assert "no column b" in refused("predict", trained, "new.csv")
    assert "no data file" in refused("predict", trained, "missing.csv")
    Path("text.csv").write_text("a,b\n1,2\n3,four\n")
    assert "'four' for one, but x is real[n, 2]" in refused("predict", trained, "text.csv")


def test_output_files_that_cannot_be_written(refused, trained, models):
    for out in ("nowhere/x.py", "runs"):
        assert "cannot write" in refused("compile", models / "xor.gc", "-o", out)
        assert "cannot write" in refused("predict", trained, "d.csv", "-o", out)
    assert "nowhere" in refused("compile", trained, "-o", "nowhere/x.py")


def test_a_model_file_is_not_overwritten_by_its_module(refused, fit):
    assert "model file" in refused("compile", fit, "-o", fit)
    assert fit.read_text() == FIT


# ---------------------------------------------------------------------------- usage


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["check"],
        ["check", "m.gc", "--set", "hidden"],
        ["check", "m.gc", "--set", "=3"],
        ["check", "m.gc", "--precision", "f16"],
        ["train"],
        ["train", "m.gc", "--epochs", "0"],
        ["train", "m.gc", "--epochs", "many"],
        ["train", "--resume", "r", "--out", "o"],
        ["train", "--resume", "r", "--precision", "f64"],
        ["eval", "m.gc", "--part", "half"],
        ["predict"],
        ["predict", "r", "f", "--part", "test"],
        ["predict", "r", "f", "--data", "."],
        ["predict", "r", "--data", "nowhere"],
        ["predict", "r", "f", "--format", "xml"],
        ["--frob"],
    ],
)
def test_wrong_usage(say, arguments):
    said = say(*arguments)
    assert said.status == 2
    assert "Error" in said.err


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("hiden=3", "hidden"),
        ("train.epoch=3", "epochs"),
        ("train.epochs=many", "epochs"),
        ("train.epochs=-1", "epochs"),
        ("train.batch=0", "batch"),
        ("hidden=abc", "hidden"),
        ("hidden=3; import os", "hidden"),
        ('hidden="\n\'"', "hidden"),
        ("data.file=nowhere.npz", ""),
    ],
)
def test_settings_that_do_not_fit(refused, models, setting, told):
    assert told in refused("train", models / "digits.gc", "--set", setting, "-q")


def test_an_internal_error_is_one_line(say, models, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("somewhere deep")

    monkeypatch.setattr("graphc.session.model.check", broken)
    said = say("check", models / "xor.gc")
    assert said.status == 1
    assert "internal error" in said.err
    assert "somewhere deep" in said.err
