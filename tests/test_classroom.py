"""initviz classroom: it listens on this machine alone, asks for a token, runs no code of a page, and says what it is not for."""

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import psutil
import pytest

from benchmarks.classroom import Student, is_kernel
from initviz.__main__ import main
from initviz.tools import _classroom as classroom


def test_the_command_is_safe_by_default(monkeypatch, capsys):
    seen = {}

    def serve(app, gigabytes, arguments, environ):
        seen.update(app=app, gigabytes=gigabytes, arguments=arguments, environ=environ)
        seen["code"] = nbformat.read(arguments[0], as_version=4).cells[0].source

    monkeypatch.setattr(classroom, "_serve", serve)
    monkeypatch.setattr(classroom, "_free_port", lambda ip, port: None)
    assert main(["classroom", "explore_fans", "--ready", "3"]) == 0
    words = capsys.readouterr().out
    (token,) = re.findall(r"http://127\.0\.0\.1:8866/\?token=(\S{16,})", words)
    assert {f"--Voila.token={token}", "--Voila.ip=127.0.0.1", "--pool_size=3"} < set(seen["arguments"])
    assert "belongs in a hub with a container for each student" in words and "not encrypted" not in words
    assert seen["app"] == "explore_fans" and seen["gigabytes"] == 2 and "iv.explore_fans()" in seen["code"]
    assert seen["environ"]["OMP_NUM_THREADS"] == "1" and not seen["environ"]["CUDA_VISIBLE_DEVICES"]
    assert main(["classroom", "--ip", "0.0.0.0"]) == 0 and "not encrypted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["exploer"], "app: 'exploer' is unknown"),
        (["--ready", "-1"], "ready: got -1"),
        (["--memory", "0.1"], "memory: got 0.1"),
        (["--port", "70000"], "port: got 70000"),
    ],
)
def test_bad_input_is_named(arguments, words, capsys):
    assert main(["classroom", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_without_voila_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setattr(classroom, "find_spec", lambda name: None)
    assert main(["classroom"]) == 2 and "initviz[classroom]" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["classroom", f"--port={port}"]) == 2
    assert f"port: got {port}" in capsys.readouterr().err


@pytest.fixture
def server():
    """A server without kernels in reserve, its port and its token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "initviz", "classroom", f"--port={port}", "--ready=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process, port, next(found[1] for line in process.stdout if (found := re.search(r"token=(\S+)", line)))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_whoever_has_no_token_gets_no_kernel(server):
    process, port, token = server
    for path in ("", "api/kernels"):
        assert "kernelId" not in _get(f"http://127.0.0.1:{port}/{path}")
    assert not any(token in " ".join(one.cmdline()) for one in _all(process)), "others can read a command's arguments"
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)


def test_a_page_moves_its_sliders_and_runs_no_code(server, tmp_path):
    _, port, token = server
    _get(f"http://127.0.0.1:{port}/")
    student = Student(f"http://127.0.0.1:{port}", token)
    made = tmp_path / "made"
    content = {"code": f"open({str(made)!r}, 'w')", "silent": False, "user_expressions": {}, "allow_stdin": False}
    content |= {"cursor_pos": 0, "detail_level": 0, "command": "evaluate", "type": "request"}
    for kind in ("execute_request", "inspect_request", "complete_request", "debug_request"):
        for channel in ("shell", "control"):
            student.send(kind, content, channel=channel)
    student.move()
    student.move()
    assert len(student.times) == 2 and not made.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")
def test_kernels_are_forked_from_a_process_of_one_thread_and_end_with_the_server(server):
    process, port, token = server
    _get(f"http://127.0.0.1:{port}/")
    students = [Student(f"http://127.0.0.1:{port}", token) for _ in range(2)]
    first, second = (one for one in _all(process) if is_kernel(one))
    warm = first.parent()
    assert second.parent() == warm and warm.num_threads() == 1
    loaded, shared = ({one.path for one in process.memory_maps() if ".so" in one.path} for process in (first, warm))
    assert shared and loaded <= shared, "a kernel loads nothing of its own"
    memory = first.memory_full_info()
    assert memory.uss < 0.4 * memory.rss
    assert "history.sqlite" not in {Path(file.path).name for one in (first, second) for file in one.open_files()}
    students[0].move()
    started = _all(process)
    process.kill()
    _, alive = psutil.wait_procs(started, timeout=20)
    assert not alive


def _all(process: subprocess.Popen) -> list[psutil.Process]:
    root = psutil.Process(process.pid)
    return [root, *root.children(recursive=True)]


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
