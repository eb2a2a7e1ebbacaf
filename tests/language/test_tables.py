"""The parser's tables: the same parser with and without saved ones, and no harm from the cache."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import lark
import pytest

from graphc.diagnostics import Diagnostics, Source
from graphc.diagnostics.render import render_text
from graphc.language import parse
from graphc.language.cache import KEPT_SECONDS, cache_folder

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
TEXTS = sorted([*ROOT.glob("models/*.gc"), *ROOT.glob("graphc/prelude/*.gc")])
WRONG_TEXTS = sorted(ROOT.glob("tests/errors/**/*.gc"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the entries, which does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "graphc"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The grammars that tables have been made of; those of a loaded parser are not."""
    grammars: list[str] = []
    make = lark.Lark.__init__

    def noting(self: lark.Lark, grammar: str, **options: Any) -> None:
        grammars.append(grammar)
        make(self, grammar, **options)

    monkeypatch.setattr(lark.Lark, "__init__", noting)
    return grammars


def at_a_start(action: Callable[[], T]) -> T:
    """What an action gives that finds no parser in memory: each thread has its own."""
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(action()))
    thread.start()
    thread.join()
    return results[0]


def plain(item: Any) -> Any:
    """A tree as lists, texts and numbers; a span keeps the name of its source."""
    if isinstance(item, Source):
        return item.name
    if dataclasses.is_dataclass(item):
        values = (plain(getattr(item, field.name)) for field in dataclasses.fields(item))
        return [type(item).__name__, *values]
    return [plain(each) for each in item] if isinstance(item, tuple) else item


def read(paths: list[Path]) -> list[tuple[Any, str]]:
    """The trees of texts, and what is said of them."""
    results = []
    for path in paths:
        diagnostics = Diagnostics()
        file = parse(Source(path.name, path.read_text(encoding="utf-8")), diagnostics)
        results.append((plain(file), render_text(diagnostics)))
    return results


def read_one() -> Any:
    return read([ROOT / "models" / "digits.gc"])


def only_entry(folder: Path) -> Path:
    (entry,) = folder.iterdir()
    return entry


def test_loaded_tables_give_the_trees_and_the_messages_of_made_ones(made: list[str]) -> None:
    fresh = at_a_start(lambda: read(TEXTS + WRONG_TEXTS))
    assert len(made) == 1
    assert at_a_start(lambda: read(TEXTS + WRONG_TEXTS)) == fresh
    assert len(made) == 1
    assert any(messages for _, messages in fresh)


def test_an_entry_is_json_that_only_its_owner_reads(folder: Path) -> None:
    at_a_start(read_one)
    entry = only_entry(folder)
    digest, body = entry.read_bytes().split(b"\n")
    assert digest.decode() == hashlib.sha256(body).hexdigest()
    assert set(json.loads(body)) == {"parser", "rules", "memo"}
    if os.name == "posix":
        assert entry.stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700


def signed(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


class Trap:
    """Its pickle writes a file when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("trapped"),))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda good: b"",
    "torn": lambda good: good[: len(good) // 2],
    "a byte changed": lambda good: good[:-50] + b"7" + good[-49:],
    "no digest": lambda good: good.split(b"\n")[1],
    "not text": lambda good: signed(b"\xff\xfe"),
    "not JSON": lambda good: signed(b"{"),
    "null": lambda good: signed(b"null"),
    "a list": lambda good: signed(b"[]"),
    "nothing in it": lambda good: signed(b"{}"),
    "nested deep": lambda good: signed(b"[" * 100_000 + b"]" * 100_000),
    "other keys": lambda good: good_with(good, lambda value: value.pop("rules")),
    "no terminals": lambda good: good_with(good, lambda value: value["memo"].clear()),
    "states of texts": lambda good: good_with(
        good, lambda value: value["parser"]["parser"]["states"].update(x={})
    ),
    "a pickle": lambda good: pickle.dumps(Trap()),
    "a signed pickle": lambda good: signed(pickle.dumps(Trap())),
}


def good_with(good: bytes, change: Callable[[Any], object]) -> bytes:
    value = json.loads(good.split(b"\n")[1])
    change(value)
    return signed(json.dumps(value).encode())


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_entry_is_made_anew(
    damage: Callable[[bytes], bytes], folder: Path, here: Path, made: list[str]
) -> None:
    expected = at_a_start(read_one)
    entry = only_entry(folder)
    good = entry.read_bytes()
    entry.write_bytes(damage(good))
    assert entry.read_bytes() != good
    assert at_a_start(read_one) == expected
    assert len(made) == 2
    assert at_a_start(read_one) == expected
    assert len(made) == 2
    assert only_entry(folder) == entry
    assert not (here / "trapped").exists()


def test_what_is_no_file_is_left_alone(folder: Path, made: list[str]) -> None:
    expected = at_a_start(read_one)
    entry = only_entry(folder)
    entry.unlink()
    entry.mkdir()
    assert at_a_start(read_one) == expected
    assert len(made) == 2
    assert only_entry(folder).is_dir()


@pytest.mark.parametrize("version", ["0.0", "99.0"])
def test_tables_of_another_lark_are_not_read(
    version: str, folder: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_start(read_one)
    monkeypatch.setattr(lark, "__version__", version)
    at_a_start(read_one)
    assert len(made) == 2
    assert len(list(folder.iterdir())) == 2


def test_tables_of_another_grammar_are_not_read(
    folder: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = at_a_start(read_one)
    changed = made[0] + "\n// another comment\n"
    monkeypatch.setattr(sys.modules[parse.__module__], "grammar_text", lambda: changed)
    assert at_a_start(read_one) == expected
    assert made[1:] == [changed]
    assert len(list(folder.iterdir())) == 2


def test_entries_of_a_month_ago_go_when_another_comes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_start(read_one)
    old = only_entry(folder)
    kept = folder / "of-another-kind"
    kept.touch()
    for path in (old, kept):
        os.utime(path, (path.stat().st_mtime - KEPT_SECONDS - 60,) * 2)
    monkeypatch.setattr(lark, "__version__", "99.0")
    at_a_start(read_one)
    assert not old.exists()
    assert kept.exists()
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    ("owner", "name"), [(lark.utils.Serialize, "memo_serialize"), (lark.Lark, "load")]
)
def test_a_lark_without_this_method_reads_the_grammar(
    owner: type, name: str, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = at_a_start(read_one)
    monkeypatch.delattr(owner, name)
    monkeypatch.setattr(lark, "__version__", "99.0")
    assert at_a_start(read_one) == expected
    assert at_a_start(read_one) == expected
    assert len(made) == 3


# ------------------------------------------------------------------------------ places


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"HOME": "/home/me"}, "/home/me/.cache/graphc"),
        ("darwin", {"HOME": "/Users/me"}, "/Users/me/Library/Caches/graphc"),
        ("win32", {"LOCALAPPDATA": "/Local"}, "/Local/graphc"),
        ("linux", {"HOME": "/home/me", "XDG_CACHE_HOME": "/fast"}, "/fast/graphc"),
        ("darwin", {"HOME": "/Users/me", "XDG_CACHE_HOME": "/fast"}, "/fast/graphc"),
        ("linux", {"HOME": "/home/me", "XDG_CACHE_HOME": ""}, "/home/me/.cache/graphc"),
        ("linux", {"HOME": "/home/me", "XDG_CACHE_HOME": "here"}, None),
        ("linux", {"HOME": ""}, None),
        ("linux", {"HOME": "here"}, None),
        ("linux", {}, None),
        ("win32", {}, None),
    ],
)
def test_the_folder_is_where_the_platform_keeps_caches(
    platform: str, environment: dict[str, str], expected: str | None
) -> None:
    assert cache_folder(environment, platform) == (Path(expected) if expected else None)


def test_a_file_in_place_of_the_folder_is_left_alone(folder: Path, made: list[str]) -> None:
    folder.parent.write_text("a file")
    for _ in range(2):
        at_a_start(read_one)
    assert len(made) == 2
    assert folder.parent.read_text() == "a file"


def refuse(*_arguments: object, **_options: object) -> Any:
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.parametrize(
    ("owner", "name"), [(Path, "mkdir"), (tempfile, "mkstemp"), (os, "replace")]
)
def test_where_nothing_can_be_written_nothing_is_left_behind(
    owner: Any, name: str, folder: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, refuse)
    for _ in range(2):
        at_a_start(read_one)
    assert len(made) == 2
    assert list(folder.parent.rglob("*")) == ([] if name == "mkdir" else [folder])


@pytest.mark.parametrize("home", [None, "", "here"])
def test_without_a_home_nothing_is_written(
    home: str | None, here: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    at_a_start(read_one)
    assert len(made) == 1
    assert list(here.iterdir()) == []


# --------------------------------------------------------------------------- processes


def environment_in(folder: Path) -> dict[str, str]:
    """A process that has all it may write to below ``folder``."""
    places = {"HOME": "home", "XDG_CACHE_HOME": "cache", "TMPDIR": "tmp"}
    for place in places.values():
        (folder / place).mkdir(exist_ok=True)
    own = {name: str(folder / place) for name, place in places.items()}
    return {**os.environ, **own, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def test_processes_that_start_together_leave_one_good_entry(
    folder: Path, tmp_path: Path, made: list[str]
) -> None:
    code = """if True:
        from graphc.diagnostics import Diagnostics, Source
        from graphc.language import parse
        for _ in range(2):
            assert parse(Source("text", "x = 1"), Diagnostics()).statements
    """
    environment = environment_in(tmp_path)
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, b"")
    assert only_entry(folder).suffix == ".json"
    at_a_start(read_one)
    assert made == []


def test_a_start_writes_to_the_cache_folder_and_nowhere_else(folder: Path, tmp_path: Path) -> None:
    environment = environment_in(tmp_path)
    command = [sys.executable, "-m", "graphc", "check", str(ROOT / "models" / "digits.gc")]
    work = tmp_path / "work"
    work.mkdir()
    for _ in range(2):
        subprocess.run(command, env=environment, cwd=work, check=True, capture_output=True)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == [only_entry(folder)]
