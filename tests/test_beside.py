"""Work beside other work: the same answers and errors as in turn, and nothing left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eventstudy import beside
from eventstudy.beside import Start, copies, in_turn
from eventstudy.errors import EventStudyError

LINUX = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="no copies on this machine"
)


@pytest.fixture(params=["in turn", pytest.param("copies", marks=LINUX)])
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    if request.param == "in turn":
        yield in_turn
    else:
        with copies() as begin:
            yield begin


def _copies_here() -> bool:
    with copies() as start:
        return start is not in_turn


def _refuse(what: str) -> None:
    raise ValueError(f"no {what}")


def test_the_result_comes_back(start: Start) -> None:
    # 8 MB are more than a pipe holds: the copy waits until they are read.
    numbers = np.arange(1e6)
    works = [start(np.multiply, numbers, factor) for factor in (2.0, 3.0)]
    assert [work.result()[-1] for work in works] == [2 * 999_999.0, 3 * 999_999.0]


def test_what_a_function_raises_is_raised_where_its_result_is_asked_for(start: Start) -> None:
    work = start(_refuse, "price")
    with pytest.raises(ValueError, match="no price"):
        work.result()


@LINUX
def test_functions_of_no_module_and_what_cannot_be_pickled_can_be_arguments() -> None:
    table = {"double": lambda x: 2 * x}
    with copies() as start:
        assert start(lambda functions: functions["double"](21), table).result() == 42


@LINUX
def test_a_copy_works_beside_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with copies() as start:
        work = start(lambda: (print("seen"), os.getpid())[1])
        assert work.result() != os.getpid()
    assert capfd.readouterr().out == ""


@LINUX
def test_a_copy_that_dies_is_an_error() -> None:
    with copies() as start:
        work = start(os._exit, 3)
        with pytest.raises(EventStudyError, match=r"exit code 3"):
            work.result()


@LINUX
def test_an_error_in_the_block_ends_the_copies(tmp_path: Path) -> None:
    def slow() -> None:
        time.sleep(30)
        (tmp_path / "late").touch()

    def interrupted() -> None:
        with copies() as start:
            start(slow)
            raise KeyError

    began = time.monotonic()
    with pytest.raises(KeyError):
        interrupted()
    assert time.monotonic() - began < 15
    assert not (tmp_path / "late").exists()


@LINUX
def test_a_copy_ends_with_its_process(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(
        "import os, time\n"
        "from eventstudy.beside import copies\n"
        "def work(path):\n"
        "    with open(path + '.new', 'w') as file: file.write(str(os.getpid()))\n"
        "    os.replace(path + '.new', path)\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    with copies() as start:\n"
        f"        start(work, {str(tmp_path / 'pid')!r})\n"
        f"        while not os.path.exists({str(tmp_path / 'pid')!r}): time.sleep(0.01)\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, script], timeout=60, check=False)
    copy = Path("/proc") / (tmp_path / "pid").read_text() / "stat"
    for _ in range(50):
        # Gone, or a zombie that nobody has asked after.
        if not copy.exists() or " Z " in copy.read_text():
            return
        time.sleep(0.1)
    pytest.fail("the copy works on for nobody")


def test_off_linux_or_with_one_processor_is_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(beside.sys, "platform", "darwin")
        with copies() as start:
            assert start is in_turn
    monkeypatch.setattr(beside.os, "sched_getaffinity", lambda _: {0}, raising=False)
    with copies() as start:
        assert start is in_turn


@LINUX
def test_an_interrupt_while_a_copy_is_made_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = multiprocessing.get_context("fork").Process.start

    def interrupted(process: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        begin(process)

    monkeypatch.setattr(multiprocessing.context.ForkProcess, "start", interrupted)
    with copies() as start, pytest.raises(KeyboardInterrupt):
        start(time.sleep, 0)


@LINUX
def test_a_thread_and_a_process_without_children_work_in_turn() -> None:
    seen: list[Start] = []

    def look() -> None:
        with copies() as start:
            seen.append(start)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [in_turn]
    with copies() as start:
        # A copy is such a process.
        assert start(_copies_here).result() is False
