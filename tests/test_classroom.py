"""initviz classroom: it listens on this machine alone, asks for a token that no list of processes shows, and says what it is not for."""

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

from initviz.__main__ import main
from initviz.tools import _classroom as classroom


def test_the_command_is_safe_by_default(tmp_path, monkeypatch, capsys):
    seen = {}

    def run(command, env):
        seen.update(command=command, env=env, token=Path(env["JUPYTER_TOKEN_FILE"]).read_text())
        seen["app"] = (
            nbformat.read(next(part for part in command if part.endswith(".ipynb")), as_version=4).cells[0].source
        )
        return 0

    monkeypatch.setattr(classroom, "_run", run)
    assert main(["classroom", "explore_fans", "--ready", "3"]) == 0
    token = seen["token"]
    words = capsys.readouterr().out
    assert (
        len(token) >= 16 and token not in " ".join(seen["command"]) and f"http://127.0.0.1:8866/?token={token}" in words
    )
    assert "--Voila.ip=127.0.0.1" in seen["command"] and "--pool_size=3" in seen["command"]
    assert "belongs in a hub with a container for each student" in words and "not encrypted" not in words
    assert seen["app"].endswith("iv.explore_fans()") and seen["env"]["OMP_NUM_THREADS"] == "1"
    assert main(["classroom", "--ip", "0.0.0.0"]) == 0 and "not encrypted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"), [(["exploer"], "app: 'exploer' is unknown"), (["--ready", "-1"], "ready: got -1")]
)
def test_bad_input_is_named(arguments, words, capsys):
    assert main(["classroom", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_without_voila_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setattr(classroom, "find_spec", lambda name: None)
    assert main(["classroom"]) == 2 and "initviz[classroom]" in capsys.readouterr().err


def test_whoever_has_no_token_gets_no_kernel():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "initviz", "classroom", f"--port={port}", "--ready=0"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for path in ("", "api/kernels"):
            assert "kernelId" not in _get(f"http://127.0.0.1:{port}/{path}")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)


def _get(address: str) -> str:
    """A page, or the words of a refusal; waits until the server is there."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert "login" in answer.url, "who has no token is asked for it"
                return answer.read().decode()
        except urllib.error.HTTPError as refusal:
            assert refusal.code in (401, 403, 404)
            return refusal.read().decode()
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(address)
