"""Program to plan: the order of the nodes, what each of them is at run time, where it is kept.

A plan is known before anything runs. It says nothing about the text of a target; how one writes an
operator is the operator's and the backend's matter.
"""

from graphc.schedule.order import How, backward_part, classify, is_backward, ordered
from graphc.schedule.plan import Plan, Slot, Step, plan, plan_update
from graphc.schedule.text import plan_text

__all__ = [
    "How",
    "Plan",
    "Slot",
    "Step",
    "backward_part",
    "classify",
    "is_backward",
    "ordered",
    "plan",
    "plan_text",
    "plan_update",
]
