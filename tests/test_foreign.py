"""What other people's modules and wrappers do to a model while it is measured, and how that is put back or said."""

import warnings

import pretend
import pytest
import torch
from models import Net, X, draw, sequential
from restoring import assert_same, snapshot
from torch import nn
from torch.utils.checkpoint import checkpoint

import initviz as iv
from initviz._core.restore import restored

ENTRIES = {"probe": iv.probe, "lsuv_": iv.lsuv_}


# Buffers that change their size ------------------------------------------------------------------------------------------


class Resizes(nn.Module):
    """Remembers its batch in buffers, each in another way."""

    def __init__(self, how):
        super().__init__()
        self.layer, self.how = nn.Linear(8, 8), how
        self.register_buffer("seen", torch.arange(6.0).reshape(2, 3) if how != "grows from nothing" else torch.zeros(0))

    def forward(self, x):
        with torch.no_grad():
            if self.how == "set_":
                self.seen.set_(x.detach().clone())
            elif self.how == "data":
                self.seen.data = x.detach().clone()
            elif self.how == "shrinks":
                self.seen.resize_(1)
                self.seen.untyped_storage().resize_(4)
            elif self.how == "emptied":
                self.seen.untyped_storage().resize_(0)
            elif self.how == "transposed":
                self.seen.t_().mul_(2)
            else:
                self.seen.resize_(x.shape).copy_(x)
        return self.layer(x)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("how", ["resize_", "grows from nothing", "set_", "data", "shrinks", "emptied", "transposed"])
def test_a_buffer_that_changes_its_size_has_its_size_storage_and_values_again(how, entry):
    model = Resizes(how)
    model.layer.weight.grad = torch.ones(8, 8)
    size, stride, held = model.seen.shape, model.seen.stride(), model.seen.untyped_storage().nbytes()
    before = snapshot(model)
    kept = [p.detach().clone() for p in model.parameters()]
    ENTRIES[entry](model, X)
    for parameter, old in zip(model.parameters(), kept):
        parameter.data.copy_(old)  # lsuv_ is there to change them
    assert model.seen.shape == size and model.seen.stride() == stride
    assert model.seen.untyped_storage().nbytes() == held
    after = snapshot(model)
    if how in ("resize_", "shrinks", "emptied"):  # its memory was given away: it is in a new place
        before["identities"], after["identities"] = in_any_place(before, after)
    assert_same(before, after)


def in_any_place(*snapshots):
    return ({name: found[0] for name, found in one["identities"].items()} for one in snapshots)


# Outputs that are no arrays ---------------------------------------------------------------------------------------------------

OUTPUTS = {
    "sparse": (lambda h: h.to_sparse(), lambda output: output.to_dense()),
    "nested": (lambda h: torch.nested.as_nested_tensor([h[:3], h[3:]]), lambda output: torch.cat(output.unbind())),
    "jagged": (
        lambda h: torch.nested.as_nested_tensor([h[:3], h[3:]], layout=torch.jagged),
        lambda output: torch.cat(output.unbind()),
    ),
}


@pretend.lacks("sparse and nested tensors")
@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_an_output_that_is_no_array(name):
    wrap, unwrap = OUTPUTS[name]
    torch.manual_seed(0)
    layer, batch = nn.Linear(8, 6), torch.randn(16, 8)
    plain = iv.probe(layer, batch, loss=lambda h, _: h.square().sum())
    report = iv.probe(
        Net(lambda m, x: wrap(m.layer(x)), layer=layer), batch, loss=lambda h, _: unwrap(h).square().sum()
    )
    for quantity in ("preactivation", "preactivation_gradient"):
        assert report.values(quantity, "rms") == pytest.approx(plain.values(quantity, "rms"))
    assert report.loss == pytest.approx(plain.loss) and iv.verdict(report).kind == iv.verdict(plain).kind


@pytest.mark.filterwarnings("ignore")
def test_a_quantization_aware_model():
    import torch.ao.quantization as quantization

    model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4)).train()
    model.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    model = quantization.prepare_qat(model)
    model[0].weight.grad = torch.ones_like(model[0].weight)
    before = snapshot(model)
    report = iv.probe(model, draw(24, 16))
    after = snapshot(model)
    before["identities"], after["identities"] = in_any_place(before, after)
    assert_same(before, after)
    assert len(report.reached) == 2 and iv.verdict(report).kind == "stable"
    assert model(draw(24, 16)).shape == (24, 4)


class Stubborn(torch.Tensor):
    """A buffer that can't be put back."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func in (torch.Tensor.copy_, torch.equal):
            raise NotImplementedError("no copy_ of a Stubborn")
        return super().__torch_function__(func, types, args, kwargs or {})


def test_every_step_of_the_restoration_is_taken_although_one_fails():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    model[0].register_buffer("stubborn", torch.zeros(3).as_subclass(Stubborn))
    model[0].note = "as it was"
    model[2].weight.grad = torch.ones(4, 4)
    handle = model[2].register_forward_hook(lambda *_: None)
    mean, state = model[1].running_mean.clone(), torch.get_rng_state()
    with pytest.raises(NotImplementedError, match="no copy_"), restored(model, list(model.parameters()), seed=1):
        model[0].stubborn.add_(1)
        model[0].note, model[2].note = "changed", "new"
        model(torch.randn(8, 4)).sum().backward()
        model.eval()
        handle.remove()
    assert model[0].note == "as it was" and not hasattr(model[2], "note") and model[2]._forward_hooks
    assert torch.equal(model[1].running_mean, mean) and model[1].num_batches_tracked == 0 and model[1].training
    assert torch.equal(model[2].weight.grad, torch.ones(4, 4)) and model[0].weight.grad is None
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_parameter_that_changes_its_type_keeps_its_gradient(entry):
    model = two(lambda m, x: m.b(m.a.half()(x.half()).float()))
    model.a.weight.grad = torch.ones(8, 8)
    ENTRIES[entry](model, X)
    assert model.a.weight.dtype == torch.float32 and torch.equal(model.a.weight.grad, torch.ones(8, 8))


# autocast ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [
    lambda: nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)),
    lambda: nn.Sequential(nn.Conv1d(1, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(112, 4)),
], ids=["linear", "convolution"])  # fmt: skip
@pytest.mark.parametrize("orthonormal", [True, False])
def test_lsuv_under_autocast_sees_the_weights_that_it_divided(make, orthonormal):
    model = make()
    x = draw(24, 1, 16) if isinstance(model[0], nn.Conv1d) else draw(24, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(x)  # autocast now keeps copies of the weights as they were
        trace = iv.lsuv_(model, x, orthonormal=orthonormal)
        inside = model[0](x).float().var().item()
        model(x).float().square().sum().backward()
    assert not trace.missed
    assert inside == pytest.approx(1, abs=0.15) and model[0](x).var().item() == pytest.approx(1, abs=0.15)
    assert all(p.grad is not None for p in model.parameters())  # no copy without a gradient is left in the cache


def test_init_under_autocast():
    model = nn.Sequential(nn.Linear(16, 16, bias=False))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(draw(4, 16)).any()
        iv.init_(model, "zeros")
        assert not model(draw(4, 16)).any()


def test_probe_under_autocast_leaves_gradients_to_the_user():
    model = sequential()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with torch.no_grad():
            model(X)
        report = iv.probe(model, X)
        model(X).float().sum().backward()
    assert report.layers[0].weight_gradient.rms > 0 and model[0].weight.grad is not None


# The fast path of attention ----------------------------------------------------------------------------------------------


def encoder(**options):
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, **options)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=not options.get("norm_first", False)).eval()


def padded():
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[0, 4:] = mask[2, 3:] = True
    return {"src": draw(4, 6, 16), "src_key_padding_mask": mask}


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("options", [{}, {"activation": "gelu"}, {"norm_first": True}], ids=str)
def test_an_encoder_with_a_padding_mask_in_eval_mode(options, frozen):
    model = encoder(**options).requires_grad_(not frozen)
    report = iv.probe(model, padded())
    assert len(report.reached) == 6 and all(layer.preactivation_gradient is not None for layer in report.layers)
    trace = iv.lsuv_(model, padded())
    assert len(trace.done) == (0 if frozen else 4)
    assert torch.backends.mha.get_fastpath_enabled()


# Refused in a clear line ---------------------------------------------------------------------------------------------------


def twice(model, x):
    return torch.func.functional_call(model.a, {name: 2 * p for name, p in model.a.named_parameters()}, (x,))


def by_its_gradient(model, x, enabled=True):
    with torch.set_grad_enabled(enabled or torch.is_grad_enabled()):
        x = x.detach().requires_grad_()
        (force,) = torch.autograd.grad(model.a(x).tanh().sum(), x, create_graph=True)
    return model.b(force)


def two(forward):
    torch.manual_seed(0)
    return Net(forward, a=nn.Linear(8, 8), b=nn.Linear(8, 8))


NESTED = torch.nested.nested_tensor([draw(3, 8), draw(5, 8)], layout=torch.jagged)


@pytest.mark.parametrize(
    ("entry", "forward", "words"),
    [
        ("lsuv_", lambda m, x: m.b(twice(m, x)), r"^model: calls a with a weight that is not its own \(functional_call\?\).*skip=\['a'\]"),
        ("lsuv_", lambda m, x: by_its_gradient(m, x, False), "^model: its forward pass takes a gradient .*lsuv_ runs it without"),
        ("lsuv_", lambda m, x: m.b(torch.func.vmap(m.a)(x)), "^model: calls a within torch.func"),
        ("lsuv_", lambda m, x: m.b(torch.func.jvp(m.a, (x,), (x,))[1]), "^model: calls a within torch.func"),
        ("probe", lambda m, x: torch.func.jacrev(m.a)(x[0]), "^model: calls a within torch.func"),
        ("probe", lambda m, x: m.b(checkpoint(m.a, x, use_reentrant=True)), "^model: .* use_reentrant=False"),
        ("probe", lambda m, x: m.b(x) + checkpoint(m.a, x, use_reentrant=True), "^model: .* use_reentrant=False"),
        ("probe", lambda m, x: checkpoint(lambda z: m.b(m.a(z)), x, use_reentrant=True), "^model: .* use_reentrant=False"),
        ("probe", lambda m, x: m.a(NESTED).values(), "^model: the output of a is a nested tensor"),
        ("lsuv_", lambda m, x: m.a(NESTED).values(), "^model: the output of a is a nested tensor"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused_in_a_line(entry, forward, words):
    model = two(forward)
    before = snapshot(model)
    with pytest.raises(ValueError, match=words) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ENTRIES[entry](model, X)
    assert "\n" not in str(caught.value)
    assert_same(before, snapshot(model))


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_what_looks_like_it_is_measured():
    """What other methods can't take, and a probe can."""
    for forward in (twice, by_its_gradient, lambda m, x: checkpoint(m.a, x, use_reentrant=False)):
        assert iv.probe(two(forward), X).layers[0].weight_gradient.rms > 0
    for forward in (
        by_its_gradient,
        lambda m, x: checkpoint(m.a, x, use_reentrant=True),
        lambda m, x: twice(m, m.b(x)),
    ):
        assert not iv.lsuv_(two(forward), X, skip=["a"] if "twice" in forward.__code__.co_names else []).missed


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged], ids=str)
@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_nested_batch_is_refused(entry, layout):
    nested = torch.nested.nested_tensor([draw(3, 8), draw(5, 8)], layout=layout)
    for x in (nested, (nested,), {"input": nested}):
        with pytest.raises(ValueError, match="^x: has a nested tensor; .*pad"):
            ENTRIES[entry](sequential(), x)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: iv.probe(m, X),
        lambda m: iv.lsuv_(m, X),
        lambda m: iv.diagnose(m, X),
        lambda m: iv.assert_stable(m, X),
        lambda m: iv.init_(m, "orthogonal"),
    ],
    ids=["probe", "lsuv_", "diagnose", "assert_stable", "init_"],
)
def test_the_meta_device_as_a_context(call):
    model = sequential()
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"^device: .*torch.device\('meta'\)"), torch.device("meta"):
        call(model)
    assert_same(before, snapshot(model))


class Fails(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, error):
        ctx.error = error
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ctx.error


def in_place(model, x):
    h = model.a(x).sigmoid()
    y = h * 1
    h.mul_(2)
    return y + h


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        (in_place, "^model: its backward pass failed: RuntimeError: one of the variables needed .* inplace"),
        (lambda m, x: Fails.apply(m.a(x), RuntimeError("no\nkernel")), "^model: its backward pass failed: RuntimeError: no$"),
        (lambda m, x: Fails.apply(m.a(x), NotImplementedError("not here")), "failed: NotImplementedError: not here$"),
        (lambda m, x: Fails.apply(m.a(x), ValueError("of shape 3")), "failed: ValueError: of shape 3$"),
    ],
)  # fmt: skip
def test_an_error_of_the_backward_pass(forward, words):
    model = two(forward)
    before = snapshot(model)
    with pytest.raises(ValueError, match=words):
        iv.probe(model, X)
    assert_same(before, snapshot(model))


def test_out_of_memory_on_the_way_back_stays_what_it_is():
    with pytest.raises(torch.OutOfMemoryError):
        iv.probe(two(lambda m, x: Fails.apply(m.a(x), torch.OutOfMemoryError("memory"))), X)
