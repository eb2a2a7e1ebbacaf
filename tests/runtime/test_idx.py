"""IDX files: what is in them, and that no damage or lie is more than an error message."""

from __future__ import annotations

import contextlib
import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphc.runtime import Place, RunError, read
from graphc.runtime.data import describe_columns, read_columns
from graphc.runtime.idx_file import read_idx

HEAD = bytes([0, 0, 8, 3])


def sizes(*dimensions):
    return b"".join(size.to_bytes(4, "big") for size in dimensions)


@pytest.fixture
def file_of(tmp_path):
    def write(data, packed):
        path = tmp_path / "x-idx"
        path.write_bytes(gzip.compress(data) if packed else data)
        return path

    return write


packed_or_not = pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])


@pytest.mark.parametrize("name", ["x-idx3-ubyte", "x.gz"])
@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shape", [(3,), (2, 4), (5, 2, 3), (2, 1, 2, 1)])
def test_every_type_and_rank(tmp_path, write_idx, name, kind, shape):
    array = (np.arange(np.prod(shape)).reshape(shape) - 2).astype(kind)
    path = write_idx(tmp_path / name, array)
    table = read_columns({"x": path})
    assert table.columns["x"].dtype == np.dtype(kind)
    np.testing.assert_array_equal(table.columns["x"], array)
    assert describe_columns({"x": path}) == table.describe()


def test_columns_lie_side_by_side(tmp_path, write_idx):
    images = write_idx(tmp_path / "a.gz", np.zeros((4, 3, 2), np.uint8))
    labels = write_idx(tmp_path / "b", np.arange(4, dtype=np.uint8))
    table = read_columns({"images": images, "labels": labels})
    assert table.length == 4
    assert table.columns["labels"].tolist() == [0, 1, 2, 3]
    short = write_idx(tmp_path / "c", np.arange(3, dtype=np.uint8))
    with pytest.raises(RunError, match="images has 4, labels has 3"):
        read_columns({"images": images, "labels": short})


@packed_or_not
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello, world", "begins with 68 65 6c 6c"),
        (b"\0\0\x08", "begins with 00 00 08"),
        (bytes([0, 0, 7, 1]) + sizes(1) + b"1", "not an IDX file"),
        (bytes([0, 0, 8, 0]) + b"1", "announces 0 dimensions"),
        (bytes([0, 0, 8, 33]) + sizes(*[1] * 33) + b"1", "announces 33 dimensions"),
        (HEAD + sizes(2, 2)[:-1], "its header is not whole"),
        (HEAD + sizes(2, 2, 2) + b"1234567", "cut short: it announces 2 x 2 x 2 values"),
        (HEAD + sizes(2, 2, 2) + b"123456789", "goes on after the 2 x 2 x 2 values"),
        (HEAD + sizes(2, 0, 2), "the examples of .* are empty"),
        (HEAD + sizes(0, 2, 2), "has no rows"),
        (HEAD + sizes(2**32 - 1, 2**32 - 1, 2**32 - 1) + b"1", "cut short"),
    ],
)
def test_what_is_wrong_is_told(file_of, data, packed, message):
    with pytest.raises(RunError, match=message) as caught:
        read_columns({"x": file_of(data, packed)})
    assert caught.value.help


@packed_or_not
def test_nothing_is_set_aside_for_a_lie(file_of, packed):
    path = file_of(HEAD + sizes(2**16, 2**16, 8) + bytes(1000), packed)
    tracemalloc.start()
    with pytest.raises(RunError, match="cut short"):
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_bomb_is_read_as_far_as_it_was_announced(file_of):
    path = file_of(HEAD + sizes(2, 2, 2) + bytes(2**26), packed=True)
    tracemalloc.start()
    with pytest.raises(RunError, match="goes on after"):
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()


@packed_or_not
def test_every_truncation_is_told(file_of, packed):
    whole = file_of(HEAD + sizes(3, 2, 2) + bytes(12), packed).read_bytes()
    for size in range(1, len(whole)):
        path = file_of(b"", packed=False)
        path.write_bytes(whole[:size])
        with pytest.raises(RunError):
            read_columns({"x": path})


def test_no_damage_of_a_packed_file_goes_unnoticed(file_of):
    path = file_of(HEAD + sizes(5, 2, 2) + bytes(range(20)), packed=True)
    whole, right = path.read_bytes(), read_idx(path)
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        with contextlib.suppress(RunError):
            # Only bytes of gzip's own header, such as its date, may change and do no harm.
            np.testing.assert_array_equal(read_idx(path), right)


@given(data=st.binary(max_size=60), packed=st.booleans(), head=st.booleans())
def test_no_bytes_whatever_give_another_error(tmp_path_factory, data, packed, head):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes((b"\x1f\x8b" if packed else b"") + (b"\0\0\x08\1" if head else b"") + data)
    with contextlib.suppress(RunError):
        assert read_columns({"x": path}).length > 0


def test_an_array_without_a_name(tmp_path, write_idx):
    path = write_idx(tmp_path / "images.gz", np.zeros((2, 3), np.uint8))
    assert read(path, "images").columns["images"].shape == (2, 3)
    with pytest.raises(RunError, match="one array without a name") as caught:
        read(path)
    assert "idx{images" in caught.value.help


class TestPlace:
    def test_beside_the_model(self, tmp_path):
        np.savez(tmp_path / "a.npz", x=np.zeros(3))
        assert Place(tmp_path).read("a.npz").length == 3
        with pytest.raises(RunError, match=r"no data file d/b.npz: looked for .*d/b.npz$") as error:
            Place(tmp_path).read("d/b.npz")
        assert "--data FOLDER" in error.value.help

    def test_in_a_folder_with_and_without_the_path(self, tmp_path):
        np.savez(tmp_path / "a.npz", x=np.zeros(3))
        place = Place(tmp_path / "nowhere", tmp_path)
        assert place.read("data/a.npz").length == 3
        (tmp_path / "data").mkdir()
        np.savez(tmp_path / "data" / "a.npz", x=np.zeros(5))
        assert place.read("data/a.npz").length == 5

    def test_never_from_two_copies(self, tmp_path):
        (tmp_path / "other").mkdir()
        np.savez(tmp_path / "a.npz", x=np.zeros(3))
        with pytest.raises(RunError, match=r"other/d/a\.npz and .*other/a\.npz"):
            Place(tmp_path, tmp_path / "other").read("d/a.npz")

    def test_describe_is_silent_about_what_is_missing(self, tmp_path, write_idx):
        write_idx(tmp_path / "a", np.zeros((2, 3), np.uint8))
        place = Place(tmp_path)
        assert place.describe("b.npz") is None
        assert place.describe({"x": "a", "y": "b"}) is None
        assert place.describe({"x": "a"})["x"].shape == (3,)
