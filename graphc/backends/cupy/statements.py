"""Statements over arrays on the device: a kernel for each group, a call of CuPy for all else.

The order, the names and the numbers of the run are those of the plain functions; numbers of the run
are computed on the host and given to kernels by value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import ClassVar

from graphc.backends.cupy.lifetimes import Memory, TrackedBody
from graphc.backends.cupy.respelling import lacking, respelled
from graphc.backends.cupy.table import KernelTable
from graphc.backends.kernels import Entry, Kernel, print_kernel
from graphc.backends.printing.plain import OWNED
from graphc.backends.printing.text import DTYPES, remark
from graphc.backends.printing.writer import WIDTH, Writer, quoted
from graphc.backends.targets import LackingError
from graphc.ir import Kind, Node, NoKernel, Type
from graphc.ops.gathering import Gather, GatherAdjoint, Take, TakeAdjoint
from graphc.ops.leaves import Constant, Input
from graphc.ops.logic import Cast
from graphc.ops.matmul import Matmul
from graphc.ops.reductions import Reduction
from graphc.ops.shapes import Broadcast, Reshape

__all__ = ["PARTS", "DeviceBody"]

PARTS = 256
"""Blocks that each leave a part of a total."""

PARTIALS: dict[Kind, str] = {"real": "cp.float64", "bool": "cp.int64"}
"""The type of a part of a total, by the total's kind; int64 of integers."""


@dataclass
class DeviceBody(TrackedBody):
    """The statements of some roots on the device.

    ``targets`` gives, by the node of a gradient, the array that it is to be written to.
    """

    targets: Mapping[int, str] = field(default_factory=dict)
    fetched: set[int] = field(default_factory=set)
    """Numbers that the host has read."""

    kernels: ClassVar[KernelTable]
    """Where the kernels of a module are collected."""
    reserved = ("cp", "run", "slopes", "following", "PARTS")

    def write_statements(self) -> None:
        self.written: dict[int, str] = {}
        self._strided: set[int] = set()
        self._watches = any(
            isinstance(node.op, Input) and node.tensor.kind == "label" for node in self.order
        )
        readers: dict[int, list[int]] = {}
        for node in self.order:
            for id in node.inputs:
                readers.setdefault(id, []).append(node.id)
        self._readers = readers
        for nodes in self._parts():
            self._write_part(nodes)

    def _parts(self) -> Iterator[list[Node]]:
        """The order in pieces: the members of one group, or a single node."""
        for number, nodes in groupby(self.order, self._group_number):
            if number is None:
                yield from ([node] for node in nodes)
            else:
                yield list(nodes)

    def _group_number(self, node: Node) -> int | None:
        group = self.groups.get(node.id)
        return None if group is None else id(group)

    def _write_part(self, nodes: Sequence[Node]) -> None:
        members = [node for node in nodes if self.how[node.id] in ("compute", "view")]
        for node in nodes:
            if self.how[node.id] not in ("compute", "view"):
                self.place(node)
        working = [node for node in members if self.how[node.id] == "compute"]
        if len(working) > 1 and self._write_kernel(members):
            return
        for node in members:
            self.place(node)

    def place(self, node: Node) -> None:
        """The statement of one node: a call of CuPy, or a kernel of its own where there is none."""
        how = self.how[node.id]
        before = len(self.lines)
        if how not in ("compute", "view"):
            super().place(node)
            made = {self.value[node.id]: node.tensor} if node.tensor.shape else {}
            self.memory += [Memory(made, node.inputs)] * (len(self.lines) - before)
            return
        why = lacking(node.op.numpy(self.context(node), *("x" for _ in node.inputs)))
        if why:
            if how == "view" or not self._write_kernel([node]):
                raise LackingError(node.op.name, "cupy", node.origin.span, why)
            return
        self._watch(node)
        name = self.value[node.id] = self.called[node.id]
        if node.id in self.targets:
            self._write_to(node)
        else:
            memory = self._of_view(node) if how == "view" else self._of_call(node)
            self.write_line(f"{name} = {self.expression(node)}", node, memory)

    def _of_view(self, node: Node) -> Memory:
        """What a view does to memory: to reshape what does not lie in order is to copy it."""
        name, source = self.value[node.id], node.inputs[0]
        if not isinstance(node.op, Reshape):
            self._strided.add(node.id)
        elif source in self._strided:
            return Memory({name: node.tensor}, node.inputs)
        return Memory(reads=node.inputs, view=(name, self.value[source]))

    def _of_call(self, node: Node) -> Memory:
        types = tuple(self.graph[i].tensor for i in node.inputs)
        hidden = (*node.op.hidden(types, node.tensor), *self._put_in_order(node))
        return Memory({self.value[node.id]: node.tensor}, node.inputs, hidden=hidden)

    def _put_in_order(self, node: Node) -> Iterator[Type]:
        """Operands that CuPy copies: a product of more than two matrices wants them in order."""
        types = [self.graph[id].tensor for id in node.inputs]
        if isinstance(node.op, Matmul) and any(len(type.shape) > 2 for type in types):
            pairs = zip(node.inputs, types, strict=True)
            yield from (type for id, type in pairs if id in self._strided)

    def _write_to(self, node: Node) -> None:
        """A statement that leaves a value in an array that is there. It gets a name where another
        reads it."""
        target = self.written[node.id] = self.targets[node.id]
        name, read = self.called[node.id], node.id in self._readers
        named = f"{name} = " if read else ""
        self.value[node.id] = name if read else target
        args = [self.operand(node, i) for i in node.inputs]
        memory = Memory(reads=node.inputs, hidden=tuple(self._put_in_order(node)))
        if isinstance(node.op, Matmul) and not self._one_product(node):
            self.write_line(f"{named}cp.matmul({', '.join(args)}, out={target})", node, memory)
            return
        if isinstance(node.op, Reduction) and node.tensor.kind == "real":
            call = self.expression(node).removesuffix(")")
            comma = "" if call.endswith("(") else ", "
            self.write_line(f"{named}{call}{comma}out={target})", node, memory)
            return
        if read:
            self.write_line(f"{name} = {target}", node, Memory(), comment="")
        made = Memory({f"{name} made": node.tensor}, node.inputs)
        self.write_line(f"cp.copyto({self.value[node.id]}, {self.expression(node)})", node, made)

    def _watch(self, node: Node) -> None:
        """Indices that are out of range wrap round on the device: they are looked for."""
        if not isinstance(node.op, Take | TakeAdjoint | Gather | GatherAdjoint):
            return
        index, sized = self.graph[node.inputs[1]], node.tensor
        if index.tensor.kind != "int":
            return
        axis = getattr(node.op, "axis", 0)
        if isinstance(node.op, Take | Gather):
            sized = self.graph[node.inputs[0]].tensor
        size = self.context(node).size(sized.shape[axis])
        text, what = self.array_text(index.id), quoted(index.name or self.value[index.id])
        self._watches = True
        line = f"_expect_range({text}, -({size}), {size}, {what})"
        self.write_line(line, node, Memory(reads=(index.id,)), comment="")

    # -- kernels

    def _write_kernel(self, members: Sequence[Node]) -> bool:
        """One call for several nodes; False where they have no kernel."""
        inside = dict.fromkeys(node.id for node in members)
        results = [
            node.id
            for node in members
            if node.id in self.roots or not inside.keys() >= set(self._readers.get(node.id, ()))
        ]
        group = self.groups.get(members[0].id)
        title = group.body.title if group is not None else members[-1].op.name
        try:
            kernel = print_kernel(
                self.graph,
                list(inside),
                results,
                how=self.how,
                names={**self.called, **self.value},
                dims=self.dims.names,
                title=title,
                name=self.kernels.free_name(title),
            )
        except NoKernel:
            return False
        self._call(self.kernels.enter(kernel), {node.id: node for node in members})
        return True

    def _call(self, kernel: Kernel, members: Mapping[int, Node]) -> None:
        """Room for what a kernel makes, and its launches."""
        last = list(members.values())[-1]
        parts = {id: self.names.fresh(f"{self.called[id]}_parts") for id in kernel.totals}
        for id in kernel.main.outputs:
            self._make_room(members[id])
        for id, name in parts.items():
            kind = kernel.totals[id]
            text = f"{name} = cp.empty(PARTS, {PARTIALS.get(kind, 'cp.int64')})"
            self.write_line(text, members[id], Memory({name: Type("int", (PARTS,))}), comment="")
        sizes = self.context(last)
        arguments = self._arguments(kernel.main, parts)
        if parts:
            head = f"_parts(run.{kernel.main.name}, {sizes.size(kernel.columns)}"
        elif kernel.kind == "rows":
            rows, columns = sizes.size(kernel.rows), sizes.size(kernel.columns)
            head = f"_each_row(run.{kernel.main.name}, {rows}, {columns}"
        else:
            head = f"_each(run.{kernel.main.name}, {sizes.size(kernel.elements)}"
        note = self._note(members, kernel.main.outputs)
        reads = tuple(id for node in members.values() for id in node.inputs)
        uses = tuple(parts.values())
        hidden = [self.graph[id].tensor for id in kernel.main.inputs if id in self._strided]
        memory = Memory(reads=reads, uses=uses, hidden=tuple(hidden))
        self.write_line(f"{head}, {arguments})", last, memory, comment=note)
        if kernel.total is not None:
            for id in kernel.total.outputs:
                self._make_room(members[id])
            arguments = self._arguments(kernel.total, parts)
            note = self._note(members, kernel.total.outputs)
            text = f"_total(run.{kernel.total.name}, {arguments})"
            self.write_line(text, last, Memory(reads=reads, uses=uses), comment=note)

    def _note(self, members: Mapping[int, Node], outputs: Sequence[int]) -> str:
        """Shape and place of what a launch gives, where it gives one array."""
        return remark(members[outputs[-1]]) if len(outputs) == 1 else ""

    def _make_room(self, node: Node) -> None:
        name = self.value[node.id] = self.called[node.id]
        target = self.targets.get(node.id)
        if target is not None:
            self.written[node.id] = target
            self.write_line(f"{name} = {target}", node, Memory(), comment="")
            return
        shape = self.context(node).shape(node.tensor.shape)
        text = f"{name} = cp.empty({shape}, {respelled(DTYPES[node.tensor.kind])})"
        self.write_line(text, node, Memory({name: node.tensor}), comment="")

    def _arguments(self, entry: Entry, parts: Mapping[int, str]) -> str:
        """What an entry takes, in its order."""
        texts = [self.value[id] for id in (*entry.inputs, *entry.outputs)]
        texts += [parts[id] for id in entry.partials]
        texts += [self.value[id] for id in entry.numbers]
        texts += [self.dims[symbol] for symbol in entry.sizes]
        texts += ["seed", self.step] if entry.draws else []
        texts += ["PARTS"] if entry.blocks else []
        return ", ".join(texts)

    # -- expressions

    def expression(self, node: Node) -> str:
        how, op = self.how[node.id], node.op
        if how not in ("compute", "view") and node.tensor.shape == ():
            return super().expression(node)
        args = [self.operand(node, i) for i in node.inputs]
        if isinstance(op, Matmul) and self._one_product(node):
            return f"_rows_times({', '.join(args)})"
        text = respelled(op.numpy(self.context(node), *args))
        if isinstance(op, Constant):
            return f"_kept(({self.kernels.constant(text)}, real), lambda: {text})"
        if op.elementwise and not isinstance(op, Cast) and self.widens(node):
            return f"cp.asarray({text}, dtype=real)"
        return text

    def _one_product(self, node: Node) -> bool:
        """Whether all leading axes of the left are rows of one product with a matrix: CuPy would
        make a product of each matrix there."""
        left, right = (self.graph[id].tensor for id in node.inputs)
        return left.rank > 2 and right.rank == 2

    def operand(self, node: Node, id: int) -> str:
        """A value as an operand: what asks for an array gets a number as one."""
        text = self.array_text(id)
        number = self.how[id] in ("literal", "static", "scalar") and not self.graph[id].tensor.shape
        if number and not node.op.elementwise and not isinstance(node.op, Broadcast):
            return self._filled(id)
        return text

    def _filled(self, id: int) -> str:
        """A number as an array of no dimension."""
        dtype = respelled(DTYPES[self.graph[id].tensor.kind])
        return f"cp.full((), {self.value[id]}, {dtype})"

    # -- the ends of a function

    def as_array(self, id: int) -> str:
        node, how = self.graph[id], self.how[id]
        if how in ("literal", "static", "scalar") and not node.tensor.shape:
            return self._filled(id)
        if how == "leaf":
            return f"cp.asarray({self.value[id]}, dtype={respelled(DTYPES[node.tensor.kind])})"
        return self.value[id]

    def own_array(self, id: int, *, shared: bool) -> str:
        node, how = self.graph[id], self.how[id]
        if how in ("literal", "static", "scalar") and not node.tensor.shape:
            return self._filled(id)
        in_kernel = id in self.groups
        if how == "compute" and (isinstance(node.op, OWNED) or in_kernel) and not shared:
            return self.value[id]
        return f"cp.array({self.value[id]}, dtype=real)"

    def fetch(self, w: Writer, ids: list[int]) -> None:
        for id in dict.fromkeys(ids):
            name = self.value[id]
            if ids.count(id) > 1 and not self.graph[id].tensor.shape and name.isidentifier():
                w.line(f"{name} = {self.as_number(id)}")
                self.fetched.add(id)

    def as_number(self, id: int) -> str:
        if id in self.fetched:
            return self.value[id]
        single = self.graph[id].tensor.shape == ()
        return f"float({self.value[id]})" if single else f"_host({self.as_array(id)})"

    def state_text(self, label: str) -> str:
        return f"_device(state[{quoted(label)}])"

    def settle(self, w: Writer) -> None:
        if self._watches and not self.targets:
            w.line("_expect_no_trouble()")

    def give_back(self, w: Writer, items: list[str], like: str) -> None:
        together = f"{{{', '.join(items)}}}"
        if 4 * w.indent + len(f"    {together}, {like}") <= WIDTH:
            w.line(f"return _given_back({together}, {like})")
            return
        with w.block("return _given_back("):
            w.items("{", items, "},")
            w.line(f"{like},")
        w.line(")")

    def opening(self) -> list[str]:
        return ["run = _kernels(real)"] if super().reads("run") else []

    def reads(self, name: str) -> bool:
        return super().reads(name) or (name == "real" and super().reads("run"))
