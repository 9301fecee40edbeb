"""A device that is not there, for machines without a GPU: the CPU's memory under the name "pretend".

torch takes it for an accelerator. Tensors on it and on the CPU do not mix, numpy does not read them, a CPU's generator does not draw
on it, and the default device may be set to it: what goes wrong on a GPU for want of a move goes wrong here. What it computes, the CPU
computes, but a seed draws other numbers, and convolutions round their inputs as newer GPUs do. Sparse tensors it has none. The C++ compiler
builds it, in half a minute the first time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import ModuleType

import pytest
import torch

NAME = "pretend"


def load() -> str:
    """Let torch know the device; returns its name."""
    if hasattr(torch, NAME):
        return NAME
    torch.ops.load_library(build())
    torch.utils.rename_privateuse1_backend(NAME)
    torch._register_device_module(NAME, _module())
    torch.utils.generate_methods_for_privateuse1_backend()
    return NAME


def here() -> bool:
    """Whether it is the default device."""
    return torch.get_default_device().type == NAME


def lacks(what: str) -> pytest.MarkDecorator:
    """Marks a test of what a GPU has and this device has not."""
    return pytest.mark.skipif(here(), reason=f"the pretended device has no {what}")


def compiler() -> str | None:
    """The C++ compiler's path, if there is one."""
    return shutil.which(os.environ.get("CXX", "c++"))


def build() -> Path:
    """The library, kept for this source and this torch."""
    from torch.utils.cpp_extension import include_paths, library_paths

    source = Path(__file__).with_name("pretend.cpp")
    key = hashlib.sha256(source.read_bytes() + torch.__version__.encode() + str(torch.__path__).encode()).hexdigest()[
        :16
    ]
    library = Path(tempfile.gettempdir(), f"initviz-{NAME}-{key}.so")
    if not library.exists():
        with tempfile.TemporaryDirectory() as folder:
            new = Path(folder, library.name)
            command = [compiler(), "-std=c++20", "-O0", "-w", "-shared", "-fPIC", str(source), "-o", str(new)]
            command += [f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"]
            command += [flag for path in include_paths() for flag in ("-isystem", path)]
            command += [f"-L{path}" for path in library_paths()] + ["-lc10", "-ltorch_cpu", "-ltorch"]
            subprocess.run(command, check=True)
            shutil.copy(new, library.with_suffix(f".{os.getpid()}"))
        library.with_suffix(f".{os.getpid()}").replace(library)
    return library


def _module() -> ModuleType:
    """What torch.cuda is for CUDA. Random numbers come from a state of its own."""
    module = ModuleType(f"torch.{NAME}")
    module.is_available = lambda: True
    module.is_initialized = lambda: True
    module.device_count = lambda: 1
    module.current_device = lambda: 0
    module.device = lambda device: contextlib.nullcontext()
    module.get_rng_state = lambda device=0: torch.ops.pretend.get_rng_state()
    module.set_rng_state = lambda state, device=0: torch.ops.pretend.set_rng_state(state)
    module.manual_seed = module.manual_seed_all = lambda seed: torch.ops.pretend.manual_seed(seed % 2**63)
    module._is_in_bad_fork = lambda: False
    module.get_amp_supported_dtype = lambda: [torch.float16, torch.bfloat16]
    return module
