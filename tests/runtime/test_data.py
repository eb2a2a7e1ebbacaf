from __future__ import annotations

import contextlib
import io
import pickle
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphc.runtime import RunError, describe, read, table_from_arrays


def csv_file(tmp_path, text, encoding="utf-8", name="data.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def npz_file(tmp_path, **arrays):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, **arrays)
    return path


class TestNpz:
    def test_arrays_come_as_they_lie(self, tmp_path):
        images = np.arange(24, dtype=np.uint8).reshape(3, 4, 2)
        path = npz_file(tmp_path, images=images, labels=np.array(["b", "a", "b"]))
        table = read(path)
        assert table.length == 3
        assert table.columns["images"].dtype == np.uint8
        np.testing.assert_array_equal(table.columns["images"], images)
        assert table.take(np.array([2, 0]))["labels"].tolist() == ["b", "b"]

    def test_describe_reads_only_headers_of_numbers(self, tmp_path):
        path = npz_file(tmp_path, images=np.zeros((3, 4, 2), np.uint8), y=np.array(["b", "a", "b"]))
        info = describe(path)
        assert info["images"] == type(info["images"])("int", "uint8", (4, 2))
        assert info["y"].kind == "text"
        assert info["y"].classes == ("a", "b")

    def test_describe_agrees_with_read(self, tmp_path):
        path = npz_file(
            tmp_path,
            a=np.zeros((2, 3)),
            b=np.zeros(2, bool),
            c=np.array([b"x", b"y"]),
            d=np.zeros(2, ">i4"),
            e=np.zeros((2, 1), np.float16),
        )
        assert describe(path) == read(path).describe()

    def test_more_than_ten_thousand_texts_are_no_classes(self):
        table = table_from_arrays({"id": [f"n{i}" for i in range(10_001)]})
        assert table.describe()["id"].classes is None

    def test_bytes_that_are_text(self, tmp_path):
        path = npz_file(tmp_path, y=np.array(["ä".encode(), b"b"]))
        assert read(path).columns["y"].tolist() == ["ä", "b"]

    @pytest.mark.parametrize("action", [read, describe])
    def test_pickled_objects_are_refused(self, tmp_path, action):
        path = npz_file(tmp_path, y=np.array([{"a": 1}, None], dtype=object))
        with pytest.raises(RunError, match=r"column y .* holds Python objects"):
            action(path)

    @pytest.mark.parametrize("action", [read, describe])
    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({}, "holds no columns"),
            ({"x": np.zeros(0)}, "has no rows"),
            ({"x": np.zeros(3), "y": np.zeros(4)}, "x has 3, y has 4"),
            ({"x": np.zeros(3), "k": np.array(7)}, "column k .* is a single value"),
            ({"x": np.zeros(3, complex)}, "complex128 values"),
            ({"x": np.zeros(3, [("a", int)])}, "column x"),
        ],
    )
    def test_bad_contents(self, tmp_path, action, arrays, message):
        with pytest.raises(RunError, match=message):
            action(npz_file(tmp_path, **arrays))

    @pytest.mark.parametrize("action", [read, describe])
    @pytest.mark.parametrize(
        "data",
        [b"\0", b"hello, world", pickle.dumps([1]), b"PK\3\4 but no more", b"\x93NUMPY\1\0"],
    )
    def test_not_a_zip(self, tmp_path, action, data):
        path = tmp_path / "x.npz"
        path.write_bytes(data)
        with pytest.raises(RunError, match=r"not an .npz file"):
            action(path)

    def test_every_truncation_is_told(self, tmp_path):
        path = npz_file(tmp_path, x=np.arange(50.0), y=np.arange(50))
        whole = path.read_bytes()
        for size in range(0, len(whole), 7):
            path.write_bytes(whole[:size])
            with pytest.raises(RunError):
                read(path)

    def test_no_damage_escapes(self, tmp_path):
        path = npz_file(tmp_path, x=np.arange(20.0), y=np.array(["a", "b"] * 10))
        whole = path.read_bytes()
        for position in range(len(whole)):
            path.write_bytes(
                whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :]
            )
            for action in (read, describe):
                with contextlib.suppress(RunError):
                    action(path)

    @pytest.mark.parametrize("action", [read, describe])
    def test_members_that_are_no_arrays(self, tmp_path, action):
        path = tmp_path / "x.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "hello")
        with pytest.raises(RunError, match=r"readme.txt"):
            action(path)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", "hello")
        with pytest.raises(RunError, match="cannot read"):
            action(path)

    def test_a_header_that_lies_about_its_size(self, tmp_path):
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)}
        )
        path = tmp_path / "x.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", buffer.getvalue())
        with pytest.raises(RunError):
            read(path)


class TestCsv:
    def test_kinds(self, tmp_path):
        path = csv_file(tmp_path, "a,b, c ,d\n1,1.5,x,007\n-2,2e3, y ,+8\n")
        columns = read(path).columns
        assert {name: c.dtype.kind for name, c in columns.items()} == {
            "a": "i",
            "b": "f",
            "c": "U",
            "d": "i",
        }
        assert columns["a"].tolist() == [1, -2]
        assert columns["b"].tolist() == [1.5, 2000.0]
        assert columns["c"].tolist() == ["x", "y"]
        assert describe(path)["c"].classes == ("x", "y")

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_dialects(self, tmp_path, separator, encoding, end):
        rows = [["größe", "b"], ["1", '"x,;\ty"'], ["2", '"say ""hi"""']]
        text = end.join(separator.join(row) for row in rows) + end + end
        columns = read(csv_file(tmp_path, text, encoding)).columns
        assert columns["größe"].tolist() == [1, 2]
        assert columns["b"].tolist() == ["x,;\ty", 'say "hi"']

    def test_quoted_separators_in_the_header_do_not_count(self, tmp_path):
        columns = read(csv_file(tmp_path, '"a,b,c";d\n1;2\n')).columns
        assert list(columns) == ["a,b,c", "d"]

    def test_huge_integers_become_reals(self, tmp_path):
        columns = read(csv_file(tmp_path, f"a,b\n{2**70},{2**63 - 1}\n")).columns
        assert columns["a"].dtype == np.float64
        assert columns["b"].tolist() == [2**63 - 1]

    def test_nan_can_be_a_word(self, tmp_path):
        assert read(csv_file(tmp_path, "name\nnan\nanna\n")).columns["name"].tolist() == [
            "nan",
            "anna",
        ]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("\n", "empty"),
            ("a,b\n", "no rows"),
            ("a,b\n\n\n", "no rows"),
            ("a,b\n1,2\n3\n", "line 3 .* 1 cell, but the header names 2 columns"),
            ('a,b\n"x\ny",2\n3,4,5\n', "line 4 .* 3 cells"),
            ("a,b\n1,\n", "column b has an empty cell in line 2"),
            ("a,b\nx, \ny,1\n", "column b has an empty cell in line 2"),
            ("a,b\n1,2\n\nNaN,3\n", "column a has 'NaN' in line 4"),
            ("a,b\n1,2\nNA,3\n", "column a has 'NA' in line 3"),
            ("a\n1\n-inf\n", "column a has -inf in line 3"),
            ("a\n1\n1e999\n", "column a has 1e999 in line 3"),
            ("a,a\n1,2\n", "two columns named a"),
            ("a,\n1,2\n", "column 2 .* no name"),
            ("1.5,2\n3,4\n", "holds numbers, not the names"),
            ('a,b\n1,"x\n', "line 2 .* cannot be read"),
            ('a,b\n1,"x"y\n', "line 2 .* cannot be read"),
        ],
    )
    def test_bad_texts(self, tmp_path, text, message):
        with pytest.raises(RunError, match=message) as caught:
            read(csv_file(tmp_path, text))
        assert caught.value.help

    def test_not_utf8(self, tmp_path):
        with pytest.raises(RunError, match="not UTF-8"):
            read(csv_file(tmp_path, "größe\n1\n", "latin-1"))
        with pytest.raises(RunError):
            read(csv_file(tmp_path, "a,b\n1,2\n", "utf-16"))


class TestFiles:
    @pytest.mark.parametrize("action", [read, describe])
    def test_missing_empty_unknown_folder(self, tmp_path, action):
        with pytest.raises(RunError, match="no data file"):
            action(tmp_path / "nowhere.npz")
        for name in ("x.npz", "x.csv"):
            (tmp_path / name).touch()
            with pytest.raises(RunError, match="empty"):
                action(tmp_path / name)
        (tmp_path / "letter.txt").write_text("hello")
        with pytest.raises(RunError, match=r"unknown kind .*") as caught:
            action(tmp_path / "letter.txt")
        assert ".npz, .csv" in caught.value.help
        (tmp_path / "folder.csv").mkdir()
        with pytest.raises(RunError, match="folder"):
            action(tmp_path / "folder.csv")
        with pytest.raises(RunError):
            action("a\0b.npz")

    def test_upper_case_ending(self, tmp_path):
        assert read(csv_file(tmp_path, "a\n1\n", name="DATA.CSV")).length == 1


class TestArrays:
    def test_lists_and_objects_that_are_text(self):
        table = table_from_arrays({"x": [[1, 2], [3, 4]], "y": np.array(["a", "bc"], object)})
        assert table.columns["x"].shape == (2, 2)
        assert table.columns["y"].dtype.kind == "U"

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({}, "no columns"),
            ({"x": []}, "no rows"),
            ({"x": [1, 2], "y": [1]}, "x has 2, y has 1"),
            ({"x": [[1], [1, 2]]}, "ragged"),
            ({"x": [None, None]}, "Python objects"),
            ({"x": 3}, "single value"),
            ({"x": [b"\xff"]}, "not UTF-8"),
        ],
    )
    def test_bad_arrays(self, columns, message):
        with pytest.raises(RunError, match=message):
            table_from_arrays(columns)


@given(st.one_of(st.binary(), st.text(alphabet='a1.,;\t"\n\r -é\0', max_size=60).map(str.encode)))
def test_no_text_whatever_gives_another_error(data):
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(RunError):
        path = Path(folder) / "x.csv"
        path.write_bytes(data)
        table = read(path)
        assert all(len(column) == table.length > 0 for column in table.columns.values())
