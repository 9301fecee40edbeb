"""Training many networks at once, and what a race, a sweep or a transfer of them gives."""

from initviz.training._history import History, RaceResult
from initviz.training._loop import OPTIMIZERS, batch_index, train
from initviz.training._mup import mup_groups
from initviz.training._race import Race, race
from initviz.training._stack import Stack, evaluating
from initviz.training._sweep import sweep
from initviz.training._transfer import STRATEGIES, TransferResult, few_labels, in_words, transfer

__all__ = [
    "OPTIMIZERS",
    "STRATEGIES",
    "History",
    "Race",
    "RaceResult",
    "Stack",
    "TransferResult",
    "batch_index",
    "evaluating",
    "few_labels",
    "in_words",
    "mup_groups",
    "race",
    "sweep",
    "train",
    "transfer",
]
