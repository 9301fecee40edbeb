"""The scorecard of the verdicts: its grid, its file, and its tables. (The whole of it is `python -m benchmarks.verdicts`.)"""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import initviz as iv
from benchmarks import verdicts
from benchmarks.verdicts import Network, grid, read, results, tables

SOUND = Network("mlp", "relu", "he_normal", 1, 3)
THREE = [SOUND, Network("mlp", "relu", "zeros", 1, 3), Network("rnn", "gru", "pytorch_default", 1, 4)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("scorecard") / "verdicts.csv"
    return path, results(THREE, path, steps=20)


def test_the_grid_holds_every_family_and_fault_once_and_keeps_a_quarter_out():
    networks = grid()
    assert len(set(networks)) == len(networks) == len({str(network) for network in networks}) >= 400
    assert {network.family for network in networks} == {"mlp", "cnn", "residual", "transformer", "rnn"}
    assert {network.fault for network in networks} == set(verdicts.FAULTS)
    assert 0.2 < sum(network.held_out for network in networks) / len(networks) < 0.3


def test_a_network_is_a_function_of_its_settings():
    twice = [
        torch.nn.utils.parameters_to_vector(Network(*grid()[0].__dict__.values()).build().parameters()) for _ in "ab"
    ]
    assert torch.equal(*twice)


def test_training_is_that_of_iv_train():
    found = verdicts.trained(SOUND, steps=30)
    for optimizer, lr in (("sgd", 0.1), ("adam", 0.01)):
        history = iv.train(SOUND.build(), iv.digits(), steps=30, batch_size=verdicts.BATCH, lr=lr, optimizer=optimizer)
        assert found[f"{optimizer} {lr:g}"] == pytest.approx(history.final_accuracy, abs=0.02)


def test_rows_say_what_was_judged_and_trained(run):
    _, rows = run
    assert [row["verdict"] for row in rows] == ["stable", "symmetric", "stable"]
    assert verdicts.best(rows[0], "adam") > 0.7 > 0.2 > verdicts.best(rows[1], "adam")


def test_what_is_in_the_file_is_not_trained_again(run, monkeypatch):
    path, rows = run
    text = path.read_text()
    path.write_text(text + "mlp,relu,he_no")  # cut off while it was written
    monkeypatch.setattr(verdicts, "score", None)
    assert results(THREE, path) == rows and path.read_text() == text
    assert list(read(path)) == THREE


def test_an_executor_gives_the_same_rows(run, tmp_path):
    with ThreadPoolExecutor(1, "", torch.set_default_device, [torch.get_default_device()]) as executor:
        assert results(THREE[:1], tmp_path / "verdicts.csv", executor, steps=20) == run[1][:1]


def test_hits_misses_and_false_alarms_are_counted_and_named():
    base = {**SOUND.__dict__, "forward": 0.0, "backward": 2.4, "saturated": 0.0, "dead": 0.0, "loss": 2.3, "slow": 0.0}

    def row(verdict, sgd, adam, depth):
        rates = {
            f"{name} {lr:g}": value for name, value in (("sgd", sgd), ("adam", adam)) for lr in verdicts.RATES[name]
        }
        return base | {"depth": depth, "verdict": verdict} | rates

    rows = [
        row("stable", 0.9, 0.9, 1),
        row("stable", 0.1, 0.9, 2),
        row("vanishing", 0.1, 0.1, 3),
        row("dead", 0.8, 0.9, 4),
    ]
    everything, by_kind, _, others, named = tables(rows, 10)
    assert "4 of 10" in everything.title
    assert everything.rows[0] == ("all", 4, 1, 1, 1, 1, 1, 1, 0, 2)
    assert next(line for line in by_kind.rows if line[0] == "stable")[-1] == 1  # Adam alone
    assert [(str(line[0]), line[-1]) for line in named.rows] == [
        ("mlp relu 2, he_normal x 1", "sgd"),
        ("mlp relu 4, he_normal x 1", "sgd and adam"),
    ]
    assert (
        sum(line[2] for line in others.rows if line[0].startswith("RATIO 100,")) == 2
    )  # 10^2.4 is beyond 100 and not beyond 300
    assert sum(line[2] for line in others.rows if line[0].startswith("RATIO 300,")) == 0


def test_the_command_writes_the_page_and_makes_its_table_again_without_training(tmp_path, monkeypatch):
    first = ["--docs", str(tmp_path), "--processes", "0", "--first", "1", "--steps", "2"]
    verdicts.main(first)
    page, file = (tmp_path / "verdicts.md").read_text(), (tmp_path / "verdicts.csv").read_text()
    assert f"1 of the {len(grid())} networks" in page and "**By verdict**" in page and len(file.splitlines()) == 2
    monkeypatch.setattr(verdicts, "trained", None)
    verdicts.main(["--docs", str(tmp_path), "--table"])
    assert ((tmp_path / "verdicts.md").read_text(), (tmp_path / "verdicts.csv").read_text()) == (page, file)
