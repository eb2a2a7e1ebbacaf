"""The sections `data`, `train`, `regularize` and `prune`, checked in full: keys, kinds, names.

Nothing runs here. What a section asks for comes out as a plan, a splice, a penalty, an optimizer
group; the data section's equations come out as a graph over columns.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.model.data_section import CheckedData, DataSection
from graphc.model.program import Penalty, PrunePlan, Splice
from graphc.model.prune_section import check_prune
from graphc.model.regularize_section import check_regularize
from graphc.model.section import SectionReader
from graphc.model.train_section import CheckedTrain, check_train

__all__ = ["Checked", "check_sections"]


@dataclass(frozen=True)
class Checked:
    """Everything that the sections come to."""

    train: CheckedTrain
    splices: tuple[Splice, ...]
    penalties: tuple[Penalty, ...]
    data: CheckedData
    prune: PrunePlan


def check_sections(reader: SectionReader) -> Checked:
    """All sections of a model; what was wrong is in the diagnostics."""
    train = check_train(reader)
    splices, penalties = check_regularize(reader)
    data = DataSection(reader).check()
    return Checked(train, splices, penalties, data, check_prune(reader, train.frozen))
