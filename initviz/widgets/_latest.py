"""Only the newest value counts: a slider that is dragged asks for many updates and gets the last of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PAUSE, PATIENCE = 0.005, 10
"""Seconds in which messages that wait for the kernel are let in before an update starts, and how many of them at most."""
BEHIND, ROUND_TRIP = 0.1, 0.05
"""A request so soon after an update waited for it, and a newer value may wait behind it: a page sends the next message when the kernel
has answered the last one. It is given the time of one such round trip."""


class Latest:
    """Runs `action` after `request()`, once for all the requests that came while it was busy.

    In a notebook's kernel the action runs as a task of the event loop. Each message of a slider then only notes that there is
    something to do, so no queue builds up behind a slow picture. Without a running event loop the action runs at once.

    Args:
        action: what to do.
        failed: told of an error of the action when it ran as a task, where nobody would see it.
        ahead: what may be done for the next action after the last one in an event loop: in short steps, between which requests are let
            in, and the first one ends it; None where there is nothing.
    """

    def __init__(
        self,
        action: Callable[[], None],
        failed: Callable[[Exception], None] | None = None,
        ahead: Callable[[], Iterator[None] | None] = lambda: None,
    ) -> None:
        self._action = action
        self._failed = failed
        self._ahead = ahead
        self._wanted = False
        self._ended = -math.inf
        self._came: asyncio.Event | None = None
        self._held = False
        self._task: asyncio.Task | None = None

    def request(self) -> None:
        """Ask for the action: soon in an event loop, at once without one."""
        self._wanted = True
        if self._came is not None:
            self._came.set()
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
        loop = asyncio.get_running_loop()
        while self._wanted:
            behind = loop.time() - self._ended < BEHIND
            await self._gather(*((ROUND_TRIP, 2) if behind else (PAUSE, PATIENCE)))
            try:
                self.flush()
            except Exception as error:
                if self._failed is None:
                    raise
                self._failed(error)
            self._ended = loop.time()
            ahead = None if self._wanted else self._ahead()
            if ahead is not None and not await self._asked_within(BEHIND):  # what was made is on its way to the page
                for _ in ahead:
                    if await self._asked_within(0):
                        break

    async def _asked_within(self, seconds: float) -> bool:
        """Let requests come in for so long, or until there is one."""
        came = self._came = asyncio.Event()
        with suppress(TimeoutError):
            await (asyncio.wait_for(came.wait(), seconds) if seconds else asyncio.sleep(0))
        return came.is_set()

    async def _gather(self, pause: float, most: int) -> None:
        """Let requests come in until none does for `pause` seconds, or so many have come; those at once count as one."""
        for _ in range(most):
            if not await self._asked_within(pause):
                return
            await asyncio.sleep(PAUSE)
