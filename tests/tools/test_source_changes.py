"""The tool that shows which models' generated source a change alters.

A small repository with a compiler of twenty lines stands for this one; the last tests read what
the real one generates.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import generated_sources
import pytest
from module_parts import parts

import graphc

TOOLS = Path(generated_sources.__file__).parent
COMPILER = '''"""A compiler of expressions."""

from pathlib import Path
from types import SimpleNamespace

MODULE = """import math


def predict(x):
    return {}


def loss(x):
    return predict(x) ** 2
"""


def compile(path, products=(), target="numpy"):
    text = Path(path).read_text().strip()
    if "?" in text:
        raise ValueError("no idea")
    functions = "".join(f"\\n\\ndef {name}(x):\\n    return x\\n" for name in products)
    if target != "numpy":
        functions = "\\n\\ndef there(x):\\n    return x + 1\\n"
    return SimpleNamespace(source=MODULE.format(text) + functions)
'''


class Repository:
    """A checkout with the tool, the compiler above and two models."""

    def __init__(self, folder: Path) -> None:
        self.root, self.temporary = folder / "checkout", folder / "temporary"
        self.temporary.mkdir()
        for name in ("source_changes.py", "generated_sources.py", "module_parts.py"):
            self.write(f"tools/{name}", (TOOLS / name).read_text(encoding="utf-8"))
        self.write("graphc/__init__.py", COMPILER)
        self.write("models/line.gc", "2 * x")
        self.write("models/square.gc", "x * x")
        self.git("init", "-q")
        self.commit()

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def edit(self, old: str, new: str) -> None:
        """Change the compiler."""
        assert old in COMPILER
        self.write("graphc/__init__.py", COMPILER.replace(old, new))

    def commit(self) -> None:
        self.git("add", "-A")
        who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
        self.git(*who, "commit", "-q", "-m", "state", "--no-gpg-sign")

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.root, check=True)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "tools/source_changes.py", *arguments],
            cwd=self.root,
            env={**os.environ, "TMPDIR": str(self.temporary), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit status and everything it said; nothing may be left behind."""
        before = set(self.root.rglob("*"))
        process = self.start(*arguments)
        said = "".join(process.communicate(timeout=60))
        assert set(self.root.rglob("*")) == before
        assert not list(self.temporary.iterdir())
        return process.returncode, said


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return Repository(tmp_path)


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@needs_git
class TestTool:
    def test_nothing_altered(self, repository: Repository):
        status, said = repository.run()
        assert status == 0
        assert [line.split()[:2] for line in said.splitlines()[:2]] == [
            ["line", "unchanged"],
            ["square", "unchanged"],
        ]
        assert said.splitlines()[2].startswith("0 of 2 models differ between HEAD (")

    def test_one_model_altered_by_an_uncommitted_change(self, repository: Repository):
        repository.edit(".strip()", '.strip().replace("2 * x", "x + x")')
        status, said = repository.run()
        assert status == 1
        assert "line    changed (+1 −1): predict\n" in said
        assert "square  unchanged\n" in said

    def test_another_revision(self, repository: Repository):
        repository.edit("** 2", "** 3")
        repository.commit()
        assert repository.run()[0] == 0
        status, said = repository.run("HEAD~1")
        assert status == 1
        assert said.count("changed (+1 −1): loss\n") == 2

    def test_a_function_more(self, repository: Repository):
        repository.edit("def loss(x):", "def twice(x):\n    return x\n\n\ndef loss(x):")
        status, said = repository.run("-m", "line")
        assert status == 1
        assert "changed (+4 −0): twice\n" in said

    def test_parts_in_another_order(self, repository: Repository):
        predict, loss = (
            "def predict(x):\n    return {}\n",
            "def loss(x):\n    return predict(x) ** 2\n",
        )
        repository.edit(f"{predict}\n\n{loss}", f"{loss}\n\n{predict}")
        status, said = repository.run("-m", "line")
        assert status == 1
        assert "): order of the parts\n" in said

    def test_functions_on_request(self, repository: Repository):
        repository.edit("return x\\n", "return 2 * x\\n")
        status, said = repository.run("-m", "line")
        assert status == 1
        assert "changed (+9 −9): per_example_gradients (on request), hess" in said

    def test_other_targets(self, repository: Repository):
        repository.edit("x + 1", "x + 2")
        status, said = repository.run("-m", "line")
        assert status == 1
        assert "changed (+1 −1): there for cupy (on request)\n" in said

    def test_diff(self, repository: Repository):
        repository.edit("** 2", "** 3")
        status, said = repository.run("--diff", "-m", "square")
        assert status == 1
        assert "\n-    return predict(x) ** 2\n+    return predict(x) ** 3\n" in said
        assert "line  " not in said

    def test_models_that_one_side_lacks(self, repository: Repository):
        (repository.root / "models/line.gc").unlink()
        repository.write("models/cube.gc", "x ** 3")
        status, said = repository.run()
        assert status == 0
        assert "cube    unchanged [not in HEAD]\n" in said
        assert "line    unchanged [not in the working tree]\n" in said

    def test_a_text_that_the_revision_cannot_compile(self, repository: Repository):
        repository.edit('"?" in text', "False")
        repository.write("models/odd.gc", "x if x else '?'")
        status, said = repository.run()
        assert status == 1
        assert "odd     only the working tree can compile it: ValueError: no idea [not in" in said

    def test_a_text_that_the_working_tree_cannot_compile(self, repository: Repository):
        repository.edit('"?" in text', '"*" in text')
        status, said = repository.run()
        assert status == 2
        assert "line    the working tree cannot compile it: ValueError: no idea\n" in said
        assert said.endswith("the working tree, 2 cannot be compared\n")

    def test_a_compiler_that_does_not_start(self, repository: Repository):
        repository.edit("from pathlib import Path", "import no_such_module")
        status, said = repository.run()
        assert status == 2
        assert "the code of the working tree cannot compile" in said
        assert "no_such_module" in said

    def test_unknown_names(self, repository: Repository):
        assert repository.run("no-such-revision")[0] == 2
        status, said = repository.run("-m", "no_such_model")
        assert status == 2
        assert "no model is called no_such_model; there are line, square" in said

    @pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
    def test_interrupted(self, repository: Repository, end: signal.Signals):
        started = repository.temporary.parent / "started"
        started.mkdir()
        pause = f"import os, time; Path({str(started)!r}, str(os.getpid())).touch(); time.sleep(99)"
        repository.edit("    text =", f"    {pause}\n    text =")
        repository.commit()
        process = repository.start()
        workers = [int(path.name) for path in wait_for(started, 2)]
        process.send_signal(end)
        process.communicate(timeout=60)
        assert process.returncode == 130
        assert not list(repository.temporary.iterdir())
        for worker in workers:
            with pytest.raises(ProcessLookupError):
                os.kill(worker, 0)


def wait_for(folder: Path, count: int) -> Iterator[Path]:
    """The files of a folder once there are so many."""
    for _ in range(3000):
        if len(files := list(folder.iterdir())) >= count:
            return iter(files)
        time.sleep(0.01)
    raise AssertionError(f"{folder} never got {count} files")


def test_generated_sources_are_those_of_the_compiler(tmp_path: Path, root: Path, models: Path):
    path = models / "logistic.gc"
    generated_sources.main(str(root), str(tmp_path / "out.json"), [str(path)])
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["logistic"]
    assert found["module"] == graphc.compile(path).source
    products = graphc.compile(path, products=["hessian_vector_products"]).source
    assert found["products"]["hessian_vector_products"] in products
    assert "has no batch of examples" in found["products"]["per_example_gradients"]
    there = graphc.compile(path, target="cupy").source
    assert found["products"]["KERNELS for cupy"] in there


def test_another_graphc_is_refused(tmp_path: Path, models: Path):
    with pytest.raises(SystemExit, match="graphc was loaded from"):
        generated_sources.main(str(tmp_path), str(tmp_path / "out.json"), [])


@pytest.mark.parametrize("name", ["circuit", "digits"])
def test_parts_are_the_whole_source(name: str, models: Path):
    source = graphc.compile(models / f"{name}.gc").source
    found = parts(source)
    assert "".join(found.values()) == source
    assert {"docstring", "imports", "signature", "predict", "Trainer.step", "main"} <= found.keys()


def test_names_of_parts():
    source = (
        "# head\nimport a\nfrom b import c\nX = 1\n\n\ndef f():\n    pass\n\n\n# about A\n"
        "class A:\n    y = 1\n\n    def g(self):\n        pass\n\n    z = 2\n\n\n"
        "class B:\n    pass\n\n\ndef f():\n    return 1\n\n\nfor i in c:\n    a(i)\n# end\n"
    )
    found = parts(source)
    assert list(found) == ["imports", "X", "f", "A", "A.g", "A.z", "B", "f (2)", "for"]
    assert found["A"] == "\n\n# about A\nclass A:\n    y = 1\n"
    assert found["for"].endswith("# end\n")
    assert "".join(found.values()) == source
    assert parts("# nothing\n") == {"comments": "# nothing\n"}
