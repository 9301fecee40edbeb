"""`python -m benchmarks.classroom [--students N] [--seconds S]`: a class on this machine, with real kernels and real websockets.

Starts `initviz classroom`, opens its page N times at once, and lets every student move the depth slider each two seconds. Told are the time
until all have a page, the time from a new value to the new picture's bytes, and the memory of the kernels.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from http.cookiejar import CookieJar
from itertools import accumulate

import psutil
import websocket

from benchmarks.common import Table, verdict

PROTOCOL = "v1.kernel.websocket.jupyter.org"
EVERY = 2.0
"""Seconds between two values of a student."""
START, PICTURE, MEGABYTES = 20.0, 1.0, 200.0
"""Aims: seconds until all have started, seconds to a picture at the 95th percentile, megabytes a kernel (30 students in 6 GB)."""


class Student:
    """A page of the app, without a browser: its kernel's websocket, the depth slider and the picture."""

    def __init__(self, address: str, token: str) -> None:
        cookies = CookieJar()
        web = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
        page = web.open(f"{address}/?token={token}", timeout=180).read().decode()
        kernel = re.search(r'"kernelId": *"([^"]+)"', page)
        assert kernel, page[:300]
        self.session, self.times = uuid.uuid4().hex, []
        header = "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)
        channel = (
            f"{address.replace('http', 'ws')}/api/kernels/{kernel[1]}/channels?session_id={self.session}&token={token}"
        )
        self.socket = websocket.create_connection(
            channel, cookie=header, origin=address, subprotocols=[PROTOCOL], timeout=60
        )
        self._find()

    def _send(self, kind: str, content: dict, version: str = "2.1.0") -> None:
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "session": self.session,
            "username": "",
            "version": "5.3",
            "date": "",
        }
        parts = [b"shell", *(json.dumps(part).encode() for part in (header, {}, {"version": version}, content))]
        places = list(accumulate(map(len, parts), initial=8 * (len(parts) + 2)))
        self.socket.send_binary(struct.pack(f"<Q{len(places)}Q", len(places), *places) + b"".join(parts))

    def _receive(self) -> dict:
        """The content of the next message."""
        data = self.socket.recv()
        (count,) = struct.unpack_from("<Q", data)
        places = struct.unpack_from(f"<{count}Q", data, 8)
        return json.loads(data[places[4] : places[5]])  # channel, header, parent, metadata, content, buffers

    def _find(self) -> None:
        control = uuid.uuid4().hex
        self._send("comm_open", {"comm_id": control, "target_name": "jupyter.widget.control", "data": {}}, "1.0.0")
        while self._receive().get("execution_state") != "idle":
            pass
        self._send("comm_msg", {"comm_id": control, "data": {"method": "request_states"}})
        while True:
            data = self._receive().get("data", {})
            if isinstance(data, dict) and data.get("method") == "update_states":
                break
        states = {name: one["state"] for name, one in data["states"].items()}
        self.depth = next(name for name, one in states.items() if one.get("description") == "Depth" and "value" in one)
        self.value = states[self.depth]["value"]
        (self.picture,) = [name for name, one in states.items() if "_esm" in one]

    def move(self) -> None:
        """Take a new depth, and wait for its picture."""
        self.value = 31 if self.value == 30 else 30
        start = time.perf_counter()
        state = {"method": "update", "state": {"value": self.value}, "buffer_paths": []}
        self._send("comm_msg", {"comm_id": self.depth, "data": state})
        while True:
            message = self._receive()
            if message.get("comm_id") == self.picture and message["data"].get("method") == "update":
                break
        self.times.append(time.perf_counter() - start)

    def follow(self, until: float, wait: float) -> None:
        time.sleep(wait)
        while time.perf_counter() < until:
            start = time.perf_counter()
            self.move()
            time.sleep(max(0.0, EVERY - (time.perf_counter() - start)))


def measure(students: int, seconds: float, ready: int) -> Table:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "initviz", "classroom", f"--port={port}", f"--ready={ready}"]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        token = next(found[1] for line in server.stdout if (found := re.search(r"token=(\S+)", line)))
        _wait(port)
        if ready:
            time.sleep(5 + 4 * ready)  # the class comes when the kernels stand ready
        begin, there, failed = time.perf_counter(), [], []

        def come() -> None:
            try:
                there.append(Student(f"http://127.0.0.1:{port}", token))
            except Exception as error:
                failed.append(error)

        _together([threading.Thread(target=come) for _ in range(students)])
        started = time.perf_counter() - begin
        assert not failed, failed
        for student in there:
            student.move()
            student.times.clear()
        until = time.perf_counter() + seconds
        _together(
            [threading.Thread(target=one.follow, args=(until, EVERY * i / students)) for i, one in enumerate(there)]
        )
        kernels = [
            p for p in psutil.Process(server.pid).children(recursive=True) if "ipykernel" in " ".join(p.cmdline())
        ]
        memory = [kernel.memory_full_info().pss / 1e6 for kernel in kernels]
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
    times = sorted(seconds for student in there for seconds in student.times)
    late = times[int(0.95 * len(times))]
    rows = (
        ("all have started, s", f"{started:.1f}", f"<= {START:g}", verdict(started, START)),
        ("new value to picture, median, ms", f"{1000 * statistics.median(times):.0f}", "-", "-"),
        (
            "new value to picture, 95th percentile, ms",
            f"{1000 * late:.0f}",
            f"<= {1000 * PICTURE:g}",
            verdict(late, PICTURE),
        ),
        (
            "memory of a kernel, MB",
            f"{statistics.mean(memory):.0f}",
            f"<= {MEGABYTES:g}",
            verdict(statistics.mean(memory), MEGABYTES),
        ),
        (f"memory of {len(memory)} kernels, MB", f"{sum(memory):.0f}", "-", "-"),
    )
    return Table(
        f"A class of {students}, a new depth each every {EVERY:g} s for {seconds:g} s, {ready} kernels ready",
        ("what", "measured", "target", ""),
        rows,
    )


def _wait(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the server did not start")


def _together(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--ready", type=int, default=2)
    options = parser.parse_args()
    for students in options.students:
        print(measure(students, options.seconds, options.ready).text(markdown=True), flush=True)


if __name__ == "__main__":
    main()
