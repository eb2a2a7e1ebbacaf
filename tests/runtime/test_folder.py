from __future__ import annotations

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
        folder.append_epoch({"epoch": epoch, "objective": float("nan")})
    with folder.metrics.open("a") as file:
        file.write('{"epoch": 4, "obj')
    assert [record["epoch"] for record in folder.history()] == [1, 2, 3]
    folder.rewind(2)
    assert [record["epoch"] for record in folder.history()] == [1, 2]
    folder.append_epoch({"epoch": 3})
    assert folder.history()[-1] == {"epoch": 3}
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
