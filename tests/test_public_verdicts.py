"""No false alarm: public architectures as their authors initialize them, small, are stable, and their first loss is that of a guess.

With those of test_public_models (21) and healthy_models (23) they are some seventy. RegNet with 8 channels is left out: its squeeze layers
have 2 units, all of which can be off on a small batch.
"""

import pytest
import torch
from test_public_models import IDS, IMAGE, SCAN, SMALL, medical, public

import initviz as iv

V = {"vocab_size": 50}
LM = {"input_ids": IDS, "labels": IDS}
LAB = torch.arange(4)

FRESH = {
    "gpt_neox": (public("GPTNeoX", "GPTNeoX", suffix="ForCausalLM", **V, **SMALL), LM),
    "opt": (
        public(
            "OPT",
            "OPT",
            suffix="ForCausalLM",
            **V,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            ffn_dim=64,
            word_embed_proj_dim=32,
            pad_token_id=1,
        ),
        LM,
    ),
    "bloom": (public("Bloom", "Bloom", suffix="ForCausalLM", **V, hidden_size=32, n_layer=2, n_head=4), LM),
    "mistral": (public("Mistral", "Mistral", suffix="ForCausalLM", **V, num_key_value_heads=2, **SMALL), LM),
    "qwen2": (public("Qwen2", "Qwen2", suffix="ForCausalLM", **V, num_key_value_heads=2, **SMALL), LM),
    "gemma": (public("Gemma", "Gemma", suffix="ForCausalLM", **V, num_key_value_heads=2, head_dim=8, **SMALL), LM),
    "gemma2": (public("Gemma2", "Gemma2", suffix="ForCausalLM", **V, num_key_value_heads=2, head_dim=8, **SMALL), LM),
    "phi": (public("Phi", "Phi", suffix="ForCausalLM", **V, **SMALL), LM),
    "mixtral": (
        public("Mixtral", "Mixtral", suffix="ForCausalLM", **V, num_key_value_heads=2, num_local_experts=4, **SMALL),
        LM,
    ),
    "llama_lm": (public("Llama", "Llama", suffix="ForCausalLM", **V, num_key_value_heads=2, **SMALL), LM),
    "bert_mlm": (public("Bert", "Bert", suffix="ForMaskedLM", **V, **SMALL), LM),
    "bert_class": (
        public("Bert", "Bert", suffix="ForSequenceClassification", **V, num_labels=4, **SMALL),
        {"input_ids": IDS, "labels": LAB},
    ),
    "albert": (public("Albert", "Albert", **V, embedding_size=16, **SMALL), {"input_ids": IDS}),
    "mpnet": (public("MPNet", "MPNet", **V, max_position_embeddings=32, **SMALL), {"input_ids": IDS}),
    "deberta": (public("DebertaV2", "DebertaV2", **V, **SMALL), {"input_ids": IDS}),
    "fnet": (
        public("FNet", "FNet", **V, hidden_size=32, num_hidden_layers=2, intermediate_size=64),
        {"input_ids": IDS},
    ),
    "bart": (
        public(
            "Bart",
            "Bart",
            suffix="ForConditionalGeneration",
            **V,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            max_position_embeddings=32,
        ),
        LM,
    ),
    "t5_lm": (
        public(
            "T5",
            "T5",
            suffix="ForConditionalGeneration",
            **V,
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            decoder_start_token_id=0,
        ),
        LM,
    ),
    "mamba": (
        public("Mamba", "Mamba", suffix="ForCausalLM", **V, hidden_size=32, num_hidden_layers=2, state_size=4),
        LM,
    ),
    "vit_class": (
        public("ViT", "ViT", suffix="ForImageClassification", image_size=32, patch_size=8, num_labels=4, **SMALL),
        {"pixel_values": IMAGE, "labels": LAB},
    ),
    "deit": (public("DeiT", "DeiT", image_size=32, patch_size=8, **SMALL), IMAGE),
    "beit": (public("Beit", "Beit", image_size=32, patch_size=8, **SMALL), IMAGE),
    "dinov2": (
        public(
            "Dinov2", "Dinov2", image_size=28, patch_size=7, hidden_size=32, num_hidden_layers=2, num_attention_heads=4
        ),
        IMAGE[..., :28, :28],
    ),
    "segformer": (
        public(
            "Segformer",
            "Segformer",
            num_encoder_blocks=2,
            depths=[1, 1],
            sr_ratios=[2, 1],
            hidden_sizes=[8, 16],
            patch_sizes=[3, 3],
            strides=[2, 2],
            num_attention_heads=[1, 2],
            mlp_ratios=[2, 2],
        ),
        IMAGE,
    ),
    "segresnet": (medical("SegResNet", out_channels=2, init_filters=8), SCAN),
    "basicunet": (medical("BasicUNet", out_channels=2, features=(8, 8, 16, 16, 16, 8)), SCAN),
    "dynunet": (
        medical(
            "DynUNet",
            out_channels=2,
            kernel_size=[3, 3, 3],
            strides=[1, 2, 2],
            upsample_kernel_size=[2, 2],
            filters=[8, 16, 16],
        ),
        SCAN,
    ),
}


@pytest.mark.parametrize("name", FRESH)
def test_a_fresh_public_model_is_stable(name):
    make, x = FRESH[name]
    torch.manual_seed(0)
    report = iv.probe(make().train(), x)
    found = iv.verdict(report)
    assert found.kind == "stable" and not found.layers, found
    if report.first_loss is not None:
        # T5's tied head makes logits of variance v near 1, with which the loss is ln V + v / 2 (twelve seeds: 4.4 to 4.8; ln V = 3.9)
        within = 0.3 if name == "t5_lm" else 0.15
        assert report.loss == pytest.approx(report.first_loss.chance, rel=within)
