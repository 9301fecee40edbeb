"""What a user is told who lacks a package that comes with an extra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class MissingExtra(ModuleNotFoundError):
    """A package is not installed that comes with an extra of initviz; the message names the extra."""

    def __init__(self, package: str, extra: str = "notebooks") -> None:
        words = f'{package} is not installed; it comes with an extra: python -m pip install "initviz[{extra}]"'
        super().__init__(words, name=package)


@contextmanager
def from_extra(extra: str = "notebooks") -> Iterator[None]:
    """For imports of packages that come with an extra.

    Raises:
        MissingExtra: one of them is not installed.
    """
    try:
        yield
    except MissingExtra:
        raise
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("initviz"):
            raise
        raise MissingExtra(error.name.partition(".")[0], extra) from error


def pandas() -> Any:
    """pandas, loaded when a table is first asked for: that takes a third of a second.

    Raises:
        MissingExtra: it is not installed.
    """
    with from_extra():
        import pandas
    return pandas
