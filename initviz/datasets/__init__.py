"""Small data sets that need no download."""

from initviz.datasets._classification import DATASETS, Data, check_data, digits, gaussian, get_dataset, mnist1d
from initviz.datasets._source_tasks import curves, mnist1d_large, mnist1d_sheared, textures

__all__ = [
    "DATASETS",
    "Data",
    "check_data",
    "curves",
    "digits",
    "gaussian",
    "get_dataset",
    "mnist1d",
    "mnist1d_large",
    "mnist1d_sheared",
    "textures",
]
