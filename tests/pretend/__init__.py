"""A device that is not there, for machines without a GPU: the CPU's memory under the name "pretend".

torch takes it for an accelerator. Tensors on it and on the CPU do not mix, numpy does not read them, a CPU's generator does not draw
on it, and the default device may be set to it: what goes wrong on a GPU for want of a move goes wrong here. What it computes, the CPU
computes. It is built with the C++ compiler, in half a minute the first time.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import ModuleType

import torch

NAME = "pretend"


def load() -> str:
    """Let torch know the device; returns its name."""
    if hasattr(torch, NAME):
        return NAME
    from torch.utils import cpp_extension

    source = str(Path(__file__).with_name("pretend.cpp"))
    cpp_extension.load(f"initviz_{NAME}", [source], extra_cflags=["-O0", "-w"], is_python_module=False)
    torch.utils.rename_privateuse1_backend(NAME)
    torch._register_device_module(NAME, _module())
    torch.utils.generate_methods_for_privateuse1_backend()
    return NAME


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
