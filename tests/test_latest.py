"""Only the newest value counts: what a dragged slider asks for while the last picture is still being made."""

import asyncio
import time

import pytest

from initviz.widgets._latest import PATIENCE, PAUSE, Latest


class Slider:
    """A value, and an action that takes a while and notes which values it saw."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.value, self.seen, self.seconds = 0, [], seconds
        self.latest = Latest(self.act)

    def act(self) -> None:
        time.sleep(self.seconds)
        self.seen.append(self.value)

    def move(self, value: int) -> None:
        self.value = value
        self.latest.request()

    async def settled(self) -> None:
        while self.latest._task is not None and not self.latest._task.done():
            await asyncio.sleep(PAUSE)


def test_without_an_event_loop_each_request_runs_at_once():
    slider = Slider()
    for value in range(3):
        slider.move(value)
        assert slider.seen == list(range(value + 1))


def test_requests_of_one_burst_are_one_update_with_the_newest_value():
    slider = Slider()

    async def drag():
        for value in range(50):
            slider.move(value)
        assert slider.seen == []  # a message only notes what is wanted
        await slider.settled()

    asyncio.run(drag())
    assert slider.seen == [49]


def test_messages_that_waited_are_all_let_in_before_the_next_update():
    """A slow update holds up the loop; the messages behind it come one by one, each after a turn of the loop."""
    slider = Slider(seconds=0.05)

    async def drag():
        slider.move(1)
        while not slider.seen:
            await asyncio.sleep(0)
        for value in range(2, 30):
            slider.move(value)
            await asyncio.sleep(0)
        await slider.settled()

    asyncio.run(drag())
    assert slider.seen[0] == 1 and slider.seen[-1] == 29
    assert len(slider.seen) <= 3  # of 29 messages


def test_a_drag_without_end_still_moves_the_picture():
    slider = Slider()

    async def drag():
        for value in range(6 * PATIENCE):
            slider.move(value)
            await asyncio.sleep(PAUSE / 2)
        moved = len(slider.seen)
        await slider.settled()
        return moved

    assert asyncio.run(drag()) >= 1
    assert slider.seen[-1] == 6 * PATIENCE - 1 and slider.seen == sorted(slider.seen)


def test_a_request_during_the_action_is_not_lost():
    slider = Slider()
    slider.latest = latest = Latest(lambda: (slider.act(), slider.move(7) if slider.value != 7 else None))

    async def main():
        slider.move(1)
        await slider.settled()

    asyncio.run(main())
    assert slider.seen == [1, 7] and not latest._wanted


def test_together_is_one_update():
    slider = Slider()
    with slider.latest.together():
        slider.move(1)
        slider.move(2)
        assert slider.seen == []
    assert slider.seen == [2]
    with slider.latest.together():
        pass
    assert slider.seen == [2]


def test_after_an_error_inside_together_what_it_asked_for_is_forgotten():
    slider = Slider()
    with pytest.raises(KeyError), slider.latest.together():
        slider.move(1)
        raise KeyError
    slider.latest.flush()
    assert slider.seen == []
    slider.move(3)
    assert slider.seen == [3]


def test_an_error_of_a_task_is_told_and_the_next_request_works():
    told, seen = [], []

    def act():
        seen.append(len(seen))
        if len(seen) == 1:
            raise ValueError("once")

    latest = Latest(act, told.append)

    async def main():
        for _ in range(2):
            latest.request()
            while not latest._task.done():
                await asyncio.sleep(PAUSE)

    asyncio.run(main())
    assert seen == [0, 1] and [str(error) for error in told] == ["once"]


def test_without_a_loop_an_error_reaches_the_caller():
    def act():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Latest(act, lambda error: None).request()


class Ahead(Slider):
    """One that has 20 short steps to do for the next action."""

    def __init__(self) -> None:
        super().__init__()
        self.steps, self.latest = 0, Latest(self.act, ahead=self.ahead)

    def ahead(self):
        for _ in range(20):
            self.steps += 1
            yield


def test_what_can_be_done_ahead_is_done_when_nothing_is_asked_for():
    slider = Ahead()

    async def move():
        slider.move(1)
        while not slider.seen:
            await asyncio.sleep(0)
        assert slider.steps == 0  # what was made goes to the page first
        await slider.settled()

    asyncio.run(move())
    assert (slider.seen, slider.steps) == ([1], 20)
    slider.move(2)  # without an event loop there is no pause
    assert (slider.seen, slider.steps) == ([1, 2], 20)


@pytest.mark.parametrize("steps", [0, 3])
def test_a_request_is_not_kept_waiting_by_what_is_done_ahead(steps):
    slider = Ahead()

    async def move():
        slider.move(1)
        while not slider.seen or slider.steps < steps:
            await asyncio.sleep(0)
        slider.move(2)
        began = time.perf_counter()
        while len(slider.seen) < 2:
            await asyncio.sleep(0)
        assert slider.steps <= steps + 1 and time.perf_counter() - began < 1
        await slider.settled()

    asyncio.run(move())
    assert slider.seen == [1, 2] and slider.steps <= steps + 21
