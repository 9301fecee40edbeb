"""`initviz classroom`: an app for a class, with a kernel for each student, from this machine.

Voila serves it: students see the app and never its code, and what their pages send to a kernel may not be code. It listens on this machine
alone, and whoever comes needs the token in the address. On Linux the kernels are forked from one warm process (`_forked_kernels`).
Needs the extra "classroom": `python -m pip install -c constraints.txt -e ".[classroom]"`.
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

import initviz
from initviz._core.arguments import look_up, real_number, whole_number
from initviz._core.extras import MissingExtra

APPS = tuple(name for name in initviz.__all__ if name.startswith("explore"))
LOOPBACK = ("127.0.0.1", "localhost", "::1")
WARNING = """\
Students' pages reach these apps and run no code of their own. To let them run notebooks is another matter: a notebook runs any code
with your rights, and belongs in a hub with a container for each student (docs/hub.md)."""
PUBLIC = """\
Listening on {ip}: everybody in the network who has the address with its token can open the apps, and what is sent is not encrypted.
Put a web server with https before it, or use the site (initviz site), which needs no server at all."""


def write_app(app: str, folder: Path) -> Path:
    """The notebook that Voila shows: one app, in a box that has no PNG for pages without a kernel, which takes longer than all else."""
    code = f"import ipywidgets\n\nimport initviz as iv\n\nipywidgets.VBox([iv.{app}()])"
    notebook = new_notebook(cells=[new_code_cell(code)])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    path = folder / f"{app}.ipynb"
    nbformat.write(notebook, path)
    return path


def environment(folder: Path) -> dict[str, str]:
    """For the kernels: one thread each, the CPU, and no history file, which many kernels would lock for each other."""
    profile = folder / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text("c.HistoryManager.enabled = False\n", encoding="utf-8")
    return {
        "IPYTHONDIR": str(folder / "ipython"),
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def voila_arguments(notebook: Path, token: str, options: argparse.Namespace) -> list[str]:
    """What Voila is started with."""
    return [
        str(notebook), "--no-browser", f"--Voila.token={token}", f"--Voila.ip={options.ip}", f"--port={options.port}",
        "--Voila.port_retries=0", f"--preheat_kernel={options.ready > 0}", f"--pool_size={options.ready}",
        f"--MappingKernelManager.cull_idle_timeout={options.idle}", "--MappingKernelManager.cull_interval=60",
    ]  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="initviz classroom", description="Serve an app to a class from this machine.", epilog=WARNING
    )
    parser.add_argument("app", nargs="?", default="explore", help=f"{', '.join(APPS)} (default: explore)")
    parser.add_argument(
        "--ip", default=LOOPBACK[0], help="address to listen on (default: %(default)s, this machine alone)"
    )
    parser.add_argument("--port", type=int, default=8866, help="default: %(default)s")
    parser.add_argument(
        "--ready", type=int, default=2, help="kernels started before anybody asks (default: %(default)s)"
    )
    parser.add_argument(
        "--idle", type=int, default=1800, help="seconds until a kernel that nobody uses is ended (default: %(default)s)"
    )
    parser.add_argument(
        "--memory",
        type=float,
        default=2,
        help="gigabytes that a kernel may take, on Linux; a picture that needs more is refused (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    try:
        look_up("app", options.app, {name: name for name in APPS})
        whole_number("ready", options.ready, least=0)
        real_number("memory", options.memory, least=1)
        _free_port(options.ip, whole_number("port", options.port, least=1))
        if find_spec("voila") is None:
            raise MissingExtra("voila", "classroom")
    except (ValueError, TypeError, MissingExtra) as error:
        print(f"initviz classroom: {error}", file=sys.stderr)
        return 2
    token = secrets.token_urlsafe(16)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        notebook = write_app(options.app, folder)
        print(WARNING)
        if options.ip not in LOOPBACK:
            print(PUBLIC.format(ip=options.ip))
        print(f"\nhttp://{options.ip}:{options.port}/?token={token}\n", flush=True)
        _serve(options.app, options.memory, voila_arguments(notebook, token, options), environment(folder))
    return 0


def _free_port(ip: str, port: int) -> None:
    """Raises ValueError for an address that can't be listened on: Voila would take another port, and what is printed would be wrong."""
    try:
        (family, *_), *_ = socket.getaddrinfo(ip, None, type=socket.SOCK_STREAM)
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            if os.name == "posix":
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((ip, port))
    except (OSError, OverflowError) as error:
        raise ValueError(f"port: got {port} on {ip}, where nobody can listen ({error})") from None


def _serve(app: str, gigabytes: float, arguments: list[str], environ: dict[str, str]) -> None:
    """Run Voila in this process, until a signal ends it with all its kernels."""
    from voila.app import Voila

    os.environ.update(environ)
    if sys.platform == "linux":
        from initviz.tools._forked_kernels import fork_kernels

        fork_kernels(app, gigabytes)
    Voila.launch_instance(arguments)
    # Or the end of Python waits ten seconds for what was said to kernels that have ended
    Voila.instance().kernel_manager.context.destroy(linger=0)
