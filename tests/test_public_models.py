"""Models that no one here wrote: probe, verdict and diagnose run on them unchanged, and each comes back as it was.

Randomly initialized from small configurations of public libraries' own classes; nothing is downloaded.
"""

import pytest
import torch
from restoring import assert_same, snapshot
from torch import nn

import initviz as iv
from initviz.diagnosis import KINDS

transformers = pytest.importorskip("transformers")
nets = pytest.importorskip("monai.networks.nets")

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
IDS = torch.randint(0, 50, (4, 12), generator=torch.Generator(torch.get_default_device()).manual_seed(0))
IMAGE = torch.randn(4, 3, 32, 32, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
SCAN = torch.randn(4, 1, 32, 32, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
SEQUENCE = torch.randn(4, 12, 32, generator=torch.Generator(torch.get_default_device()).manual_seed(0))


def public(name, config, *, suffix="Model", **settings):
    def make():
        made = getattr(transformers, f"{config}Config")(**settings)
        return getattr(transformers, f"{name}{suffix}")(made)

    return make


def medical(name, **settings):
    return lambda: getattr(nets, name)(spatial_dims=2, in_channels=1, **settings)


MODELS = {
    "bert": (public("Bert", "Bert", vocab_size=50, **SMALL), {"input_ids": IDS}),
    "roberta": (public("Roberta", "Roberta", vocab_size=50, max_position_embeddings=32, **SMALL), {"input_ids": IDS}),
    "distilbert": (public("DistilBert", "DistilBert", vocab_size=50, dim=32, n_layers=2, n_heads=4, hidden_dim=64), {"input_ids": IDS}),
    "gpt2": (
        public("GPT2", "GPT2", suffix="LMHeadModel", vocab_size=50, n_embd=32, n_layer=2, n_head=4),
        {"input_ids": IDS, "labels": IDS},
    ),
    "llama": (public("Llama", "Llama", vocab_size=50, num_key_value_heads=2, **SMALL), {"input_ids": IDS}),
    "t5": (
        public("T5", "T5", vocab_size=50, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4),
        {"input_ids": IDS, "decoder_input_ids": IDS},
    ),
    "vit": (public("ViT", "ViT", image_size=32, patch_size=8, **SMALL), IMAGE),
    "swin": (public("Swin", "Swin", image_size=32, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4), IMAGE),
    "resnet": (public("ResNet", "ResNet", embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"), IMAGE),
    "convnext": (public("ConvNext", "ConvNext", hidden_sizes=[8, 16], depths=[1, 1], num_stages=2), IMAGE),
    "mobilenet": (public("MobileNetV2", "MobileNetV2", image_size=32, depth_multiplier=0.25), IMAGE),
    "electra": (public("Electra", "Electra", vocab_size=50, embedding_size=16, **SMALL), {"input_ids": IDS}),
    "unet": (medical("UNet", out_channels=3, channels=(8, 16, 32), strides=(2, 2), num_res_units=2), SCAN),
    "attention_unet": (medical("AttentionUnet", out_channels=3, channels=(8, 16, 32), strides=(2, 2)), SCAN),
    "densenet": (medical("DenseNet", out_channels=3, init_features=8, growth_rate=4, block_config=(2, 2)), SCAN),
    "vnet": (medical("VNet", out_channels=2), SCAN),
    "lstm": (lambda: nn.LSTM(32, 16, num_layers=2, batch_first=True, bidirectional=True), SEQUENCE),
    "gru": (lambda: nn.GRU(32, 16, batch_first=True), SEQUENCE),
    "transformer": (lambda: nn.Transformer(32, 4, 2, 2, 64, batch_first=True), (SEQUENCE, SEQUENCE)),
    "attention": (lambda: nn.MultiheadAttention(32, 4, batch_first=True), (SEQUENCE, SEQUENCE, SEQUENCE)),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", MODELS)
def test_a_public_model_is_probed_and_comes_back_as_it_was(name, mode):
    make, x = MODELS[name]
    torch.manual_seed(0)
    model = make().train(mode == "train")
    before = snapshot(model)
    report = iv.probe(model, x)
    assert len(report.reached) >= 1 and all(layer.preactivation.nonfinite == 0 for layer in report.reached)
    assert any(layer.preactivation_gradient is not None for layer in report.reached)
    assert_same(before, snapshot(model))


@pytest.mark.parametrize("name", MODELS)
def test_a_public_model_is_diagnosed(name):
    make, x = MODELS[name]
    torch.manual_seed(0)
    model = make().train()  # as it will be trained: batch normalization in eval mode normalizes nothing before training
    before = snapshot(model)
    page = iv.diagnose(model, x)
    assert type(model).__name__ in str(page) and page.verdict.kind in KINDS
    assert page.stable, str(page)  # as their authors initialize them, none of these is sick
    assert_same(before, snapshot(model))


@pytest.mark.parametrize("name", ["bert", "vit", "resnet", "lstm", "transformer"])
def test_a_public_model_is_initialized_by_name(name):
    make, x = MODELS[name]
    torch.manual_seed(0)
    model = make().eval()
    iv.init_(model, "xavier_uniform", seed=1)
    first = iv.probe(model, x)
    iv.init_(model, "xavier_uniform", seed=1)
    assert iv.probe(model, x).loss == first.loss


@pytest.mark.parametrize("name", ["bert", "vit", "resnet", "transformer"])
def test_lsuv_runs_on_a_public_model(name):
    make, x = MODELS[name]
    torch.manual_seed(0)
    model = make().eval()
    trace = iv.lsuv_(model, x)
    assert any(layer.skipped is None for layer in trace.layers)
