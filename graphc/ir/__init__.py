"""The graph and what it is made of: dimensions, types, operators' base, nodes, bodies, text form.

The only room that knows NetworkX. It knows no primitive operator (``graphc.ops``) and no syntax.
"""

from graphc.ir.builder import Builder, Value
from graphc.ir.dims import Dim, Size, divide_exactly, product, symbol
from graphc.ir.graph import Body, Call, Graph, Node, Operand, Origin
from graphc.ir.group import Group, group_nodes, in_order, open_group
from graphc.ir.inline import (
    flatten,
    follow,
    inline_call,
    inline_calls,
    join_place,
    placed,
    relocate,
)
from graphc.ir.kernel import C_TYPES, KernelContext, NoKernel, kernel_number
from graphc.ir.notation import LATEX, UNICODE, Formula, Notation
from graphc.ir.operator import (
    OPERATORS,
    Operator,
    Sample,
    TypeRuleError,
    Workspace,
    WriteContext,
    check_axis,
)
from graphc.ir.textform import parse_graph, print_graph
from graphc.ir.types import AnyType, Kind, TupleType, Type, broadcast_shapes, is_real
from graphc.ir.verify import VerificationError, verify

__all__ = [
    "C_TYPES",
    "LATEX",
    "OPERATORS",
    "UNICODE",
    "AnyType",
    "Body",
    "Builder",
    "Call",
    "Dim",
    "Formula",
    "Graph",
    "Group",
    "KernelContext",
    "Kind",
    "NoKernel",
    "Node",
    "Notation",
    "Operand",
    "Operator",
    "Origin",
    "Sample",
    "Size",
    "TupleType",
    "Type",
    "TypeRuleError",
    "Value",
    "VerificationError",
    "Workspace",
    "WriteContext",
    "broadcast_shapes",
    "check_axis",
    "divide_exactly",
    "flatten",
    "follow",
    "group_nodes",
    "in_order",
    "inline_call",
    "inline_calls",
    "is_real",
    "join_place",
    "kernel_number",
    "open_group",
    "parse_graph",
    "placed",
    "print_graph",
    "product",
    "relocate",
    "symbol",
    "verify",
]
