"""Apps for notebooks: controls -> compute -> picture, one file an app."""

from initviz.widgets.explorer import Explorer, explore

__all__ = ["Explorer", "explore"]
