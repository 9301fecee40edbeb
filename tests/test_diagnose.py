"""The check-up: sick models are named, the cause is the one that was put in, and the line of code really cures."""

import subprocess
import sys

import pytest
import sick_models
import torch
from restoring import assert_same, snapshot
from torch import nn

import initviz as iv
from initviz.__main__ import main

SICK = [  # model, kind of verdict, words of the cause, remedy
    (
        "left_at_the_default",
        "vanishing",
        r"0\.33\d*/fan_in \(PyTorch's default\); ReLU keeps its scale at 2/fan_in",
        "he_normal",
    ),
    ("all_zero", "symmetric", "start with the same weights", "he_normal"),
    ("raw_pixels", "saturated", "inputs are not of order 1", "x = (x - x.mean()) / x.std()"),
    ("weights_too_large", "exploding", r"variance is 7\.\d+/fan_in|variance is 8(\.\d+)?/fan_in", "he_normal"),
    ("overflow_in_float16", "non-finite", "float16 holds", "model.bfloat16()"),
    ("gates_stuck", "saturated", "a gate that is stuck learns nothing", "xavier_normal"),
]


@pytest.mark.parametrize(("name", "kind", "cause", "remedy"), SICK)
def test_a_sick_model_is_named_and_cured(name, kind, cause, remedy):
    import re

    model, x = getattr(sick_models, name)()
    before = snapshot(model)
    found = iv.diagnose(model, x)
    assert_same(before, snapshot(model))
    assert found.verdict.kind == kind and not found.stable
    assert iv.verdict(iv.probe(model, x)) == found.verdict
    assert re.search(cause, found.cause), found.cause
    assert remedy in found.remedy
    assert found.after_verdict.kind == "stable"
    names = {"iv": iv, "model": model, "x": x}
    exec(found.remedy, names)  # the line as a user would paste it
    assert iv.diagnose(names["model"], names["x"]).stable


def test_what_no_line_cures_is_said():
    found = iv.diagnose(*sick_models.sigmoid_all_the_way())
    assert found.verdict.kind == "vanishing" and found.remedy == "" and found.after is None
    assert "No change of the weights alone" in str(found) and found.verdict.remedy in str(found)


def test_a_remedy_is_found_in_inference_mode_too():
    model, x = sick_models.left_at_the_default()
    found = iv.diagnose(model, x)
    with torch.inference_mode():
        assert iv.diagnose(model, x).remedy == found.remedy != ""


def test_a_frozen_model_has_nothing_to_learn_better():
    model, x = sick_models.raw_pixels()
    found = iv.diagnose(model.requires_grad_(False), x, torch.arange(len(x)) % 2)
    assert found.remedy == "x = (x - x.mean()) / x.std()"


def test_a_sick_model_that_breaks_while_it_learns_is_cured_all_the_same():
    model, x = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4)), torch.randn(32, 8)
    model[2].weight.data *= 300
    start = model(x)

    def loss(output, y):
        if output.abs().max() > 50 and not torch.equal(output, start):
            raise ValueError("the probabilities are not finite")
        return nn.functional.cross_entropy(output, y)

    assert 'get_submodule("2")' in iv.diagnose(model, x, torch.arange(32) % 4, loss=loss).remedy


def test_a_healthy_model_needs_nothing():
    found = iv.diagnose(*sick_models.healthy())
    assert found.stable and found.cause == found.remedy == "" and found.after is None
    assert str(found).count("\n") == 1


def test_the_page_has_everything_in_text_and_html():
    found = iv.diagnose(*sick_models.left_at_the_default())
    for text in (str(found), repr(found), found._repr_html_()):
        for words in ("Sequential", "125,450 parameters", "VANISHING", "layers at fault", "PyTorch", "STABLE"):
            assert words in text
    assert "<code>iv.init_(model, &quot;he_normal&quot;)</code>" in found._repr_html_()


def test_a_model_that_can_not_be_copied_or_changed_is_still_judged():
    class Stubborn(nn.Sequential):
        def __deepcopy__(self, memo):
            raise RuntimeError("no copies")

    model, x = sick_models.weights_too_large()
    found = iv.diagnose(Stubborn(*model), x)
    assert found.verdict.kind == "exploding" and found.remedy == "" and found.cause


class Keeping(nn.Module):
    """Remembers its last output, of which torch makes no deep copy."""

    def __init__(self, body):
        super().__init__()
        self.body, self.last = body, None

    def forward(self, x):
        self.last = self.body(x)
        return self.last


def test_a_model_that_keeps_its_last_output_is_copied_and_cured():
    model, x = sick_models.weights_too_large()
    model = Keeping(model)
    model(x)
    before = snapshot(model)
    found = iv.diagnose(model, x)
    assert_same(before, snapshot(model))
    assert found.remedy == 'iv.init_(model, "he_normal")' and found.after_verdict.kind == "stable" and found.tried == 1


def test_it_is_told_whether_remedies_could_be_tried():
    failed = iv.diagnose(*sick_models.sigmoid_all_the_way())
    assert failed.tried >= 3 and "None could be tried" not in str(failed)

    class Stubborn(nn.Sequential):
        def __deepcopy__(self, memo):
            raise RuntimeError("no copies")

    model, x = sick_models.weights_too_large()
    found = iv.diagnose(Stubborn(*model), x)
    assert found.tried == 0
    assert "None could be tried on a copy of it." in str(found) and "No change of the weights" not in str(found)


def test_gates_are_found_through_a_wrapper():
    model, x = sick_models.gates_stuck()
    found = iv.diagnose(nn.DataParallel(model), x)
    assert found.verdict == iv.diagnose(model, x).verdict and found.verdict.layers == (1,)


def test_assert_stable():
    iv.assert_stable(*sick_models.healthy())
    model, x = sick_models.left_at_the_default()
    with pytest.raises(AssertionError, match=r"the model is not stable[\s\S]*VANISHING[\s\S]*he_normal"):
        iv.assert_stable(model, x)
    iv.assert_stable(model, x, allow=("vanishing",))
    with pytest.raises(ValueError, match="^allow: 'wobbly' is unknown"):
        iv.assert_stable(model, x, allow=("wobbly",))
    for call in (iv.diagnose, iv.assert_stable):
        with pytest.raises(ValueError, match="^model: 0 is lazy"):
            call(nn.Sequential(nn.LazyLinear(4)), torch.randn(8, 4))
    with pytest.raises(TypeError, match="^model: got str"):
        iv.diagnose("no model", torch.randn(8, 4))
    with pytest.raises(TypeError, match="^model: got str"):
        iv.assert_stable("model", x)
    with pytest.raises(ValueError, match="^x: "):
        iv.diagnose(model, x[:, :3])


@pytest.mark.parametrize(
    ("arguments", "status", "out"),
    [
        (["sick_models:healthy"], 0, "STABLE"),
        (["sick_models:left_at_the_default"], 1, "VANISHING"),
        (["sick_models:healthy_model_alone", "--shape", "16,64"], 0, "batch of 16"),
    ],
)
def test_the_command_answers_by_its_exit_code(capsys, arguments, status, out):
    assert main(["diagnose", *arguments]) == status
    assert out in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sick_models"], "model: got 'sick_models'; it takes package.module:name"),
        (["sick_models:nobody"], "model: 'sick_models:nobody' can't be loaded"),
        (["nowhere.at_all:model"], "can't be loaded"),
        (["sick_models:no_model"], "gave int; it takes a torch.nn.Module"),
        (["sick_models:healthy_model_alone"], "shape: none given"),
        (["sick_models:healthy_model_alone", "--shape", "a,b"], "shape: got 'a,b'"),
        (["sick_models:healthy_model_alone", "--shape", "16,3"], "does not fit the model"),
        (["sick_models:healthy", "--seed", "-1"], "seed: got -1"),
    ],
)
def test_the_command_refuses_in_one_line(capsys, arguments, words):
    assert main(["diagnose", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


class NoWayBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, gradient):
        raise RuntimeError("no way back")


class OneWay(nn.Linear):
    def forward(self, x):
        return NoWayBack.apply(super().forward(x))


def broken():
    raise KeyError("a bug in the user's function")


@pytest.mark.parametrize(
    ("make", "words"), [(broken, 'KeyError: "a bug in'), (lambda: OneWay(8, 3), "RuntimeError: no way back")]
)
def test_a_crash_is_not_the_verdict_not_stable(capsys, monkeypatch, make, words):
    monkeypatch.setattr(sick_models, "healthy", make)
    assert main(["diagnose", "sick_models:healthy", "--shape", "4,8"]) == 2
    assert words in capsys.readouterr().err


def test_a_module_with_a_syntax_error(capsys, monkeypatch, tmp_path):
    (tmp_path / "unfinished.py").write_text("def model(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["diagnose", "unfinished:model", "--shape", "4,8"]) == 2
    assert "SyntaxError" in capsys.readouterr().err


def test_a_page_that_can_not_be_written(capsys, tmp_path):
    assert main(["diagnose", "sick_models:healthy", "--html", str(tmp_path / "nowhere" / "page.html")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_command_runs_as_a_program_and_writes_html(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch\nmodel = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh())\n"
    )
    command = [sys.executable, "-m", "initviz", "diagnose", "mine:model", "--shape", "8,4", "--html", "page.html"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "STABLE" in done.stdout and "STABLE" in (tmp_path / "page.html").read_text()


def test_token_ids(capsys, monkeypatch):
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = nn.Embedding(7, 8), nn.Linear(8, 7)

        def forward(self, x):
            assert x.max() < 7
            return self.out(self.table(x))

    monkeypatch.setattr(sick_models, "healthy_model_alone", Tokens())
    assert main(["diagnose", "sick_models:healthy_model_alone", "--shape", "4,6", "--classes", "7"]) == 0
    capsys.readouterr()
    assert main(["diagnose", "sick_models:healthy_model_alone", "--shape", "4,6"]) == 2
    assert "give --classes too" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(3))
def test_xavier_under_relu_is_cured_in_every_layer(seed):
    """Its variance is half of He's: which layers lie on either side of a half is chance."""
    x, y = iv.digits().batch(128)
    found = iv.diagnose(iv.mlp(depth=30, width=128, activation="relu", scheme="xavier_normal", seed=seed), x, y)
    assert found.remedy == 'iv.init_(model, "he_normal")' and "SGD" not in found.after_verdict.why, found
