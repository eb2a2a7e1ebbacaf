"""Record what CuPy has: names, parameters, loops of ufuncs. Needs CuPy, no GPU.

    python tools/cupy_surface.py [FILE]

Writes tests/standin/surface.json, which the stand-in of the tests for CuPy holds to: a name that
is not there is an AttributeError, a parameter that is not there a TypeError. Run it again for
another version of CuPy and read the diff.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cupy
import numpy

FILE = Path(__file__).resolve().parent.parent / "tests" / "standin" / "surface.json"
LITERALS = (bool, int, float, str, type(None), tuple)

CUDA_CLASSES = {
    "Device": cupy.cuda.Device,
    "Event": cupy.cuda.Event,
    "MemoryPointer": cupy.cuda.MemoryPointer,
    "MemoryPool": cupy.cuda.MemoryPool,
    "PinnedMemoryPointer": cupy.cuda.PinnedMemoryPointer,
    "PinnedMemoryPool": cupy.cuda.PinnedMemoryPool,
    "RawKernel": cupy.RawKernel,
    "RawModule": cupy.RawModule,
    "Stream": cupy.cuda.Stream,
}
"""Classes whose members are recorded."""

OF_PYTHON = re.compile(r"__(setstate|del|dict|weakref|module|slots|\w+_cython|pyx\w*)__")
"""Special methods that say nothing about a class."""

CLASS_PARAMETERS = {
    "Stream": "null=False, non_blocking=False, ptds=False, priority=None",
    "ndarray": "shape, dtype=..., memptr=None, strides=None, order='C'",
}
"""What constructors take where neither signature nor docstring says it."""


def surface() -> dict[str, Any]:
    """Everything that is recorded, in a fixed order."""
    return {
        "versions": {"cupy": cupy.__version__, "numpy": numpy.__version__},
        "cupy": names(cupy),
        "cupy.cuda": names(cupy.cuda) | libraries(),
        "cupy.cuda.driver": names(cupy.cuda.driver),
        "cupy.cuda.memory": names(cupy.cuda.memory),
        "cupy.cuda.nvrtc": names(cupy.cuda.nvrtc),
        "cupy.cuda.runtime": names(cupy.cuda.runtime),
        "cupy.cuda.stream": names(cupy.cuda.stream),
        "cupy.lib.stride_tricks": names(cupy.lib.stride_tricks),
        "cupy.linalg": names(cupy.linalg),
        "classes": {name: members(cls) for name, cls in sorted(CUDA_CLASSES.items())},
        "ndarray": members(cupy.ndarray),
        "ufuncs": {n: ufunc(u) for n, u in sorted(vars(cupy).items()) if is_ufunc(u)},
    }


def names(module: ModuleType) -> dict[str, str]:
    """What is in a module: `numpy`, where it is NumPy's own; `(parameters)` of a function or class;
    else what kind of thing it is."""
    return {
        name: kind_of(name, getattr(module, name))
        for name in sorted(vars(module))
        if not name.startswith("_") and name not in ("annotations", "contextlib", "warnings")
    }


def libraries() -> dict[str, str]:
    """Modules of `cupy.cuda` that are loaded when they are first asked for."""
    found = {}
    for name in ("cublas", "cufft", "curand", "cusolver", "cusparse", "cutensor", "nccl"):
        try:
            getattr(cupy.cuda, name)
        except AttributeError:
            continue
        except ImportError:  # it is a module, its library is not installed
            pass
        found[name] = "module"
    return found


def kind_of(name: str, thing: Any) -> str:
    if is_ufunc(thing):
        return "ufunc"
    if isinstance(thing, ModuleType):
        return "module"
    if hasattr(numpy, name) and thing is getattr(numpy, name):
        return "numpy"
    if not callable(thing):
        return f"constant {type(thing).__name__}"
    return f"({parameters(thing, name)})"


def is_ufunc(thing: Any) -> bool:
    return isinstance(thing, cupy.ufunc)


def parameters(function: Any, name: str) -> str:
    """Parameters as a definition would have them; defaults that are no literals are `...`."""
    if name in CLASS_PARAMETERS:
        return CLASS_PARAMETERS[name]
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return from_docstring(function, name)
    parts = []
    for each in found.parameters.values():
        if each.default is not each.empty and not isinstance(each.default, LITERALS):
            each = each.replace(default=...)
        parts.append(each.replace(annotation=each.empty))
    return str(inspect.Signature(parts))[1:-1].replace("Ellipsis", "...")


def from_docstring(function: Any, name: str) -> str:
    """Of compiled code: its first line is the call, with types of C before some names."""
    lines = (inspect.getdoc(function) or "").splitlines()
    for line in lines:
        call = re.match(rf"(?:\w+\.)*{re.escape(name)}\((.*)\)", line.replace("\\", ""))
        if call:
            parts = call[1].split(", ") if call[1] else []
            return ", ".join(plain(part) for part in parts if part not in ("self", "cls"))
    return "*args, **kwargs"


def plain(parameter: str) -> str:
    """`bool copy=True` as `copy=True`; `stream: 'Stream'` as `stream`."""
    head, equals, default = parameter.partition("=")
    head = head.split(":")[0].strip()
    return (head if head == "*" else head.split()[-1]) + equals + default


def members(cls: type) -> dict[str, str]:
    """Attributes and methods of a class, special methods included."""
    found = {}
    for name in sorted(dir(cls)):
        if name.startswith("_") and not re.fullmatch(r"__\w+__", name):
            continue
        if name in dir(object) or OF_PYTHON.fullmatch(name):
            continue
        member = inspect.getattr_static(cls, name)
        is_attribute = inspect.isdatadescriptor(member) or not callable(getattr(cls, name))
        if name.startswith("__") and name != "__call__":
            found[name] = "special"
        elif is_attribute:
            found[name] = "attribute"
        else:
            found[name] = f"({without_self(parameters(getattr(cls, name), name))})"
    return found


def without_self(text: str) -> str:
    return re.sub(r"^self(, )?(/, )?", "", text)


class Nothing:
    """An array that can do nothing: what a method of a ufunc asks of it comes as AttributeError,
    after the method has found that it does the operation at all."""


def ufunc(u: Any) -> dict[str, Any]:
    """Operands, results, loops and the methods that are more than a name."""
    calls = {
        "accumulate": (Nothing(),),
        "at": (Nothing(), None, None),
        "reduce": (Nothing(),),
        "reduceat": (Nothing(), None),
    }
    working = [name for name, arguments in calls.items() if works(getattr(u, name), arguments)]
    return {
        "nin": u.nin,
        "nout": u.nout,
        "keywords": keywords(u),
        "methods": [*working, "outer"],
        "types": u.types,
    }


def works(method: Any, arguments: tuple[Any, ...]) -> bool:
    try:
        method(*arguments)
    except NotImplementedError:
        return False
    except AttributeError:
        return True
    raise AssertionError("a method of a ufunc took an array that can do nothing")


def keywords(u: Any) -> list[str]:
    """A keyword that a ufunc does not take is refused before it looks for a device."""
    taken = []
    for name in ("axis", "casting", "dtype", "keepdims", "order", "out", "signature", "where"):
        try:
            u(**{name: None})
        except TypeError as error:
            if "Wrong arguments" not in str(error):
                taken.append(name)
    return taken


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    file.write_text(json.dumps(surface(), indent=1) + "\n", encoding="utf-8")
    print(f"{file}: CuPy {cupy.__version__}")


if __name__ == "__main__":
    main()
