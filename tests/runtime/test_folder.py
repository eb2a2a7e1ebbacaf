from __future__ import annotations

import os

import pytest

from graphc.runtime import RunError, RunFolder


def create(tmp_path, **options):
    return RunFolder.create(
        "digits", "model digits\nμ = 1\n", version="1.2", parent=tmp_path / "runs", **options
    )


def test_numbers_and_layout(tmp_path):
    first = create(
        tmp_path,
        files={"blocks.gc": "def f", "lib/more.gc": "é"},
        config={"epochs": 3, "graphc": "?"},
    )
    (tmp_path / "runs" / "digits-7").mkdir()
    (tmp_path / "runs" / "digits-x").mkdir()
    assert first.path.name == "digits-1"
    assert create(tmp_path).path.name == "digits-8"
    again = RunFolder.open(first.path)
    assert again.model_text() == "model digits\nμ = 1\n"
    assert again.files() == {"blocks.gc": "def f", "lib/more.gc": "é"}
    assert again.config() == {"epochs": 3, "graphc": "1.2"}
    assert again.history() == []
    assert again.summary() is None
    again.write_summary({"best": 1})
    assert again.summary() == {"best": 1}


def test_history(tmp_path):
    folder = create(tmp_path)
    for epoch in (1, 2, 3):
        folder.append_epoch({"epoch": epoch, "step": 2 * epoch, "objective": float("nan")})
    with folder.metrics.open("a") as file:
        file.write('{"epoch": 4, "obj')
    assert [record["epoch"] for record in folder.history()] == [1, 2, 3]
    folder.rewind(2)
    assert [record["epoch"] for record in folder.history()] == [1, 2]
    folder.append_epoch({"epoch": 3, "step": 6})
    assert folder.history()[-1] == {"epoch": 3, "step": 6}
    folder.metrics.write_text("x\n")
    with pytest.raises(RunError, match=r"line 1 .* damaged"):
        folder.history()


def test_a_given_path(tmp_path):
    path = tmp_path / "a" / "mine"
    assert create(tmp_path, path=path).path == path
    with pytest.raises(RunError, match="holds something"):
        create(tmp_path, path=path)
    with pytest.raises(RunError, match="is a file"):
        create(tmp_path, path=path / "model.gc")
    with pytest.raises(RunError, match="cannot make"):
        create(tmp_path, path=path / "model.gc" / "below")
    (tmp_path / "empty").mkdir()
    create(tmp_path, path=tmp_path / "empty")


@pytest.mark.parametrize("name", ["../x.gc", "/x.gc", "", "a/../../x", "..\\x", "c:x"])
def test_used_files_stay_inside(tmp_path, name):
    with pytest.raises(RunError, match="leads out"):
        create(tmp_path, files={name: ""})


def test_a_model_name_stays_inside(tmp_path):
    folder = RunFolder.create("../../ü", "", version="1", parent=tmp_path / "runs")
    assert folder.path.parent == tmp_path / "runs"


def test_foreign_folders(tmp_path):
    with pytest.raises(RunError, match="no run"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"no model.gc and no config.json"):
        RunFolder.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is a file"):
        RunFolder.open(tmp_path / "file")
    folder = create(tmp_path)
    for text, message in (("{", "damaged"), ("[]", "not a JSON object")):
        (folder.path / "config.json").write_text(text)
        with pytest.raises(RunError, match=message):
            folder.config()
    folder.model.write_bytes(b"\xff")
    with pytest.raises(RunError, match="cannot read"):
        folder.model_text()


@pytest.mark.parametrize(
    "line",
    ["[]", '{"epoch": 1}', '{"epoch": 0, "step": 3}', '{"epoch": 1, "step": "a"}', "[" * 99999],
)
def test_lines_that_are_no_epochs(tmp_path, line):
    folder = create(tmp_path)
    folder.metrics.write_text(line + "\n")
    with pytest.raises(RunError, match=r"line 1 .* damaged"):
        folder.history()


def test_a_configuration_nested_too_deeply(tmp_path):
    folder = create(tmp_path)
    (folder.path / "config.json").write_text("[" * 99_999)
    with pytest.raises(RunError, match=r"config.json is damaged"):
        folder.config()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    folder = create(tmp_path)
    os.mkfifo(folder.metrics)
    with pytest.raises(RunError, match="not a regular file"):
        folder.history()


def test_a_folder_that_cannot_be_filled_is_taken_back(tmp_path, monkeypatch):
    def full(*_):
        raise RunError("no room")

    monkeypatch.setattr("graphc.runtime.folder.write_json_atomic", full)
    with pytest.raises(RunError, match="no room"):
        create(tmp_path, files={"lib/more.gc": "def f"})
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_folder_with_a_checkpoint_is_not_discarded(tmp_path):
    folder = create(tmp_path)
    folder.last.write_bytes(b"state")
    folder.discard()
    assert folder.model_text()


def test_one_training_at_a_time(tmp_path):
    pytest.importorskip("fcntl")
    folder = create(tmp_path)
    with folder.claimed(), pytest.raises(RunError, match="another process"), folder.claimed():
        pass
    with folder.claimed():
        pass


def test_a_path_that_is_no_text_in_this_locale(tmp_path):
    folder = create(tmp_path, config={"base": "/d\udcc3\udcbc"})
    assert folder.config()["base"] == "/d\udcc3\udcbc"
