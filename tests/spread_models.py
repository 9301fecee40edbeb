"""Run in two processes by test_distributed.py: one model, spread in several ways, probed by both together."""

import os
import pickle
import warnings

import torch
import torch.distributed as dist
from torch import nn

import initviz as iv

CLASSES = 10


class Block(nn.Module):
    """A residual block with a convolution, to have layers of several kinds and a skip connection."""

    def __init__(self, width):
        super().__init__()
        self.first, self.second, self.norm = (
            nn.Linear(width, 2 * width),
            nn.Linear(2 * width, width),
            nn.LayerNorm(width),
        )

    def forward(self, x):
        return x + self.second(torch.relu(self.first(self.norm(x))))


def perceptron():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), Block(64), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, CLASSES))


def with_dead_units():
    """Units of the first layer that are dead on one half of the batch alone, on both and on none."""
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(4))
        model[0].bias.copy_(torch.tensor([0.0, -100.0, 0.0, 100.0]))
        model[2].weight.copy_(torch.arange(12.0).reshape(3, 4) / 12)
    return model


def convolution():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2), nn.GELU(), nn.Flatten(), nn.Linear(128, 5)
    )


def batch(seed=0):
    generator = torch.Generator(torch.get_default_device()).manual_seed(seed)
    return torch.randn(48, 64, generator=generator), torch.randint(0, CLASSES, (48,), generator=generator)


def signed():
    """Samples whose first two features are positive in the first half and negative in the second."""
    x = torch.rand(12, 4, generator=torch.Generator(torch.get_default_device()).manual_seed(0)) + 0.1
    x[6:, 0] *= -1
    x[:, 1] = 1
    return x


def images():
    return torch.randn(10, 3, 8, 8, generator=torch.Generator(torch.get_default_device()).manual_seed(3))


def attention():
    torch.manual_seed(2)
    return nn.Sequential(nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True), nn.Flatten(), nn.Linear(192, 5))


def sentences():
    return torch.randn(8, 6, 32, generator=torch.Generator(torch.get_default_device()).manual_seed(4))


KINDS = ("ddp", "fsdp", "fsdp by layer", "fsdp of a part")
CASES = {
    "perceptron": (perceptron, batch),
    "dead units": (with_dead_units, lambda: (signed(), None)),
    "convolution": (convolution, lambda: (images(), None)),
    "attention": (attention, lambda: (sentences(), None)),
}


def spread(kind, model):
    if kind == "ddp":
        return nn.parallel.DistributedDataParallel(model)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    # not on a GPU that happens to be there: the group is gloo's
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    if kind == "fsdp of a part":
        fully_shard(model[0], mesh=mesh)
        return model
    if kind == "fsdp by layer":
        for part in model:
            if list(part.parameters()):
                fully_shard(part, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def part(tensor, rank, first):
    """This rank's part of a tensor of samples: `first` of them to rank 0, the rest to rank 1."""
    return None if tensor is None else (tensor[:first] if rank == 0 else tensor[first:])


def probed(kind, case, rank):
    """The report, how the model's parameters changed, and whether the model still works."""
    make, data = CASES[case]
    x, y = data()
    model = spread(kind, make())
    first = len(x) // 2 if case != "convolution" else 7  # and once in unequal parts
    own_x, own_y = part(x, rank, first), part(y, rank, first)
    model(own_x).sum().backward()  # as in the middle of a training, with gradients that are the user's
    before = [(id(p), values(p), id(p.grad), values(p.grad)) for p in model.parameters()]
    report = iv.probe(model, own_x, own_y)
    fewer = iv.probe(model, own_x, own_y, quantities=["activation", "preactivation_gradient"])
    after = [(id(p), values(p), id(p.grad), values(p.grad)) for p in model.parameters()]
    same = all(a[::2] == b[::2] and torch.equal(a[1], b[1]) and torch.equal(a[3], b[3]) for a, b in zip(before, after))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.zero_grad()
    model(own_x).square().mean().backward()
    optimizer.step()
    return report, fewer, same


def values(tensor):
    return tensor.full_tensor().detach().clone() if hasattr(tensor, "full_tensor") else tensor.detach().clone()


def refusals():
    """What each way of refusing says."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FullyShardedDataParallel
    from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

    x = batch()[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flat = FullyShardedDataParallel(perceptron(), device_id=torch.device("cpu"))
    part_of_it = nn.Sequential(nn.parallel.DistributedDataParallel(nn.Linear(64, 64)), nn.Linear(64, 3))
    tensors = parallelize_module(perceptron(), init_device_mesh("cpu", (2,)), {"0": ColwiseParallel()})
    said = {}
    for name, call in {
        "fsdp1": lambda: iv.probe(flat, x),
        "ddp of a part": lambda: iv.probe(part_of_it, x),
        "tensor parallel": lambda: iv.probe(tensors, x),
        "lsuv_ under ddp": lambda: iv.lsuv_(spread("ddp", perceptron()), x),
        "lsuv_ under fsdp": lambda: iv.lsuv_(spread("fsdp", perceptron()), x),
    }.items():
        try:
            call()
            said[name] = "nothing"
        except ValueError as error:
            said[name] = str(error)
    return said


def initialized(kind):
    model = iv.init_(spread(kind, perceptron()), "orthogonal", seed=3, bias_std=0.1)
    return [values(p) for p in model.parameters()]


def main(rank, port, folder):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    found = {(kind, case): probed(kind, case, rank) for kind in KINDS for case in CASES}
    found["verdicts"] = [iv.verdict(report[0]).kind for report in found.values()]
    found["initialized"] = {kind: initialized(kind) for kind in ("ddp", "fsdp by layer")}
    found["refused"] = refusals()
    with open(os.path.join(folder, f"{rank}.pickle"), "wb") as file:
        pickle.dump(found, file)
    dist.destroy_process_group()
