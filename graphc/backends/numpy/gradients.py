"""The ``Trainer``'s forward and backward pass: its ``step`` and ``_bind``."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.backends.numpy.bound import write_run_lengths
from graphc.backends.numpy.in_place import InPlace
from graphc.backends.printing.functions import input_variables, size_line
from graphc.backends.printing.names import NameAllocator
from graphc.backends.printing.plain import QUIET
from graphc.backends.printing.text import DTYPES, Dims, bytes_text, write_sections
from graphc.backends.printing.writer import Writer, quoted
from graphc.ir import Node, Size, WriteContext
from graphc.model.program import ModelSpec
from graphc.ops.leaves import Parameter, StateRead
from graphc.schedule import Plan, backward_part

__all__ = ["GradientsPrinter"]


class Gradients(InPlace):
    """Forward and backward: arrays by slot, gradients in views of the flat array."""

    def leaf(self, node: Node) -> str:
        assert isinstance(node.op, Parameter | StateRead)
        return self.loaded(node.op.label, f"self._views[{quoted(node.op.label)}]")

    def room_text(self, slot: int, shape: tuple[Size, ...], dtype: str) -> str:
        target = self.plan.slots[slot].target
        shape_text = WriteContext(dims=self.dims).shape(shape)
        if not target:
            return f"self._room({self.plan.arena[slot]}, {shape_text}, {dtype})"
        view = f"self._gradients[{quoted(target)}]"
        return view if shape == self._target_shape(target) else f"{view}.reshape({shape_text})"

    def _target_shape(self, target: str) -> tuple[object, ...]:
        return self.graph[self.plan.roots["gradient", target]].tensor.shape


class GradientsPrinter:
    """Prints ``step`` and ``_bind``."""

    def __init__(self, spec: ModelSpec, planned: Plan) -> None:
        self.spec = spec
        self.names = NameAllocator()
        self.dims = Dims(spec.symbols, self.names)
        hints = {id: f"{name}_next" for (role, name), id in planned.roots.items() if role == "next"}
        for (role, name), id in planned.roots.items():
            if role != "next":
                hints.setdefault(id, f"d_{name}" if role == "gradient" else "objective")
        self.body = Gradients(planned, self.names, self.dims, hints)
        self.body.print()
        self.objective = self.body.value[planned.roots["objective", ""]]
        self.following = {
            name: planned.roots[role, name] for role, name in planned.roots if role == "next"
        }
        self.missing = [n for n in spec.learned if ("gradient", n) not in planned.roots]
        self._find_symbols()

    def _find_symbols(self) -> None:
        """Symbols that a binding depends on: those of the inputs, and those that are used."""
        used = set(self.dims.used)
        sizes = [size for name in self.body.inputs for size in self.spec.inputs[name].type.shape]
        sizes += [size for slot in self.body.plan.slots for _, size in slot.residents]
        used.update(*(size.symbols for size in sizes if not isinstance(size, int)))
        self.inputs = input_variables(self.spec, dict(self.body.inputs), used, self.names)
        self.symbols = [symbol for symbol in self.dims if symbol in used]

    def print_step(self, w: Writer) -> None:
        w.line(QUIET)
        with w.block("def step(self, batch):"):
            w.docstring("One update; the objective before it, penalties included.")
            self._print_inputs(w)
            sizes = ", ".join(self.dims[symbol] for symbol in self.symbols)
            key = f"({sizes},)" if len(self.symbols) == 1 else f"({sizes})"
            w.line(f"bound = self._bound.get({key}) or self._bind({sizes})")
            w.line(f"{self._functions()} = bound")
            if self.body.entering:
                with w.block("if bound is not self._current:"):
                    w.line("enter()")
                    w.line("self._current = bound")
            taken = {*self.inputs.values(), *self.dims.values()}
            result = "objective" if "objective" not in taken else self.names.fresh("objective")
            w.items(f"{result} = gradients(", ["self._step", *self.body.inputs.values()], ")")
            with w.block(f"if not math.isfinite({result}):"):
                message = f'f"the objective is {{{result}}} at step {{self._step}}"'
                w.line(f"raise FloatingPointError({message})")
            w.line("self._update(self._step)")
            if self.following:
                w.line("commit()")
            w.line("self._step += 1")
            w.line(f"return {result}")
        w.line()

    def _functions(self) -> str:
        """What ``_bind`` returns, a tuple."""
        names = ["enter"] * bool(self.body.entering) + ["gradients"]
        names += ["commit"] * bool(self.following)
        return ", ".join(names) if len(names) > 1 else f"({names[0]},)"

    def _print_inputs(self, w: Writer) -> None:
        types = {v: self.spec.inputs[name].type for name, v in self.inputs.items()}
        for name, variable in self.inputs.items():
            dtype = DTYPES[types[variable].kind].replace("real", "self._real")
            if dtype == "np.int64":
                w.line(f"{variable} = _integers({quoted(name)}, batch[{quoted(name)}])")
            else:
                w.line(f'{variable} = np.asarray(batch[{quoted(name)}], dtype={dtype}, order="C")')
        for symbol in self.symbols:
            line = size_line(symbol, self.dims, types)
            variable = line.split(" = ")[1].split(".")[0]
            w.line(f"{line} if {variable}.ndim == {types[variable].rank} else -1")
        for name, variable in self.inputs.items():
            shape = WriteContext(dims=self.dims).shape(types[variable].shape)
            with w.block(f"if {variable}.shape != {shape}:"):
                w.line(f"raise _misfit({quoted(name)}, {variable})")
            classes = types[variable].classes
            if classes is not None:
                largest = f'_largest({variable}, self._number("largest label", np.uint64))'
                with w.block(f"if {largest} >= {classes}:"):
                    w.line(f"_check_labels({quoted(name)}, {variable}, {classes})")
        if self.spec.batch in self.symbols:
            rows = self.dims[self.spec.batch]
            with w.block(f"if {rows} > self._batch_size:"):
                message = (
                    f'f"the batch has {{{rows}}} rows, at most {{self._batch_size}} were announced"'
                )
                w.line(f"raise ValueError({message})")

    def print_bind(self, w: Writer, clock_of: Mapping[str, str]) -> None:
        sizes = [self.dims[symbol] for symbol in self.symbols]
        with w.block(f"def _bind({', '.join(['self', *sizes])}):"):
            w.docstring("The forward and backward pass over fixed arrays, for batches of one size.")
            w.line("real = self._real")
            if self.body.reads("seed"):
                w.line("seed = self._seed")
            w.line(f"self._reserve({', '.join(sizes)})")
            write_run_lengths(w, self.body.clocks, clock_of)
            self._print_held(w)
            if self.following:
                self.body.functions.setdefault("copyto", "copyto")
            self.body.write_bound(w)
            w.line()
            self._print_enter(w)
            self._print_pass(w)
            if self.following:
                self._print_commit(w)
            key = f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"
            w.line(f"bound = self._bound[{key}] = {self._functions()}")
            w.line("return bound")
        w.line()

    def print_reserve(self, w: Writer) -> None:
        """``_reserve``: the arena, as long as its slots' longest residents."""
        sizes = [self.dims[symbol] for symbol in self.symbols]
        slots = self.body.plan.slots
        texts = [bytes_text(slot.residents, self.dims) for slot in slots if not slot.target]
        with w.block(f"def _reserve({', '.join(['self', *sizes])}):"):
            w.docstring(
                "One block of memory for all slots, unless there is one that is long enough."
            )
            if any("real" in text for text in texts):
                w.line("real = np.dtype(self._real).itemsize")
            w.items("sizes = [", texts, "]")
            with w.block("if self._update is None or any(map(operator.gt, sizes, self._sizes)):"):
                w.line("self._sizes = [max(pair) for pair in zip(sizes, self._sizes, strict=True)]")
                w.line("self._bound, self._current = {}, None")
                w.line("self._slots = self._update = None")
                w.line("self._slots = _arena(self._sizes)")
                w.line("self._update = self._bind_update()")
        w.line()

    def _print_enter(self, w: Writer) -> None:
        if not self.body.entering:
            return
        with w.block("def enter():"):
            for line in self.body.entering:
                w.line(line)
        w.line()

    def _print_held(self, w: Writer) -> None:
        for name in self.following:
            self.body.loaded(name, f"self._views[{quoted(name)}]")

    def _print_pass(self, w: Writer) -> None:
        w.items("def gradients(", ["step", *self.body.inputs.values()], "):")
        w.indent += 1
        self.body.write_numbers(w)
        backward = backward_part(self.body.graph, self.body.plan.roots.values())
        write_sections(w, self.body.lines, backward, self.body.plan.groups)
        for name in self.missing:
            w.line(f"self._gradients[{quoted(name)}].fill(0)")
        w.line(f"return float({self.objective})")
        w.indent -= 1
        w.line()

    def _print_commit(self, w: Writer) -> None:
        with w.block("def commit():"):
            for name, id in self.following.items():
                target = self.body.loaded(name, f"self._views[{quoted(name)}]")
                w.line(f"copyto({target}, {self.body.value[id]})")
        w.line()
