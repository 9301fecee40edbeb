"""The live race without a browser: it trains as a task, stops, replays, starts anew, and says what it can't do."""

import asyncio
import base64
import threading

import numpy as np
import pytest
from pictures import mark, words

import initviz as iv
from initviz.plots import race, race_figure
from initviz.plots._figure import Line
from initviz.plots._palette import color
from initviz.plots._race import LOOKS
from initviz.plots._scale import apart
from initviz.widgets import RaceExplorer
from initviz.widgets import _race as app_module
from initviz.widgets._race import EVERY


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(app_module, "STEPS", 60)


def small(**settings):
    return iv.explore_race(**({"racers": ["he_normal", "he_normal × 1.5"], "step": 0} | settings))


async def until(condition, seconds=60):
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


def others():
    return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def test_the_first_state_is_deterministic_and_has_a_picture_for_a_page_without_a_kernel():
    first, second = (iv.explore_race(["he_normal", "small_normal"], step=20) for _ in range(2))
    assert first.picture.value == second.picture.value
    bundle = first._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"] == repr(first) == (
        "Race: he_normal, small_normal; ReLU, 10 layers of 64, sgd, learning rate 0.02, seed 0; step 20 of 60"
    )  # fmt: skip
    assert first.controls["time"].value == 20 and first.result.histories["he_normal"][0].steps.tolist() == [0, 10, 20]


def test_every_control_has_a_tooltip():
    app = small()
    for widget in (*app.controls.values(), app.go, app.stop_button, app.again, app.player.button):
        assert widget.tooltip and widget.description


def test_what_it_shows_is_what_race_and_probe_give():
    app = iv.explore_race(["he_normal", "xavier_normal x 2"], step=0, activation="tanh", seed=3)
    app.go_on()
    x2 = {"scheme": "xavier_normal", "scale": 2.0}
    expected = iv.race({"he_normal": "he_normal", "xavier_normal × 2": x2}, activation="tanh", seeds=[3],
                       steps=60, batch_size=64, lr=0.02, snapshots=(30,))  # fmt: skip
    for label, (run,) in app.result.histories.items():
        np.testing.assert_array_equal(run.loss, expected.histories[label][0].loss)
        app.set(shown=label, time=30)
        snapshot = expected.histories[label][0].snapshots[30]
        np.testing.assert_array_equal(app.report.values("activation", "rms"), snapshot.values("activation", "rms"))


# Start, stop, replay


def test_it_says_how_large_the_update_of_the_layers_shown_is():
    app = small(step=20)
    run = iv.race({"he_normal": "he_normal"}, width=64, seeds=[0], steps=20, batch_size=64, lr=0.02).histories[
        "he_normal"
    ][0]
    app.controls["time"].value = 10
    assert (
        f"The update there is {run.layer_update[1].min():.1g} to {run.layer_update[1].max():.1g} of the" in app.sentence
    )
    app.go_on()  # to the end, where no update is made
    app.controls["time"].value = 60
    assert "The update" not in app.sentence


def test_it_trains_as_a_task_and_stops():
    async def session():
        threads = threading.active_count()
        app = small()
        start = app.picture.value
        app.go.click()
        assert app.running and app.go.disabled and not app.stop_button.disabled
        await until(lambda: app.step >= 20)
        assert app.picture.value != start and app.controls["time"].value == app.step
        app.stop_button.click()
        stopped = app.step
        await asyncio.sleep(0.1)
        assert app.step == stopped < 60 and not app.running and "paused" in app.words.value
        assert not others() and threading.active_count() == threads
        app.go.click()
        await until(lambda: not app.running)
        assert app.step == 60 and app.race.done and "finished" in app.words.value and app.go.description == "Start anew"
        await asyncio.sleep(0.05)
        assert not others() and threading.active_count() == threads

    asyncio.run(session())


def test_the_controls_answer_while_it_trains():
    async def session():
        app = small()
        app.go.click()
        await until(lambda: app.step >= 20)
        app.controls["time"].value = 10  # look back: the race goes on, and the time stays
        step = app.step
        await until(lambda: app.step > step)
        assert app.controls["time"].value == 10 and "at step 10" in app.words.value
        app.controls["shown"].value = "he_normal × 1.5"
        await until(lambda: "The layers of he_normal × 1.5" in app.words.value)
        await until(lambda: not app.running)
        assert app.step == 60

    asyncio.run(session())


def test_a_new_setting_stops_the_race_and_puts_another_on_the_start_line():
    async def session():
        app = small()
        app.go.click()
        await until(lambda: app.step >= 20)
        app.controls["activation"].value = "tanh"
        await until(lambda: app.step == 0)
        assert not app.running and app.controls["time"].value == 0 and "tanh" in repr(app)
        await asyncio.sleep(0.1)
        assert app.step == 0 and not others()

    asyncio.run(session())


def test_closing_the_widget_ends_its_task():
    async def session():
        app = small()
        app.go.click()
        await until(lambda: app.step >= 10)
        app.close()
        await asyncio.sleep(0.05)
        assert not others() and not app.running

    asyncio.run(session())


def test_an_error_in_the_task_is_said():
    async def session():
        app = small()
        app.race.advance = lambda: 1 / 0
        app.go.click()
        await until(lambda: not app.running)
        assert "ZeroDivisionError" in app.alarm.value and not app.go.disabled

    asyncio.run(session())


def test_play_replays_to_the_end():
    async def session():
        app = small(step=30)
        app.player.button.value = True  # from its end it starts anew
        seen = set()
        for _ in range(1000):
            seen.add(app.picture.value)
            if not app.player.button.value:
                break
            await asyncio.sleep(0.005)
        assert app.controls["time"].value == 30 and len(seen) >= 3

    asyncio.run(session())


def test_without_an_event_loop_it_runs_to_its_end_and_replays():
    app = small()
    app.go.click()
    assert app.step == 60 and not app.running
    pictures = set()
    for step in range(0, 61, EVERY):
        app.set(time=step)
        pictures.add(app.picture.value)
    assert len(pictures) == 7
    app.again.click()
    assert app.step == 0 and app.controls["time"].value == 0


def test_a_racer_that_diverges_is_marked_and_keeps_its_last_layers():
    app = small(step=30)
    at = app.result.histories["he_normal × 1.5"][0].diverged_at
    assert at is not None and at < 30
    assert f"he_normal × 1.5 diverged at step {at}" in app.sentence
    app.set(shown="he_normal × 1.5")
    assert app.report.reached


def test_racers_come_and_go():
    app = small()
    app.set(racer_3="zeros", racer_4="zeros")
    assert app.labels == ["he_normal", "he_normal × 1.5", "zeros"]  # whoever is chosen twice runs once
    app.set(shown="zeros", racer_3="nobody", racer_4="nobody")
    assert app.labels == ["he_normal", "he_normal × 1.5"] and app.controls["shown"].value == "he_normal"
    app.set(racer_2="lsuv")
    assert app.step == 0 and app.report.reached


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"racers": "he_normal"}, TypeError, "^racers: got str 'he_normal'; it takes a list"),
        ({"racers": ["he_normal"]}, ValueError, "^racers: got 1; it takes two to four"),
        ({"racers": ["zeros"] * 5}, ValueError, "^racers: got 5"),
        ({"racers": ["he_normal", "he_norml"]}, ValueError, "^racers: 'he_norml' is unknown; did you mean 'he_normal'"),
        ({"step": 61}, ValueError, "^step: got 61; a race has 60"),
        ({"step": 1.5}, TypeError, "^step: got float"),
        ({"depht": 3}, ValueError, "^settings: 'depht' is unknown; did you mean 'depth'"),
        ({"depth": 51}, ValueError, "^depth: got 51; the control takes 1 to 50"),
        ({"activation": "reul"}, ValueError, "^activation: 'reul' is unknown; did you mean 'relu'"),
        ({"optimizer": "sgdd"}, ValueError, "^optimizer: 'sgdd' is unknown; did you mean 'sgd'"),
        ({"lr": 0.03}, ValueError, "^lr: 0.03 is not a value of this control"),
    ],
)
def test_bad_input(arguments, kind, message):
    with pytest.raises(kind, match=message):
        iv.explore_race(**({"step": 0} | arguments))


def test_a_bad_setting_moves_nothing():
    app = small(step=10)
    picture = app.picture.value
    with pytest.raises(ValueError, match="^time: got 500; the control takes 0 to 10"):
        app.set(shown="he_normal × 1.5", time=500)
    assert app.controls["shown"].value == "he_normal" and app.picture.value == picture


# The pictures


def result():
    racers = {"He": "he_normal", "× 1.5": {"scale": 1.5}, "zeros": "zeros"}
    return iv.race(racers, depth=8, width=16, seeds=3, steps=40, lr=0.05)


def test_the_still_picture_draws_the_means_and_marks_who_diverged():
    found = result()
    figure = race(found, accuracy=0.5)
    loss, accuracy = figure.axes
    for label, (role, marker, _) in zip(found.histories, LOOKS):
        line = next(one for one in accuracy.lines if one.get_color() == color(role) and one.get_marker() == marker)
        steps, values = found.curve(label, "accuracy")
        np.testing.assert_allclose(line.get_ydata()[0], values[:, 0].mean())
        assert line.get_xdata().tolist() == steps.tolist()
    texts = [text.get_text() for text in loss.texts]
    assert f"■ × 1.5 ✖ {found.diverged('× 1.5')} of 3" in texts and "✖ diverged" in texts
    assert found.diverged("× 1.5") > 0


def test_the_live_picture_holds_the_curves_and_the_layers_of_one_racer():
    found = result()
    x, y = iv.digits().batch(64)
    report = iv.probe(iv.mlp(8, 16, scheme="zeros"), x, y)
    figure = race_figure(found, 40, report, "zeros", 20)
    for what, panel in zip(("loss", "accuracy"), figure.panels):
        for label in found.histories:
            steps, values = found.curve(label, what)
            line = mark(panel, Line, f"{label}: {what}")
            np.testing.assert_array_equal(line.x, steps)
            expected = np.exp(np.nanmean(np.log(values), axis=0)) if what == "loss" else values.mean(axis=0)
            np.testing.assert_allclose(line.y[:1], expected[:1])
        assert next(m for m in panel.marks if isinstance(m, Line) and m.lane and m.dash).x.tolist() == [20, 20]
    assert "▲ zeros, step 20" in words(figure.panels[2])
    assert figure.panels[2].note == "all exactly 0"


def test_labels_keep_apart():
    places = apart([0.5, 0.5, 0.52, 0.99, 0.0], 0.1, 0.03, 0.99)
    assert np.diff(sorted(places)).min() >= 0.1 - 1e-9
    assert min(places) >= 0.03 - 1e-9 and max(places) <= 0.99 + 1e-9
    assert apart([0.2, 0.8], 0.1, 0, 1) == [0.2, 0.8]
    assert isinstance(small(), RaceExplorer)
