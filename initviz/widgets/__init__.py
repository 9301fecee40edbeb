"""Apps for notebooks: controls -> compute -> picture, one file an app."""

from initviz.widgets.explorer import Explorer, explore
from initviz.widgets.lsuv import LsuvStepper, explore_lsuv
from initviz.widgets.symmetry import SymmetryExplorer, explore_symmetry

__all__ = ["Explorer", "LsuvStepper", "SymmetryExplorer", "explore", "explore_lsuv", "explore_symmetry"]
