"""Public models from files of their own format, tiny and made here; no pickle is read; what is missing is said in one message."""

import builtins
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pretend
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn

import initviz as iv
from initviz.experiments._public_weights import FIRST_BLOCK
from initviz.models._checkpoint import load_safetensors_

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 60}
IDS = torch.arange(10)[None]


@pytest.fixture
def seeded():
    torch.manual_seed(0)


def bert():
    return transformers.BertForPreTraining(transformers.BertConfig(**SMALL))  # the published file has these heads too


def gpt2():
    config = transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=60, bos_token_id=0, eos_token_id=0)
    return transformers.GPT2Model(config)  # the published file has no "transformer." before its names


def resnet50():
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=5)
    return transformers.ResNetForImageClassification(config)


MADE = {"bert": bert, "gpt2": gpt2, "resnet50": resnet50}


@pytest.fixture
def saved(tmp_path, seeded):
    """name -> (folder, the model that was saved into it)"""

    def save(name):
        model = MADE[name]()
        model.save_pretrained(tmp_path / name)
        assert sorted(p.name for p in (tmp_path / name).iterdir()) == ["config.json", "model.safetensors"]
        return tmp_path / name, model.eval()

    return save


class Harm:
    """A pickle that leaves a trace if it is ever read."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return builtins.open, (str(self.trace), "w")


# Formats -------------------------------------------------------------------------------------------------------------------


def test_bert_from_its_files(saved):
    folder, model = saved("bert")
    net = iv.models.public_model("bert", folder)
    assert isinstance(net, transformers.BertModel) and not net.training
    with torch.no_grad():
        assert torch.equal(net(IDS).last_hidden_state, model.bert(IDS).last_hidden_state)
        assert torch.equal(net(IDS).pooler_output, model.bert(IDS).pooler_output)


@pretend.lacks("way to move a parameter that leaves it the same object")
def test_gpt2_from_its_files(saved):
    folder, model = saved("gpt2")
    net = iv.models.public_model("gpt2", str(folder))
    assert isinstance(net, transformers.GPT2LMHeadModel) and not net.training
    assert net.lm_head.weight is net.transformer.wte.weight
    with torch.no_grad():
        assert torch.equal(net(IDS).logits, model(IDS).last_hidden_state @ model.wte.weight.T)


def test_an_imagenet_cnn_from_its_files(saved):
    folder, model = saved("resnet50")
    net = iv.models.public_model("resnet50", folder)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(net(x).logits, model(x).logits)


def test_it_can_be_probed_as_any_module(saved):
    net = iv.models.public_model("gpt2", saved("gpt2")[0])
    report = iv.probe(net, {"input_ids": IDS, "labels": IDS})
    assert report.loss > 0 and any("attn" in layer.name for layer in report.layers)


def test_the_global_random_state_stays(saved):
    folder, _ = saved("bert")
    before = torch.get_rng_state()
    iv.models.public_model("bert", folder)
    assert torch.equal(before, torch.get_rng_state())


class Block(nn.Module):
    """torchvision.models.resnet.BasicBlock, with its names."""

    def __init__(self, n, m, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(n, m, 3, stride, 1, bias=False), nn.BatchNorm2d(m)
        self.conv2, self.bn2 = nn.Conv2d(m, m, 3, 1, 1, bias=False), nn.BatchNorm2d(m)
        self.downsample = (
            nn.Sequential(nn.Conv2d(n, m, 1, stride, bias=False), nn.BatchNorm2d(m)) if stride > 1 else None
        )

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet(nn.Module):
    """A tiny torchvision.models.ResNet, with its names."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False), nn.BatchNorm2d(4)
        self.layer1, self.layer2 = nn.Sequential(Block(4, 4, 1)), nn.Sequential(Block(4, 8, 2))
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        return self.fc(self.layer2(self.layer1(x)).mean((2, 3)))


@pytest.mark.parametrize("counters", [True, False])
def test_torchvisions_names_as_safetensors(tmp_path, seeded, counters):
    model, x = ResNet(), torch.randn(4, 3, 32, 32)
    model(x)  # moves the norms' running statistics
    state = {
        k: v for k, v in model.state_dict().items() if counters or "num_batches" not in k
    }  # the first files had none
    assert "layer2.0.downsample.1.running_var" in state
    save_file(state, tmp_path / "resnet.safetensors")
    net = load_safetensors_(ResNet(), tmp_path / "resnet.safetensors")
    with torch.no_grad():
        assert torch.equal(net.eval()(x), model.eval()(x))


def test_torchvisions_resnet18_or_one_message(tmp_path):
    try:
        from torchvision.models import resnet18
    except (ImportError, RuntimeError):
        with pytest.raises(
            iv.models.ModelUnavailable, match=r"^ResNet-18 \(47 MB\): its architecture .*torchvision.* [Ii]nstall"
        ):
            iv.models.public_model("resnet18", tmp_path / "resnet18.safetensors")
        return
    model = resnet18(weights=None)
    save_file(model.state_dict(), tmp_path / "resnet18.safetensors")
    net, x = iv.models.public_model("resnet18", tmp_path / "resnet18.safetensors"), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(net(x), model.eval()(x))


# No pickle -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".bin", ".pt", ".pth", ".ckpt", ".pkl", ".PTH"])
@pytest.mark.parametrize("name", ["resnet18", "bert"])
def test_a_pickle_is_refused_by_its_ending_unread(tmp_path, name, ending):
    file = tmp_path / f"weights{ending}"
    file.write_bytes(pickle.dumps(Harm(tmp_path / "trace")))
    with pytest.raises(ValueError, match=f"path: weights{ending} is a pickle, .* take the .safetensors file"):
        iv.models.public_model(name, file)
    assert not (tmp_path / "trace").exists()


def test_a_pickle_beside_the_weights_or_in_their_place_is_not_read(tmp_path, saved):
    folder, model = saved("bert")
    harm = pickle.dumps(Harm(tmp_path / "trace"))
    (folder / "pytorch_model.bin").write_bytes(harm)
    net = iv.models.public_model("bert", folder)
    assert torch.equal(net.embeddings.word_embeddings.weight, model.bert.embeddings.word_embeddings.weight)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="path: pytorch_model.bin is a pickle"):
        iv.models.public_model("bert", folder)
    (folder / "pytorch_model.bin").rename(folder / "model.safetensors")
    with pytest.raises(ValueError, match="path: bert can't be read as BertModel"):
        iv.models.public_model("bert", folder)
    assert not (tmp_path / "trace").exists()


def test_code_that_comes_with_a_checkpoint_is_not_run(tmp_path, saved):
    folder, _ = saved("bert")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "harm.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "harm.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w')\n")
    assert isinstance(iv.models.public_model("bert", folder), transformers.BertModel)
    assert not (tmp_path / "trace").exists()


# What does not fit ---------------------------------------------------------------------------------------------------------


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path, saved):
    folder, _ = saved("bert")
    state = load_file(folder / "model.safetensors")
    state.pop("bert.encoder.layer.1.attention.self.query.weight")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ValueError, match="path: bert does not fit BertModel: it lacks encoder.layer.1.attention.self.query.weight"
    ):
        iv.models.public_model("bert", folder)
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match="is no folder with config.json and model.safetensors"):
        iv.models.public_model("bert", folder)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("bertt", ValueError, "name: 'bertt' is unknown; did you mean 'bert'"),
        (3, TypeError, "name: got int"),
    ],
)
def test_an_unknown_name_lists_the_near_ones(name, error, words):
    with pytest.raises(error, match=words):
        iv.models.public_model(name)


def test_entries_are_complete():
    for name, entry in iv.models.PUBLIC_MODELS.items():
        assert entry.name == name and entry.label and entry.source and entry.repository.count("/") == 1
        assert entry.package == "torchvision" or hasattr(transformers, entry.builder)


# What is missing -----------------------------------------------------------------------------------------------------------

NOT_HERE = r"^BERT base, uncased \(440 MB\): its weights are not on this machine\. "


def test_without_the_network_it_is_one_message(tmp_path):
    with pytest.raises(
        iv.models.ModelUnavailable, match=NOT_HERE + r"The network was not asked \(offline=True\)\. Connect once"
    ):
        iv.models.public_model("bert", offline=True, cache=tmp_path)


@pytest.mark.parametrize("setting", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_a_network_that_fails_is_one_message(tmp_path, setting):
    """127.0.0.1:9 refuses every connection; both settings are read when the hub's package is imported, so in a process of its own."""
    call = f"iv.models.public_model('bert', cache={str(tmp_path)!r})"
    code = f"import initviz as iv\ntry: {call}\nexcept iv.models.ModelUnavailable as e: print(e)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | setting, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith(
        "BERT base, uncased (440 MB): its weights are not on this machine. The hub can't be reached ("
    )
    assert line.endswith("or fetch google-bert/bert-base-uncased elsewhere and give its place as path=.")


def test_what_is_in_the_cache_needs_no_network(tmp_path, saved):
    folder, model = saved("bert")
    repository = tmp_path / "cache" / "models--google-bert--bert-base-uncased"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    Path(folder).rename(snapshot)
    net = iv.models.public_model("bert", offline=True, cache=tmp_path / "cache")
    assert torch.equal(net.embeddings.word_embeddings.weight, model.bert.embeddings.word_embeddings.weight)


def test_what_is_found_on_this_machine_is_looked_at_and_what_is_not_is_none(tmp_path, saved):
    """Tiny checkpoints in a cache of the hub's own form, under the names of the real ones."""
    at = {
        "bert": ("google-bert/bert-base-uncased", "bert.encoder.layer.0"),
        "gpt2": ("openai-community/gpt2", "h.0"),
        "resnet50": ("microsoft/resnet-50", "resnet.encoder.stages.0.layers.0"),
    }
    expected = {}
    for name, (repository, block) in at.items():
        assert iv.models.PUBLIC_MODELS[name].repository == repository
        folder, model = saved(name)
        place = tmp_path / "cache" / f"models--{repository.replace('/', '--')}"
        (place / "snapshots").mkdir(parents=True)
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text("0" * 40)
        Path(folder).rename(place / "snapshots" / ("0" * 40))
        expected[name] = iv.experiments.weight_shapes(model.get_submodule(block), "xavier_normal")
    found = iv.experiments.public_weights(tmp_path / "cache")
    assert list(found) == list(iv.models.PUBLIC_MODELS) and found["resnet18"] is found["resnet34"] is None
    for name, shapes in expected.items():
        assert [(s.name, s.shape, s.std) for s in found[name]] == [(s.name, s.shape, s.std) for s in shapes] != []
    assert set(iv.experiments.public_weights(tmp_path / "empty").values()) == {None}


def test_the_block_that_is_looked_at_is_one_of_the_resnet_that_torchvision_has(tmp_path):
    nets = pytest.importorskip("torchvision.models")
    for name in ("resnet18", "resnet34"):
        assert len(iv.experiments.weight_shapes(nets.get_model(name).get_submodule(FIRST_BLOCK[name]))) == 2


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (
            "huggingface_hub",
            r"its weights are not on this machine\. The package huggingface-hub.* pip install 'initviz\[models\]'$",
        ),
        (
            "transformers",
            r"its architecture is not on this machine\. The package transformers is missing\. .*'initviz\[models\]'$",
        ),
    ],
)
def test_a_missing_package_is_one_message(monkeypatch, saved, missing, words):
    folder, _ = saved("bert")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(iv.models.ModelUnavailable, match=r"^BERT base, uncased \(440 MB\): " + words):
        iv.models.public_model("bert", folder if missing == "transformers" else None)


def test_a_torchvision_of_another_build_is_one_message(monkeypatch, tmp_path):
    """As PyPI's torchvision, built for CUDA, beside a torch built for CPUs."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(
        iv.models.ModelUnavailable, match=r"torchvision does not fit torch .*nms does not exist.*from the same index\.$"
    ):
        iv.models.public_model("resnet18", tmp_path / "w.safetensors")


def test_the_packages_are_not_loaded_before_they_are_asked_for():
    code = "import sys, initviz; print([m for m in ('transformers', 'torchvision', 'huggingface_hub') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
