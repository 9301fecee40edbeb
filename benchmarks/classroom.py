"""`python -m benchmarks.classroom [--students N ...] [--seconds S] [--write]`: a class on this machine, with real kernels and websockets.

For each N it starts `initviz classroom`, opens its page once, as the lecturer does, then N times at once, and lets every student move the
depth slider by one step each two seconds. Students' pages are threads of this program without a browser, on the same processors.
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
from dataclasses import dataclass
from datetime import date
from http.cookiejar import CookieJar
from itertools import accumulate
from pathlib import Path

import psutil
import websocket

from benchmarks.common import Table, machine, verdict

PAGE = Path(__file__).resolve().parent.parent / "docs" / "lecturers.md"
MARKS = re.compile(r"(<!-- class -->\n).*?(<!-- end of class -->)", re.S)
PROTOCOL = "v1.kernel.websocket.jupyter.org"
EVERY = 2.0
"""Seconds between two values of a student."""
WALK = [*range(30, 35), *range(35, 25, -1), *range(25, 30)]
"""The depths that a student takes, round and round."""
START, PICTURE, MEGABYTES = 20.0, 1.0, 200.0
"""Aims: seconds until all have started, seconds to a picture at the 95th percentile, megabytes for each student (30 in 6 GB)."""


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

    def send(self, kind: str, content: dict, version: str = "2.1.0", channel: str = "shell") -> None:
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "session": self.session,
            "username": "",
            "version": "5.3",
            "date": "",
        }
        parts = [channel.encode(), *(json.dumps(part).encode() for part in (header, {}, {"version": version}, content))]
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
        self.send("comm_open", {"comm_id": control, "target_name": "jupyter.widget.control", "data": {}}, "1.0.0")
        while self._receive().get("execution_state") != "idle":
            pass
        self.send("comm_msg", {"comm_id": control, "data": {"method": "request_states"}})
        while True:
            data = self._receive().get("data", {})
            if isinstance(data, dict) and data.get("method") == "update_states":
                break
        states = {name: one["state"] for name, one in data["states"].items()}
        self.depth = next(name for name, one in states.items() if one.get("description") == "Depth" and "value" in one)
        self.at = WALK.index(states[self.depth]["value"])
        (self.picture,) = [name for name, one in states.items() if "_esm" in one]

    def move(self) -> None:
        """Take the next depth, and wait for its picture."""
        self.at = (self.at + 1) % len(WALK)
        start = time.perf_counter()
        state = {"method": "update", "state": {"value": WALK[self.at]}, "buffer_paths": []}
        self.send("comm_msg", {"comm_id": self.depth, "data": state})
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


@dataclass(frozen=True)
class Class:
    """What was measured of one class: seconds, and megabytes. Memory is PSS: a page that n processes share counts 1/n in each."""

    students: int
    first_page: float  # from the command to the lecturer's page
    started: float  # from the coming of all to the last one's page
    times: list[float]  # from a new value to the new picture's bytes, of all, sorted
    kernel: float  # PSS, the mean over kernels
    all_processes: float  # PSS of server, warm process and all kernels
    kernels_work: float  # processor seconds an update, of the student's kernel
    server_work: float  # the same, of the server

    @property
    def late(self) -> float:
        return self.times[int(0.95 * len(self.times))]


def measure(students: int, seconds: float, ready: int) -> Class:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "initviz", "classroom", f"--port={port}", f"--ready={ready}"]
    begin = time.perf_counter()
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        token = next(found[1] for line in server.stdout if (found := re.search(r"token=(\S+)", line)))
        address = f"http://127.0.0.1:{port}"
        _wait(port)
        lecturer = Student(address, token)
        first_page = time.perf_counter() - begin
        begin, there, failed = time.perf_counter(), [], []

        def come() -> None:
            try:
                there.append(Student(address, token))
            except Exception as error:
                failed.append(error)

        _together([threading.Thread(target=come) for _ in range(students)])
        started = time.perf_counter() - begin
        if failed:
            raise failed[0]
        for student in there:
            student.move()
            student.times.clear()
        root = psutil.Process(server.pid)
        before = {process: _work(process) for process in [root, *root.children(recursive=True)]}
        begin = time.perf_counter()
        moving = [
            threading.Thread(target=one.follow, args=(begin + seconds, EVERY * i / students))
            for i, one in enumerate(there)
        ]
        _together(moving)
        work = {process: _work(process) - earlier for process, earlier in before.items()}
        memory = {process: process.memory_full_info().pss / 1e6 for process in [root, *root.children(recursive=True)]}
        kernels = [process for process in memory if is_kernel(process)]
        lecturer.socket.close()
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
    times = sorted(seconds for student in there for seconds in student.times)
    return Class(
        students,
        first_page,
        started,
        times,
        statistics.mean(memory[kernel] for kernel in kernels),
        sum(memory.values()),
        sum(work.get(kernel, 0.0) for kernel in kernels) / len(times),
        work[root] / len(times),
    )


def _work(process: psutil.Process) -> float:
    """Processor seconds so far."""
    spent = process.cpu_times()
    return spent.user + spent.system


def is_kernel(process: psutil.Process) -> bool:
    """Whether it was forked from the warm process, or runs ipykernel itself."""
    words = " ".join(process.cmdline())
    return "ipykernel" in words or ("forkserver" in words and words == " ".join(process.parent().cmdline()))


def table(classes: list[Class], seconds: float, ready: int) -> Table:
    """A column for each class. The last ones are the aim, and whether all classes met it."""

    def row(words: str, values: list[float], digits: int, aim: float | None = None) -> tuple:
        shown = [f"{value:.{digits}f}" for value in values]
        return (words, *shown, "-" if aim is None else f"<= {aim:g}", "-" if aim is None else verdict(max(values), aim))

    rows = (
        row("from the command to the first page, s", [one.first_page for one in classes], 1),
        row("all come at once, until the last has a page, s", [one.started for one in classes], 1, START),
        row("new value to picture, median, ms", [1000 * statistics.median(one.times) for one in classes], 0),
        row("new value to picture, 95th percentile, ms", [1000 * one.late for one in classes], 0, 1000 * PICTURE),
        row("a kernel's memory (PSS), MB", [one.kernel for one in classes], 0, MEGABYTES),
        row("memory of all processes (PSS), MB", [one.all_processes for one in classes], 0),
        row("a kernel's processor time for an update, ms", [1000 * one.kernels_work for one in classes], 0),
        row("the server's processor time for an update, ms", [1000 * one.server_work for one in classes], 0),
    )
    sizes = [str(one.students) for one in classes]
    title = f"A class of {', '.join(sizes)} (a new depth for each every {EVERY:g} s, {seconds:g} s long, {ready} kernels in reserve)"
    return Table(title, ("students", *sizes, "target", ""), rows)


def tables(quick: bool = False) -> list[Table]:
    students, seconds = (2, 4.0) if quick else (30, 20.0)
    return [table([measure(students, seconds, ready=2)], seconds, ready=2)]


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, nargs="+", default=[1, 10, 30])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--ready", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="put the table into docs/lecturers.md too")
    options = parser.parse_args()
    classes = [measure(students, options.seconds, options.ready) for students in options.students]
    measured = table(classes, options.seconds, options.ready).text(markdown=True)
    words = f"Measured on {machine()}, {date.today()}.\n\n{measured}"
    print(words, flush=True)
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(MARKS.sub(lambda found: found[1] + words + found[2], page), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
