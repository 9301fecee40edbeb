"""What a command is doing, said on stderr: at once in a terminal, elsewhere (in CI) only of what takes long."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LOG = logging.getLogger("initviz")
"""Steps that may take long are told here, at the level INFO."""

PATIENCE = 10.0
"""Seconds after which the first line is written where stderr is no terminal. Each further line waits twice as long."""


class _Steps(logging.Handler):
    """Keeps the latest step, and shows it in a terminal as soon as it comes."""

    def __init__(self, step: str) -> None:
        super().__init__(logging.INFO)
        self.step, self.start, self.terminal = step, time.monotonic(), sys.stderr.isatty()

    def emit(self, record: logging.LogRecord) -> None:
        self.step = record.getMessage()
        if self.terminal:
            self.show()

    def show(self) -> None:
        line = f"initviz: {self.step} ({time.monotonic() - self.start:.0f} s)"
        print(
            f"\r\x1b[K{line[:100]}" if self.terminal else line,
            end="" if self.terminal else "\n",
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def progress(step: str) -> Iterator[None]:
    """Show `step`, and then the steps that come through LOG, for as long as it lasts."""
    steps, over, level = _Steps(step), threading.Event(), LOG.level

    def beat() -> None:
        wait = 1.0 if steps.terminal else PATIENCE
        while not over.wait(wait):
            steps.show()
            wait = wait if steps.terminal else 2 * wait

    thread = threading.Thread(target=beat, daemon=True)
    LOG.addHandler(steps)
    LOG.setLevel(logging.INFO)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        LOG.removeHandler(steps)
        LOG.setLevel(level)
        if steps.terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
