"""Weights that others trained: ImageNet CNNs, BERT and GPT-2, from the Hugging Face hub or from a file. No pickle is ever read.

The packages that know the architectures are optional: `pip install 'initviz[models]'` brings transformers, and
`pip install 'initviz[torchvision]'` torchvision. What can't be had is said in one message, see `ModelUnavailable`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from safetensors import SafetensorError
from torch import nn

from initviz._core.arguments import look_up, switch
from initviz._core.restore import random_states
from initviz.models._checkpoint import PICKLES, load_safetensors_, safe


@dataclass(frozen=True)
class PublicModel:
    """A network that can be loaded with its weights.

    Attributes:
        name: the key in PUBLIC_MODELS.
        label: its name for people, with the size of its file.
        package: what knows its architecture, "torchvision" or "transformers".
        builder: the class or function of that package.
        repository: where the hub keeps the weights, as safetensors.
        source: the paper, and what it was trained on.
    """

    name: str
    label: str
    package: str
    builder: str
    repository: str
    source: str


_HE = "He et al. 2016; ImageNet-1k, 1.28 million photographs in 1,000 classes"
PUBLIC_MODELS = {
    m.name: m
    for m in [
        PublicModel("resnet18", "ResNet-18 (47 MB)", "torchvision", "resnet18", "timm/resnet18.tv_in1k", _HE),
        PublicModel("resnet34", "ResNet-34 (87 MB)", "torchvision", "resnet34", "timm/resnet34.tv_in1k", _HE),
        PublicModel("resnet50", "ResNet-50 (102 MB)", "transformers", "ResNetForImageClassification", "microsoft/resnet-50", _HE),
        PublicModel(
            "bert", "BERT base, uncased (440 MB)", "transformers", "BertModel", "google-bert/bert-base-uncased",
            "Devlin et al. 2019; books and the English Wikipedia",
        ),
        PublicModel(
            "gpt2", "GPT-2 small (548 MB)", "transformers", "GPT2LMHeadModel", "openai-community/gpt2",
            "Radford et al. 2019; 40 GB of web pages",
        ),
    ]
}  # fmt: skip
"""Every public model by name."""


class ModelUnavailable(RuntimeError):
    """Weights or a package are missing. The first sentence says which model, the next why, the last what to do."""


def public_model(
    name: str, path: str | Path | None = None, *, offline: bool = False, cache: str | Path | None = None
) -> nn.Module:
    """The public model called `name` with its pretrained weights, in eval mode, on torch's default device.

    Weights come from `path`, or from the hub's cache on this machine, or over the network, in this order.

    Args:
        name: a key in PUBLIC_MODELS.
        path: a .safetensors file for a torchvision model; for the others a folder with config.json and model.safetensors, as
            their `save_pretrained` writes it. Any size of the same architecture will do.
        offline: don't use the network.
        cache: folder of the hub's cache; its own default if left out.
    Raises:
        ModelUnavailable: the package or the weights can't be had here; the message says what to do.
        TypeError, ValueError: an unknown name; a pickle, or a file that is damaged or does not fit.
    """
    model = look_up("name", name, PUBLIC_MODELS)
    if path is not None:
        path = safe(path)
        _refuse_folder_of_pickles(path)
    else:
        path = _fetch(model, switch("offline", offline), cache)
    package = _package(model)
    # the packages draw from the global random state, and without accelerate transformers loads onto the CPU alone
    with random_states(), torch.device("cpu"):
        of_its_package = _torchvision_model if model.package == "torchvision" else _transformers_model
        net = of_its_package(model, package, path)
    return net.eval().to(torch.get_default_device())


def _torchvision_model(model: PublicModel, package: ModuleType, path: Path) -> nn.Module:
    net = getattr(package.models, model.builder)(weights=None)
    return load_safetensors_(net, path / "model.safetensors" if path.is_dir() else path)


def _transformers_model(model: PublicModel, package: ModuleType, path: Path) -> nn.Module:
    if not (path / "config.json").is_file() or not any(path.glob("*.safetensors")):
        raise ValueError(f"path: {path} is no folder with config.json and model.safetensors, which {model.label} takes")
    options = {"local_files_only": True, "use_safetensors": True, "trust_remote_code": False, "weights_only": True}
    try:
        net, found = getattr(package, model.builder).from_pretrained(path, output_loading_info=True, **options)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"path: {path.name} can't be read as {model.builder}: {reason}") from error
    lacking = sorted(map(str, [*found["missing_keys"], *found["mismatched_keys"]]))
    if lacking:
        raise ValueError(f"path: {path.name} does not fit {model.builder}: it lacks {', '.join(lacking[:3])}")
    return net


def _fetch(model: PublicModel, offline: bool, cache: str | Path | None) -> Path:
    """The folder of the model's files in the hub's cache, downloaded if need be."""
    missing = f"{model.label}: its weights are not on this machine"
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise ModelUnavailable(
            f"{missing}. The package huggingface-hub, which fetches them, is missing too. "
            "Install it with: pip install 'initviz[models]'"
        ) from None
    wanted = {"allow_patterns": ["config.json", "model.safetensors"], "cache_dir": cache}
    try:
        folder = hub.snapshot_download(model.repository, local_files_only=True, **wanted)
        if (Path(folder) / "model.safetensors").is_file():
            return Path(folder)
    except Exception:
        pass
    help_ = (
        f"Connect once, and they stay in the cache; or fetch {model.repository} elsewhere and give its place as path=."
    )
    if offline:
        raise ModelUnavailable(f"{missing}. The network was not asked (offline=True). {help_}")
    try:
        return Path(hub.snapshot_download(model.repository, etag_timeout=10, **wanted))
    except Exception as error:  # of the hub, of its HTTP client or of the system, by the way in which it failed
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(". ")
        raise ModelUnavailable(f"{missing}. The hub can't be reached ({reason}). {help_}") from error


def _package(model: PublicModel) -> ModuleType:
    """The package that knows the architecture; every way in which it can fail to load, in one message."""
    extra = {"transformers": "models", "torchvision": "torchvision"}[model.package]
    try:
        package = importlib.import_module(model.package)
        getattr(
            package if model.package == "transformers" else importlib.import_module("torchvision.models"), model.builder
        )
        return package
    except ModuleNotFoundError as error:
        if error.name != model.package:
            raise _unfit(model, error) from error
        raise ModelUnavailable(
            f"{model.label}: its architecture is not on this machine. The package {model.package} is missing. "
            f"Install it with: pip install 'initviz[{extra}]'"
        ) from None
    except (ImportError, RuntimeError, OSError) as error:
        raise _unfit(model, error) from error


def _unfit(model: PublicModel, error: BaseException) -> ModelUnavailable:
    while error.__cause__:  # transformers wraps what went wrong
        error = error.__cause__
    packages = " or ".join(dict.fromkeys([model.package, "torchvision"]))
    return ModelUnavailable(
        f"{model.label}: its architecture can't be loaded. The installed {packages} does not fit torch {torch.__version__} "
        f"({str(error).splitlines()[0]}). Install builds of torch and torchvision from the same index."
    )


def _refuse_folder_of_pickles(path: Path) -> None:
    if path.is_dir() and not any(path.glob("*.safetensors")):
        for file in sorted(path.iterdir()):
            if file.suffix.lower() in PICKLES:
                safe(file)
