"""Only the newest value counts: a slider that is dragged asks for many updates and gets the last of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PAUSE, AGAIN, PATIENCE = 0.005, 0.02, 10
"""Seconds in which messages that wait for the kernel are let in before an update starts (longer when it follows another one at once: a
page holds the next value back until the kernel has answered), and how often, while they keep coming."""


class Latest:
    """Runs `action` after `request()`, once for all the requests that came while it was busy.

    In a notebook's kernel the action runs as a task of the event loop. Each message of a slider then only notes that there is
    something to do, so no queue builds up behind a slow picture. Without a running event loop the action runs at once.

    Args:
        action: what to do.
        failed: told of an error of the action when it ran as a task, where nobody would see it.
    """

    def __init__(self, action: Callable[[], None], failed: Callable[[Exception], None] | None = None) -> None:
        self._action = action
        self._failed = failed
        self._wanted = False
        self._requests = 0
        self._held = False
        self._task: asyncio.Task | None = None

    def request(self) -> None:
        """Ask for the action: soon in an event loop, at once without one."""
        self._wanted = True
        self._requests += 1
        if self._held:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run())

    @contextmanager
    def together(self) -> Iterator[None]:
        """Requests made inside are one, run at the end; after an error inside they are forgotten."""
        wanted, self._held = self._wanted, True
        try:
            yield
        except BaseException:
            self._wanted = wanted
            raise
        finally:
            self._held = False
        self.flush()

    def flush(self) -> None:
        """Run the action now, if it is wanted."""
        if self._wanted:
            self._wanted = False
            self._action()

    async def _run(self) -> None:
        pause = PAUSE
        while self._wanted:
            for _ in range(PATIENCE):
                before = self._requests
                await asyncio.sleep(pause)
                if self._requests == before:
                    break
            pause = AGAIN
            try:
                self.flush()
            except Exception as error:
                if self._failed is None:
                    raise
                self._failed(error)
