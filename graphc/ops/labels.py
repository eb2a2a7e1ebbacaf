"""Elements at labels, and labels as rows of zeros and a one."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.ir import (
    Formula,
    KernelContext,
    Notation,
    Operator,
    Sample,
    Size,
    Type,
    TypeRuleError,
    Value,
    Workspace,
    WriteContext,
)


def _flat_positions(w: WriteContext, labels: str) -> str:
    """The statement that fills the last workspace: where in a flat array of rows, with a place
    for each class, that of the label lies."""
    firsts, positions = w.workspace
    if w.types[1].rank != 1:
        firsts = w.once(f"{firsts}.reshape({w.shape(w.types[1].shape)})")
    return f"np.add({firsts}, {labels}, out={positions})"


def _positions_workspace(labels: Type) -> tuple[Workspace, ...]:
    """The first place of each row, and scratch for one place in each."""
    firsts = Workspace(Type("int", (labels.size,)), start=0, step=labels.classes or 0)
    return firsts, Workspace(Type("int", labels.shape))


@dataclass(frozen=True)
class Pick(Operator):
    """Along the last axis, the element at each label: ``x[i, y[i]]``."""

    name = "pick"
    rowwise = True
    reduces = "sum"
    arity = 2
    flops = 0

    def infer(self, *types: Type) -> Type:
        x, y = types
        if y.kind != "label":
            raise TypeRuleError("E202", f"`pick` takes labels, not {y}", blame=[1])
        if x.rank == 0 or x.shape[-1] != y.classes:
            raise TypeRuleError(
                "E207",
                f"the classes do not fit: {y} has {y.classes}, "
                f"the last dimension of {x} is {x.shape[-1] if x.shape else 'missing'}",
                blame=(0, 1),
                help="the class dimension must equal k of label{k}",
            )
        if x.shape[:-1] != y.shape:
            raise TypeRuleError("E201", f"`pick` got {x} and {y}: rows differ", blame=(0, 1))
        return x.with_shape(x.shape[:-1])

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        classes = xs[0].shape[-1]
        return d.apply("pick_adjoint", xs[1], classes=classes) if i == 0 else None

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        x, y = xs[0].builder.all_mapped(size, xs, mapped)
        return x.apply("pick", y)

    def numpy(self, w: WriteContext, *args: str) -> str:
        if w.types[0].rank == 2:
            return f"{args[0]}[np.arange(len({args[0]})), {args[1]}]"
        return f"np.take_along_axis({args[0]}, np.asarray({args[1]})[..., None], axis=-1)[..., 0]"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        """A label that is out of range, which ``clip`` would hide, is refused before a step."""
        find = _flat_positions(w, args[1])
        return f'{find}; {args[0]}.take({w.workspace[1]}, mode="clip", out={out})'

    def kernel(self, k: KernelContext, *args: str) -> str:
        """One term of a row is not 0, so their sum is exact."""
        zero = "(real)0" if k.result.kind == "real" else "0LL"
        return f"{k.column} == {args[1]} ? {k.as_kind(args[:1], k.result.kind)[0]} : {zero}"

    def workspace(self, types: tuple[Type, ...], result: Type) -> tuple[Workspace, ...]:
        return _positions_workspace(types[1])

    def formula(self, f: Notation, *args: Formula) -> Formula:
        return f.index(args[0], args[1].text)

    def reads(self, types: tuple[Type, ...], result: Type) -> tuple[Size, ...]:
        return result.size, types[1].size

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls(), (Type("real", (4, 3)), Type("label", (4,), 3))),
            Sample(cls(), (Type("real", (2, 4, 3)), Type("label", (2, 4), 3))),
            Sample(cls(), (Type("real", (3,)), Type("label", (), 3))),
        ]


@dataclass(frozen=True)
class PickAdjoint(Operator):
    """Zeros with a new last axis of ``classes``, the operand at each label."""

    name = "pick_adjoint"
    rowwise = True
    arity = 2
    flops = 0
    classes: Size

    def infer(self, *types: Type) -> Type:
        return Type("real", (*types[0].shape, self.classes))

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> Value | None:
        return d.apply("pick", xs[1]) if i == 0 else None

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        d, y = xs[0].builder.all_mapped(size, xs, mapped)
        return d.apply("pick_adjoint", y, classes=self.classes)

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"_at_labels({args[0]}, {args[1]}, {w.size(self.classes)})"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        find, flat = _flat_positions(w, args[1]), w.once(f"{out}.reshape(-1)")
        return f"{find}; {out}.fill(0); {flat}[{w.workspace[1]}] = {args[0]}"

    def kernel(self, k: KernelContext, *args: str) -> str:
        return f"{k.column} == {args[1]} ? {args[0]} : (real)0"

    def workspace(self, types: tuple[Type, ...], result: Type) -> tuple[Workspace, ...]:
        return _positions_workspace(types[1])

    @classmethod
    def samples(cls) -> list[Sample]:
        return [
            Sample(cls(3), (Type("real", (4,)), Type("label", (4,), 3))),
            Sample(cls(3), (Type("real", (2, 4)), Type("label", (2, 4), 3))),
            Sample(cls(3), (Type("real"), Type("label", (), 3))),
        ]


@dataclass(frozen=True)
class OneHot(Operator):
    """A label as a row of zeros with a one at its place."""

    name = "one_hot"
    rowwise = True
    flops = 0

    def infer(self, *types: Type) -> Type:
        (y,) = types
        if y.kind != "label" or y.classes is None:
            raise TypeRuleError("E202", f"`one_hot` takes labels, not {y}", blame=[0])
        return Type("real", (*y.shape, y.classes))

    def vjp(self, i: int, xs: tuple[Value, ...], y: Value, d: Value) -> None:
        return None

    def vectorize(self, size: Size, xs: tuple[Value, ...], mapped: tuple[bool, ...]) -> Value:
        return xs[0].apply("one_hot")

    def numpy(self, w: WriteContext, *args: str) -> str:
        return f"np.eye({w.types[0].classes}, dtype={w.real})[{args[0]}]"

    def numpy_into(self, w: WriteContext, out: str, *args: str) -> str:
        every = w.fixed(f"np.arange({w.types[0].classes})")
        return f"np.equal({args[0]}[..., None], {every}, out={out})"

    def kernel(self, k: KernelContext, *args: str) -> str:
        return f"(real)({k.column} == {args[0]})"

    @classmethod
    def samples(cls) -> list[Sample]:
        return [Sample(cls(), (Type("label", (4,), 3),))]
