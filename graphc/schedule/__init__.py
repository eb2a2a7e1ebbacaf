"""Program to plan: the order of the nodes, what each of them is at run time, where it is kept.

A plan is known before anything runs. It says nothing about the text of a target; how one writes an
operator is the operator's and the backend's matter.
"""

from graphc.schedule.budget import BudgetError, bytes_text, plan_training
from graphc.schedule.costs import bytes_moved, flops
from graphc.schedule.memory import Precision, Slot, array_bytes, size_value
from graphc.schedule.order import (
    Groups,
    How,
    backward_part,
    classify,
    is_backward,
    opened,
    ordered,
)
from graphc.schedule.peak import Peak
from graphc.schedule.plan import Plan, Step, plan, plan_update
from graphc.schedule.report import (
    CostGroup,
    CostReport,
    CostRow,
    forward_report,
    training_report,
)
from graphc.schedule.roots import Selection, step_roots, update_groups
from graphc.schedule.text import plan_text, training_text
from graphc.schedule.training import (
    TILE,
    TrainingPlan,
    UpdatePlan,
    likely_sizes,
    update_plans,
)

__all__ = [
    "TILE",
    "BudgetError",
    "CostGroup",
    "CostReport",
    "CostRow",
    "Groups",
    "How",
    "Peak",
    "Plan",
    "Precision",
    "Selection",
    "Slot",
    "Step",
    "TrainingPlan",
    "UpdatePlan",
    "array_bytes",
    "backward_part",
    "bytes_moved",
    "bytes_text",
    "classify",
    "flops",
    "forward_report",
    "is_backward",
    "likely_sizes",
    "opened",
    "ordered",
    "plan",
    "plan_text",
    "plan_training",
    "plan_update",
    "size_value",
    "step_roots",
    "training_report",
    "training_text",
    "update_groups",
    "update_plans",
]
