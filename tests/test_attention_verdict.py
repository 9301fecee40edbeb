"""Attention that looks at one place alone, tokens that are all alike, and sound attention that looks a little like either."""

import math

import pytest
import torch
import torch.nn.functional as F
from healthy_models import draw
from torch import nn

import initviz as iv

TOKENS = draw(8, 20, 64)


class Within(nn.Module):
    """nn.MultiheadAttention with a skip connection around it."""

    def __init__(self, factor=1.0, **options):
        super().__init__()
        self.attention = nn.MultiheadAttention(64, 4, batch_first=options.pop("batch_first", True), **options)
        self.out = nn.Linear(64, 10)
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight"):
            weight = getattr(self.attention, name)
            if weight is not None:
                weight.data[:128] *= factor

    def forward(self, x, **masks):
        return self.out(x + self.attention(x, x, x, **masks)[0])


class Written(nn.Module):
    """Attention of one head: a softmax that is written out, by `product`, or F.scaled_dot_product_attention with `scale`."""

    def __init__(self, width=512, factor=1.0, product="matmul", **options):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.factor, self.product, self.options = factor, product, options

    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        if self.product == "sdpa":
            return x + self.out(F.scaled_dot_product_attention(q, k, v, **self.options))
        logits = {
            "matmul": lambda: q @ k.transpose(-2, -1),
            "bmm": lambda: torch.bmm(q, k.transpose(1, 2)),
            "einsum": lambda: torch.einsum("bid,bjd->bij", q, k),
            "two axes": lambda: q @ k.mT,
        }[self.product]()
        weights = (
            (logits * self.factor).softmax(-1) if self.product == "bmm" else F.softmax(logits * self.factor, dim=2)
        )
        return x + self.out(weights @ v)


class Stack(nn.Module):
    def __init__(self, blocks, skip):
        super().__init__()
        self.blocks = nn.ModuleList(nn.MultiheadAttention(64, 4, batch_first=True) for _ in range(blocks))
        self.skip = skip

    def forward(self, x):
        for block in self.blocks:
            x = self.skip * x + block(x, x, x)[0]
        return x


def encoder(factor=1.0, before=False):
    layer = nn.TransformerEncoderLayer(64, 4, 128, 0.0, batch_first=True, norm_first=before)
    layer.self_attn.in_proj_weight.data[:128] *= factor
    return layer


def gpt2(how, factor=1.0):
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": 100, "n_positions": 64, "n_embd": 64, "n_layer": 3, "n_head": 4}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, attn_implementation=how))
    for block in model.transformer.h:
        block.attn.c_attn.weight.data[:, :128] *= factor
    return model


WORDS = torch.arange(96).reshape(3, 32) * 7 % 100
LONG = draw(8, 64, 512)
COLLAPSED = {
    "nn.MultiheadAttention": (lambda: Within(8), TOKENS),
    "without biases": (lambda: Within(8, bias=False), TOKENS),
    "nn.TransformerEncoderLayer": (lambda: encoder(8), TOKENS),
    "norm first": (lambda: encoder(8, before=True), TOKENS),
    "no 1/sqrt(d)": (Written, LONG),
    "no 1/sqrt(d), bmm": (lambda: Written(product="bmm"), LONG),
    "no 1/sqrt(d), einsum": (lambda: Written(product="einsum"), LONG),
    "scale=1": (lambda: Written(product="sdpa", scale=1.0), LONG),
    "scale=1, causal": (lambda: Written(product="sdpa", scale=1.0, is_causal=True), LONG),
}


@pytest.mark.parametrize("name", COLLAPSED)
def test_entropy_that_has_collapsed_is_saturated_and_cured(name):
    make, x = COLLAPSED[name]
    torch.manual_seed(0)
    page = iv.diagnose(make(), x)
    assert page.verdict.kind == "saturated" and "Attention" in page.verdict.why and page.verdict.layers, page
    assert "mul_" in page.remedy and page.after_verdict.kind == "stable", page
    assert page.after.attention[0].entropy > 0.7 and "logits q k^T are too large" in page.cause


@pytest.mark.parametrize("how", ["eager", "sdpa"])
def test_gpt2_with_queries_and_keys_too_large(how):
    torch.manual_seed(0)
    page = iv.diagnose(gpt2(how, 40), {"input_ids": WORDS, "labels": WORDS})
    found = page.verdict
    assert found.kind == "saturated" and "3 of 3 attentions" in found.why and len(found.layers) == 3, found
    # the columns of queries and keys alone, of a weight that is (in, out)
    assert page.remedy.count('c_attn").weight.data[..., :128]') == 3 and page.after_verdict.kind == "stable", page


def test_tokens_that_become_alike_without_skip_connections():
    torch.manual_seed(0)
    model = Stack(12, 0.0)
    found = iv.verdict(iv.probe(model, TOKENS))
    assert found.kind == "rank-collapsed" and found.layers == tuple(range(3, 13)) and "skip connection" in found.remedy
    assert iv.verdict(iv.probe(Stack(12, 0.03), TOKENS)).kind == "rank-collapsed"  # next to none
    page = iv.diagnose(model, TOKENS)
    assert not page.remedy and "mean of tokens" in page.cause


def test_tokens_that_were_alike_before_are_not_the_attentions_fault():
    torch.manual_seed(0)
    assert iv.verdict(iv.probe(Stack(12, 1.0), TOKENS[:, :1].expand(8, 20, 64) + 0.01 * TOKENS)).kind == "stable"


PADDED = torch.arange(20) >= torch.tensor([20, 20, 12, 9, 7, 5, 3, 2])[:, None]
CAUSAL = nn.Transformer.generate_square_subsequent_mask(20)
LENGTHS = (torch.arange(32) < torch.tensor([32, 9, 2])[:, None]).long()
SOUND = {
    "nn.MultiheadAttention": (Within, TOKENS),
    "two places": (Within, TOKENS[:, :2]),
    "one place": (Within, TOKENS[:, :1]),
    "without a batch": (Within, TOKENS[0]),
    "causal": (Within, {"x": TOKENS, "attn_mask": CAUSAL, "is_causal": True, "need_weights": False}),
    "causal, of booleans": (Within, {"x": TOKENS, "attn_mask": CAUSAL < 0}),
    "a mask for each head": (Within, {"x": TOKENS, "attn_mask": (CAUSAL < 0).expand(32, 20, 20).clone()}),
    "padding": (Within, {"x": TOKENS * ~PADDED[..., None], "key_padding_mask": PADDED}),
    "padding and causal": (Within, {"x": TOKENS, "key_padding_mask": PADDED, "attn_mask": CAUSAL < 0}),
    "a place for zero": (lambda: Within(add_zero_attn=True, add_bias_kv=True), TOKENS),
    "nn.TransformerEncoderLayer": (encoder, TOKENS),
    "with its padding": (encoder, {"src": TOKENS, "src_key_padding_mask": PADDED}),
    "20 skips": (lambda: Stack(20, 1.0), TOKENS),
    "written": (lambda: Written(factor=512**-0.5), LONG),
    "written, narrow, no 1/sqrt(d)": (lambda: Written(16), draw(8, 64, 16)),
    "sdpa": (lambda: Written(product="sdpa"), LONG),
    "sdpa, causal": (lambda: Written(product="sdpa", is_causal=True), LONG),
    "gpt2, eager": (lambda: gpt2("eager"), {"input_ids": WORDS, "labels": WORDS}),
    "gpt2, sdpa": (lambda: gpt2("sdpa"), {"input_ids": WORDS, "labels": WORDS}),
    "gpt2, padded": (lambda: gpt2("eager"), {"input_ids": WORDS, "attention_mask": LENGTHS}),
    "iv.transformer": (lambda: iv.models.transformer(8, 32, 4), None),
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_sound_attention_is_stable(name):
    make, x = SOUND[name]
    torch.manual_seed(0)
    model = make()
    x = draw(16, 64) if x is None else x
    report = iv.probe(model, x)
    assert iv.verdict(report).kind == "stable", iv.verdict(report)
    for attention in report.attention:
        assert math.isnan(attention.entropy) or attention.entropy > 0.5
    if name not in ("one place", "a place for zero"):
        assert report.attention and report.attention[0].layers


def masked_entropy(logits, allowed):
    weights = logits.masked_fill(~allowed, -math.inf).softmax(-1)
    number = allowed.sum(-1)
    entropy = torch.special.entr(weights).sum(-1) / number.clamp(2).log()
    return entropy[(number > 1).expand(entropy.shape)].mean().item()


@pytest.mark.parametrize("causal", [False, True])
def test_the_numbers_are_those_of_the_weights(causal):
    """Four samples, four heads and eight queries: all of them are in the sample."""
    torch.manual_seed(0)
    x = draw(4, 8, 64)
    allowed = torch.ones(8, 8, dtype=torch.bool).tril() if causal else torch.ones(8, 8, dtype=torch.bool)
    model = Within(3, bias=True)
    nn.init.normal_(model.attention.in_proj_bias)
    measured = iv.probe(model, {"x": x, "attn_mask": ~allowed}).attention[0]
    q, k, v = F.linear(x, model.attention.in_proj_weight, model.attention.in_proj_bias).chunk(3, -1)
    q, k, v = (t.unflatten(-1, (4, 16)).transpose(1, 2) for t in (q, k, v))
    logits = q @ k.mT / 4
    assert measured.entropy == pytest.approx(masked_entropy(logits, allowed), rel=1e-4)
    if not causal:
        assert measured.logit_std == pytest.approx(logits.std(-1, correction=0).mean().item(), rel=1e-4)
    unit = F.normalize(x, dim=-1)
    cosines = (unit @ unit.mT)[:, ~torch.eye(8, dtype=torch.bool)]
    assert measured.similarity == pytest.approx(cosines.mean().item(), abs=1e-5)


def test_what_is_no_attention_is_not_measured():
    class Router(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.out = nn.Linear(64, 4), nn.Linear(4, 10)

        def forward(self, x):
            mixed = (x @ x.mT / 64) @ x
            return self.out(F.softmax(100 * self.gate(mixed), dim=-1)).softmax(-1)

    assert iv.probe(Router(), TOKENS).attention == ()
