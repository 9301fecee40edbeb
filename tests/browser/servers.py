"""Chromium's options, and a Jupyter or Voila server: for the browser tests and for the benchmarks."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
]  # fmt: skip
LAB = [
    "jupyterlab", "--no-browser", "--allow-root", "--IdentityProvider.token=", "--LabApp.extension_manager=readonly",
    "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.expose_app_in_browser=True",
]  # fmt: skip
RUN_ALL = """async () => {
    const context = jupyterapp.shell.currentWidget.sessionContext;
    await context.ready;
    await context.session.kernel.info;
    await jupyterapp.commands.execute('notebook:run-all-cells');
}"""
"""In a page of JupyterLab: runs its notebook."""
SETTINGS = {"@jupyterlab/apputils-extension/notification.jupyterlab-settings": '{"fetchNews": "false"}'}
START_SECONDS = 120


def chromium() -> str | None:
    """Its path, or None."""
    return next((p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None)


def start(command: list[str], folder: Path, home: Path) -> tuple[subprocess.Popen, str]:
    """Start `python -m COMMAND` in a folder on a free port, with Jupyter's own files in `home`: (the process, its address).

    Raises:
        RuntimeError: it did not start; with what it said.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {f"JUPYTER_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    places |= {f"JUPYTERLAB_{kind}_DIR": str(home / kind) for kind in ("SETTINGS", "WORKSPACES")}
    places |= {"OMP_NUM_THREADS": "1"}  # two workers share two cores
    for name, words in SETTINGS.items():
        (home / "SETTINGS" / name).parent.mkdir(parents=True)
        (home / "SETTINGS" / name).write_text(words)
    log = (home / "log").open("w+")
    server = subprocess.Popen(
        [sys.executable, "-m", *command, f"--port={port}"],
        cwd=folder, env=os.environ | places, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit and server.poll() is None:
        try:
            with urllib.request.urlopen(address + "/api", timeout=5):
                return server, address
        except urllib.error.HTTPError:
            return server, address
        except OSError:
            time.sleep(0.1)
    end(server)
    raise RuntimeError(f"{command[0]} did not start:\n{(home / 'log').read_text()}")


def end(server: subprocess.Popen) -> None:
    """End a server that `start` started, and what it started in turn: it leads a process group of its own."""
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(timeout=10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
