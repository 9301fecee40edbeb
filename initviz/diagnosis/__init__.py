"""What is wrong with a network, why, and what helps."""

from initviz.diagnosis._attention import ALIKE, ONE_PLACE
from initviz.diagnosis._diagnose import Diagnosis, assert_stable, diagnose
from initviz.diagnosis._verdict import KINDS, Verdict, verdict

__all__ = [
    "ALIKE",
    "KINDS",
    "ONE_PLACE",
    "Diagnosis",
    "Verdict",
    "assert_stable",
    "diagnose",
    "verdict",
]
