"""Kernels that are copies of one warm process, so that a class of students shares what each kernel would import and compute again.

Python's own fork server (`multiprocessing`, start method "forkserver") imports `_warm_kernel` once: torch, IPython, initviz and a first
picture of the app. Each kernel is then forked from it, and shares its memory page by page until one of the two writes there. Linux
alone: Windows has no fork, and libraries of macOS break in what is forked.

What it can't do: use a GPU, since CUDA does not outlive a fork, so nothing may touch it before (`_classroom` hides it); and run kernels
of another Python, whatever the kernel specification says.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import threading
from importlib.metadata import EntryPoint
from multiprocessing.context import ForkServerProcess
from multiprocessing.forkserver import ensure_running
from typing import Any

from ipykernel.kernelapp import IPKernelApp
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

NAME = "initviz-fork"
APP = "INITVIZ_WARM_APP"
"""The environment variable that names the app to warm up with."""


def fork_kernels(app: str, gigabytes: float) -> None:
    """Let the Jupyter server of this process fork its kernels, from a process that has drawn the first picture of `app`.

    That process gets the environment of now, so the number of threads has to be set before. It starts at once, beside this one. No
    kernel gets more memory than `gigabytes`; nor does this process.
    """
    limit = int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    os.environ[APP] = app
    os.environ[KernelProvisionerFactory.default_provisioner_name_env] = NAME
    place = f"{__name__}:{ForkProvisioner.__name__}"
    KernelProvisionerFactory.provisioners[NAME] = EntryPoint(NAME, place, KernelProvisionerFactory.GROUP_NAME)
    multiprocessing.set_forkserver_preload(["initviz.tools._warm_kernel"])
    ensure_running()


class ForkProvisioner(LocalProvisioner):
    """Forks a kernel where `LocalProvisioner` starts Python anew, and ends it as that one does."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        assert self.parent is not None
        # Plain strings: of Voila's some are an Enum's, and to read them a kernel would import Voila
        environ = {name[:]: value[:] for name, value in kwargs["env"].items()}
        work = self.parent.connection_file, environ, kwargs.get("cwd")
        process = ForkedKernel(target=_serve, args=work, daemon=True)
        process.start()
        self.process = process  # type: ignore[assignment]
        self.pid = self.pgid = process.pid  # it leads a group, by setsid
        return self.connection_info


class ForkedKernel(ForkServerProcess):
    """A kernel's process, with the methods of `subprocess.Popen` that `LocalProvisioner` calls."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        return self.exitcode

    def wait(self) -> int | None:
        self.join()
        return self.exitcode

    def send_signal(self, number: int) -> None:
        assert self.pid is not None
        os.kill(self.pid, number)


def _serve(connection_file: str, environ: dict[str, str], folder: str | None) -> None:
    """Be a kernel, in the process that was forked for it, until it is told to end or its server has ended."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environ)
    if folder is not None:
        os.chdir(folder)
    threading.Thread(target=_end_with_server, daemon=True).start()
    ends_with_warm_process = f"--IPKernelApp.parent_handle={os.getppid()}"
    registers_widgets = "--ext=ipywidgets"  # which was imported where there was no kernel
    IPKernelApp.launch_instance(["-f", connection_file, "--log-level=ERROR", ends_with_warm_process, registers_widgets])


def _end_with_server() -> None:
    server = multiprocessing.parent_process()
    assert server is not None
    server.join()
    os._exit(1)
