"""What `symgrad bench` measures: ways to the gradient, and copies of memory, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from .worker import RESULTS, SAMPLE, Job

WORKER = "symgrad.bench.worker"


class Failed(Exception):
    """Why there is no answer, in words."""


class Peer:
    """One of worker.PEERS: its process, and what has become of it."""

    def __init__(
        self, name: str, job: Job, folder: str, limit: float | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        """Starts the process. `folder` is for compiled code; within `limit` seconds each answer has to be there."""
        self.name, self.job, self.limit = name, job, limit
        self.seconds: float | None = None  # until the first results
        self.difference: float | None = None  # of the results, from symgrad's
        self.count, self.idle = 0, 0  # of results, and of those that are not computed at each point
        self.reason = ""  # why it is not timed
        self.samples: list[float] = []
        own = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "SYMGRAD_CACHE_DIR": folder}
        command = [sys.executable, "-P", "-m", WORKER, name]  # -P: nothing is imported from where one happens to be
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **own, **(environment or {})},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Stops the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._questions, self._answers):
            with suppress(BrokenPipeError):
                stream.close()

    @property
    def threads(self) -> int:
        return self.job.threads or 1

    def build(self) -> None:
        """Waits until it is built and has its first results."""
        try:
            answer = self._ask(self.job.line() + "\n", "building")
        except Failed as failure:
            self.reason = str(failure)
            return
        self.seconds, self.count, self.idle = answer["seconds"], answer["results"], answer["idle"]

    def results(self) -> list[Any]:
        """The value and the derivatives at all points; nothing, with the reason, where there is nothing."""
        if self.reason:
            return []
        try:
            self._send(RESULTS)
            return [self._numbers() for _ in range(self.count)]
        except Failed as failure:
            self.reason = str(failure)
            return []

    def take_sample(self) -> None:
        """One more sample, unless there is a reason not to."""
        if self.reason:
            return
        try:
            self.samples.append(self._ask(SAMPLE, "a sample")["seconds"])
        except Failed as failure:
            self.reason = str(failure)

    @property
    def rates(self) -> tuple[float, ...]:
        """Points per second, of each sample; none where it is not to be timed."""
        return () if self.reason else tuple(self.job.points / seconds for seconds in self.samples)

    def _ask(self, line: str, doing: str) -> dict[str, Any]:
        is_late = threading.Event()

        def stop() -> None:
            is_late.set()
            self._process.kill()

        timer = threading.Timer(self.limit or 0.0, stop)
        if self.limit is not None:
            timer.start()
        try:
            self._send(line)
            answer = self._answers.readline()
        finally:
            timer.cancel()
        if not answer:
            raise Failed(f"{doing} took more than {self.limit:g} s" if is_late.is_set() else self._end())
        found: dict[str, Any] = json.loads(answer)
        if "failed" in found:
            raise Failed(found["failed"])
        return found

    def _send(self, line: str) -> None:
        with suppress(BrokenPipeError):  # it has ended: there will be no answer
            self._questions.write(line.encode())
            self._questions.flush()

    def _numbers(self) -> Any:
        data = self._answers.read(8 * self.job.points)
        if len(data) < 8 * self.job.points:
            raise Failed(self._end())
        return np.frombuffer(data)

    def _end(self) -> str:
        status = self._process.wait()
        return f"its process ended with status {status}" + ", as where memory runs out" * (status == -9)
