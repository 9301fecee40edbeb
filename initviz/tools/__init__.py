"""The commands behind `python -m initviz`."""
