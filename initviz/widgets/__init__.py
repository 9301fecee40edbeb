"""Apps for notebooks: controls -> compute -> picture, one file an app."""

from initviz.widgets.explorer import Explorer, explore
from initviz.widgets.symmetry import SymmetryExplorer, explore_symmetry

__all__ = ["Explorer", "SymmetryExplorer", "explore", "explore_symmetry"]
