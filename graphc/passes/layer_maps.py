"""Which weights are the matrix of one linear map."""

from __future__ import annotations

from graphc.ir import Graph, Node, Type
from graphc.model.program import Program
from graphc.ops.leaves import Input
from graphc.ops.matmul import Matmul
from graphc.ops.shapes import Reshape

__all__ = ["layer_maps", "meeting_data"]


def layer_maps(program: Program) -> dict[str, Node]:
    """The product ``x @ W`` by the name of each learned W that takes part in it alone.

    W may be reshaped first, to a matrix or a vector, as the kernels of a convolution are. Of a
    shared weight, or one that is transposed (``x @ transpose(W)``), sliced, looked up in or given
    to ``einsum``, there is none. A use that never meets the data, as in a penalty, does not count.
    """
    uses = meeting_data(program)
    found = {name: _map(program.graph, id, uses) for name, id in program.learned_nodes.items()}
    return {name: node for name, node in found.items() if node is not None}


def _map(graph: Graph, weight: int, uses: set[int]) -> Node | None:
    """The only product that a weight goes into, None where it is used otherwise."""
    users = [user for user in graph.users(weight) if user in uses]
    if len(users) != 1:
        return None
    user = graph[users[0]]
    if isinstance(user.op, Reshape):
        return _map(graph, user.id, uses)
    is_matrix = isinstance(user.op, Matmul) and graph[weight].tensor.rank in (1, 2)
    on_the_right = user.inputs[-1] == weight and graph.slots(weight, user.id) == 1
    return user if is_matrix and on_the_right else None


def meeting_data(program: Program) -> set[int]:
    """Everything from which arrays that depend on the data are made. Numbers do not count: an
    objective is a sum of what depends on data and what does not."""
    graph = program.graph
    reached: set[int] = set()
    for node in graph.topological():
        if isinstance(node.op, Input) or reached.intersection(node.inputs):
            reached.add(node.id)
    needed = graph.ancestors([program.roots["objective", ""]]) & reached
    arrays = [id for id in needed if isinstance(t := graph[id].type, Type) and t.shape]
    return graph.ancestors(arrays)
