"""`init_` on models from elsewhere: what it draws, what it leaves and says so, and each layer type's own default."""

import math
import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import initviz as iv
from initviz.initializers import SCHEMES

DRAWN = [name for name, scheme in SCHEMES.items() if not scheme.data_driven]


# Frozen parameters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAWN)
def test_frozen_parameters_stay_as_they_are(name):
    model = nn.Sequential(
        nn.Linear(8, 8), nn.ReLU(), nn.Conv1d(1, 4, 3), nn.ConvTranspose1d(4, 4, 2, stride=2), nn.LSTM(16, 8), nn.BatchNorm1d(3),
        nn.Embedding(3, 4), nn.MultiheadAttention(8, 2), nn.Linear(8, 4),
    )  # fmt: skip
    for module in model:
        for number, parameter in enumerate(module.parameters()):
            parameter.requires_grad_(number % 2 == 1)  # the biases of most
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    frozen = {n: p.detach().clone() for n, p in model.named_parameters() if not p.requires_grad}
    iv.init_(model, name, bias_std=0.1)
    after = dict(model.named_parameters())
    assert all(torch.equal(after[n], value) for n, value in frozen.items())
    assert torch.allclose(after["0.bias"].mean(), torch.tensor(0.0), atol=0.5)  # a bias is no part of its frozen weight


def test_a_frozen_layer_does_not_change_the_draws_of_the_others():
    free, frozen = (nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)) for _ in range(2))
    frozen[0].requires_grad_(False)
    iv.init_(free, "he_normal", seed=4), iv.init_(frozen, "he_normal", seed=4)
    assert torch.equal(free[1].weight, frozen[1].weight) and not torch.equal(free[0].weight, frozen[0].weight)


def test_a_model_that_is_all_frozen_is_left_and_it_is_said():
    model = nn.Linear(4, 4).requires_grad_(False)
    before = model.weight.clone()
    with pytest.warns(UserWarning, match="every weight is frozen"):
        assert iv.init_(model, "zeros") is model
    assert torch.equal(model.weight, before)


# Shared, pruned and computed weights ---------------------------------------------------------------------------------------


def test_of_a_shared_weight_the_bias_of_each_layer_is_set():
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    model[2].weight = model[0].weight
    model[4].weight, model[4].bias = model[0].weight, model[2].bias
    for parameter in model.parameters():
        nn.init.constant_(parameter, 3.0)
    iv.init_(model, "he_normal")
    assert all(not layer.bias.any() and layer.weight.std() > 0 for layer in model[::2])


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_the_bias_of_a_pruned_layer_is_set(name):
    layer = nn.Linear(8, 8)
    nn.init.constant_(layer.bias, 3.0)
    prune.random_unstructured(layer, name, 0.5)
    iv.init_(layer, "he_normal")
    assert not dict(layer.named_parameters())["bias" if name == "weight" else "bias_orig"].any()


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@pytest.mark.parametrize(
    "model",
    [
        lambda: nn.utils.weight_norm(nn.LSTM(3, 4), "weight_hh_l0"), lambda: nn.utils.weight_norm(nn.Linear(3, 4)),
        lambda: nn.utils.spectral_norm(nn.Conv1d(3, 4, 3)),
    ],
)  # fmt: skip
def test_a_weight_that_older_norms_compute_is_refused(model):
    model = model()
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(ValueError, match="^model: .* computes its weight from others"):
        iv.init_(model, "he_normal")
    assert all(map(torch.equal, before, model.parameters()))


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@pytest.mark.parametrize("name", DRAWN)
def test_a_layer_without_inputs_or_outputs_is_no_error(name):
    model = nn.Sequential(nn.Linear(3, 0), nn.Linear(0, 3))
    iv.init_(model, name)
    assert not model[1].bias.any()  # as torch has it


# Other people's layers ----------------------------------------------------------------------------------------------------


def gpt2(tied=True):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=50, n_positions=16, n_embd=24, n_layer=2, n_head=2, tie_word_embeddings=tied)
    torch.manual_seed(0)
    return GPT2LMHeadModel(config)


def test_gpt2s_own_linear_layers_are_drawn_and_its_embedding_is_left():
    model = gpt2()
    embedding = model.transformer.wte.weight.clone()
    with pytest.warns(
        UserWarning, match=r"^init_ left lm_head.weight \(it is the weight of the embedding transformer.wte\)$"
    ):
        iv.init_(model, "xavier_normal")
    assert torch.equal(model.transformer.wte.weight, embedding)
    for block in model.transformer.h:
        for layer in (block.attn.c_attn, block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj):
            n_in, n_out = layer.weight.shape
            assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / (n_in + n_out)), rel=0.1)
            assert not layer.bias.any()


def test_a_head_of_its_own_is_drawn():
    model = gpt2(tied=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        iv.init_(model, "he_normal")
    assert model.lm_head.weight.std().item() == pytest.approx(math.sqrt(2 / 24), rel=0.1)


def test_conv1d_counts_its_inputs_by_its_first_axis():
    from transformers.pytorch_utils import Conv1D

    layer = iv.init_(Conv1D(400, 100), "he_normal")  # 100 inputs, 400 outputs
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / 100), rel=0.02)
    assert iv.init_(Conv1D(400, 100), "he_normal", mode="fan_out").weight.std().item() == pytest.approx(
        math.sqrt(2 / 400), rel=0.02
    )
    weight = iv.init_(Conv1D(40, 100), "orthogonal").weight.detach()
    torch.testing.assert_close(weight.T @ weight, torch.eye(40), atol=1e-5, rtol=0)
    layer = Conv1D(30, 30)
    x = torch.randn(64, 30, generator=torch.Generator(torch.get_default_device()).manual_seed(0)) * 5
    trace = iv.lsuv_(layer, x)
    assert trace.done[0].variance_after == pytest.approx(1, abs=0.1)
    assert iv.probe(Conv1D(40, 100), torch.randn(4, 100)).layers[0].fan_in == 100


def test_what_another_kind_of_layer_owns_is_left_and_said():
    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4, 4))

        def forward(self, x):
            return x @ self.weight

    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.positions = nn.Linear(4, 4), nn.Parameter(torch.ones(3, 4))

    model = nn.Sequential(
        nn.Linear(4, 4), Table(), nn.Bilinear(4, 4, 4), nn.Embedding(3, 4), nn.LayerNorm((3, 4)), Positions()
    )
    with pytest.warns(
        UserWarning, match=r"^init_ left 1.weight \(a Table is no layer that a scheme draws\), 2.weight \(a Bilinear"
    ):
        iv.init_(model, "zeros")
    assert (model[1].weight == 1).all() and model[2].weight.any() and model[3].weight.any()


@pytest.mark.parametrize("options", [{"kdim": 8, "vdim": 8}, {"kdim": 8}, {"add_bias_kv": True}, {}], ids=str)
def test_every_bias_of_attention(options):
    attention = nn.MultiheadAttention(16, 2, **options)
    nn.init.constant_(attention.in_proj_bias, 5.0)
    nn.init.constant_(attention.out_proj.bias, 5.0)
    iv.init_(attention, "xavier_uniform")
    assert not attention.in_proj_bias.any() and not attention.out_proj.bias.any()
    iv.init_(attention, "xavier_uniform", bias_std=0.5)
    assert attention.in_proj_bias.std().item() == pytest.approx(0.5, rel=0.4)


# Each layer type's own default ---------------------------------------------------------------------------------------------

KINDS = {
    "linear": lambda: nn.Linear(60, 90),
    "convolution": lambda: nn.Conv2d(6, 12, 3, groups=2, stride=2),
    "transposed": lambda: nn.ConvTranspose1d(16, 64, 4, stride=2),
    "embedding": lambda: nn.Embedding(50, 40, padding_idx=3),
    "bag": lambda: nn.EmbeddingBag(50, 40),
    "lstm": lambda: nn.LSTM(20, 30, 2),
    "gru": lambda: nn.GRU(20, 30, bidirectional=True),
    "cell": lambda: nn.RNNCell(40, 50),
    "attention": lambda: nn.MultiheadAttention(32, 4),
    "attention with kdim": lambda: nn.MultiheadAttention(32, 4, kdim=16, vdim=24, add_bias_kv=True),
    "encoder layer": lambda: nn.TransformerEncoderLayer(32, 4, 64),
    "transformer": lambda: nn.Transformer(16, 2, 1, 1, 32),
    "batch norm": lambda: nn.BatchNorm1d(12),
    "layer norm": lambda: nn.LayerNorm((3, 4)),
    "group norm": lambda: nn.GroupNorm(2, 8),
    "bilinear": lambda: nn.Bilinear(20, 30, 10),
    "prelu": lambda: nn.PReLU(3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_pytorchs_default_is_each_layer_types_own(kind):
    model = nn.Sequential(KINDS[kind](), nn.Linear(2, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(7.0)
        for buffer in model.buffers():
            buffer.fill_(3)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    iv.init_(model, "pytorch_default", seed=2)
    assert torch.equal(states[0], torch.get_rng_state()) and states[1] == random.getstate()
    first = {n: v.clone() for n, v in model.state_dict().items()}
    torch.manual_seed(5)
    iv.init_(model, "pytorch_default", seed=2)
    assert all(torch.equal(first[n], v) for n, v in model.state_dict().items())  # the seed alone decides
    fresh = nn.Sequential(KINDS[kind](), nn.Linear(2, 2)).state_dict()
    for name, value in first.items():
        new = fresh[name].double()
        value = value.double()
        assert not (value == 7).any(), name
        if value.numel() < 100 or new.std() == 0:
            assert (new.std() == 0) == (value.std() == 0), name
            if new.std() == 0:
                assert torch.equal(value, new), name
            continue
        assert value.std().item() == pytest.approx(new.std().item(), rel=0.25), name
        if new.abs().max() < 2:  # uniform draws: the bound tells formulas apart
            assert value.abs().max().item() == pytest.approx(new.abs().max().item(), rel=0.1), name
    other = iv.init_(nn.Sequential(KINDS[kind](), nn.Linear(2, 2)), "pytorch_default", seed=3).state_dict()
    assert any(not torch.equal(first[n], v) for n, v in other.items())


def test_two_layers_of_one_kind_get_different_draws():
    model = iv.init_(
        nn.ModuleList([nn.LSTM(8, 8), nn.LSTM(8, 8), nn.Embedding(4, 4), nn.Embedding(4, 4)]), "pytorch_default"
    )
    assert not torch.equal(model[0].weight_hh_l0, model[1].weight_hh_l0)
    assert not torch.equal(model[2].weight, model[3].weight)


def test_a_scale_and_a_bias_std_go_on_top_of_the_default():
    plain, scaled = (nn.GRU(16, 16) for _ in range(2))
    iv.init_(plain, "pytorch_default"), iv.init_(scaled, "pytorch_default", scale=3.0, bias_std=0.5)
    torch.testing.assert_close(scaled.weight_hh_l0, 3 * plain.weight_hh_l0)
    assert (scaled.bias_hh_l0 - plain.bias_hh_l0).std().item() == pytest.approx(0.5, rel=0.3)


def test_a_subclass_with_a_default_of_its_own():
    class Halves(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3, 3))
            self.reset_parameters()

        def reset_parameters(self):
            nn.init.uniform_(self.weight, -0.5, 0.5)

    class Takes(nn.Linear):
        pass

    model = iv.init_(nn.Sequential(Halves(), Takes(3, 3)), "pytorch_default")
    assert model[0].weight.std() > 0


def test_the_default_leaves_a_tied_embedding_as_an_embedding_starts():
    model = nn.ModuleDict({"table": nn.Embedding(200, 50), "head": nn.Linear(50, 200, bias=False)})
    model["head"].weight = model["table"].weight
    iv.init_(model, "pytorch_default")
    assert model["table"].weight.std().item() == pytest.approx(1, rel=0.05)


def test_norms_are_only_reset_by_pytorchs_default_and_frozen_ones_never():
    norm = nn.BatchNorm1d(4)
    with torch.no_grad():
        norm.weight.fill_(5), norm.running_mean.fill_(2)
    iv.init_(nn.Sequential(nn.Linear(4, 4), norm), "he_normal")
    assert (norm.weight == 5).all()
    norm.requires_grad_(False)
    iv.init_(nn.Sequential(nn.Linear(4, 4), norm), "pytorch_default")
    assert (norm.weight == 5).all() and (norm.running_mean == 2).all()


def test_a_diagnosis_keeps_to_itself_what_its_remedies_leave():
    model = nn.Sequential(nn.Embedding(9, 8), nn.Flatten(), nn.Linear(24, 8), nn.Linear(8, 9, bias=False))
    model[3].weight = model[0].weight
    with torch.no_grad():
        model[2].weight.zero_()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        iv.diagnose(
            model, torch.randint(0, 9, (5, 3), generator=torch.Generator(torch.get_default_device()).manual_seed(0))
        )
