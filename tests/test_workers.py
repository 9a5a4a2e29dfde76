"""Workers: same bytes and same errors as in one process, no block lost, nothing left running."""

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
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eventstudy import workers
from eventstudy.cli import main
from eventstudy.config import Model, load_config
from eventstudy.core.models import fit
from eventstudy.errors import ConfigError, EventStudyError
from eventstudy.workers import Start, forked_children, have_shared_locks, in_turn, run_blocks

BLOCKS = 8


def block(task: tuple[int, Path]) -> bytes:
    """Noise of one block. A worker that finds its file writes its process id and waits to be killed."""
    number, place = task
    mark = place / f"die-{number}"
    if mark.exists():
        mark.replace(place / f"dying-{number}")
        (place / "pid.part").write_text(str(os.getpid()))
        (place / "pid.part").replace(place / "pid")
        time.sleep(20.0)
    return np.random.default_rng(number).standard_normal(1_000).tobytes()


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(number: int) -> int:
    if number == 3:
        raise EventStudyError("events.csv:4: a worker saw this")
    return number


SHARED = pytest.mark.skipif(
    not have_shared_locks(), reason="processes cannot share locks here: /dev/shm is missing or read-only"
)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1", silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address


def how(engine: str, request: pytest.FixtureRequest) -> dict[str, str | int]:
    if engine == "local":
        return {"jobs": 2}
    return {"engine": "dask", "scheduler": request.getfixturevalue("scheduler")}


def kill_when_told(place: Path) -> None:
    """Kill the worker that wrote its process id, once."""
    for _ in range(200):
        if (place / "pid").exists():
            os.kill(int((place / "pid").read_text()), signal.SIGKILL)
            return
        time.sleep(0.05)


@SHARED
@pytest.mark.parametrize("engine", ["local", "dask"])
def test_the_bytes_are_the_same_on_any_workers(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    tasks = [(number, tmp_path) for number in range(BLOCKS)]
    alone = run_blocks(block, tasks)
    assert len(set(alone)) == BLOCKS
    said: list[tuple[int, int]] = []
    assert run_blocks(block, tasks, **how(engine, request), progress=lambda *n: said.append(n)) == alone
    assert said == [(done, BLOCKS) for done in range(1, BLOCKS + 1)]


@SHARED
@pytest.mark.parametrize("engine", ["local", "dask"])
def test_a_killed_worker_loses_nothing(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    tasks = [(number, tmp_path) for number in range(BLOCKS)]
    alone = run_blocks(block, tasks)
    (tmp_path / "die-3").touch()
    killer = Thread(target=kill_when_told, args=(tmp_path,))
    killer.start()
    assert run_blocks(block, tasks, **how(engine, request)) == alone
    killer.join()
    assert (tmp_path / "dying-3").exists()


@SHARED
def test_workers_that_always_die_are_given_up() -> None:
    with pytest.raises(EventStudyError, match=r"workers died 3 times in a row with 0 of 2 blocks done"):
        run_blocks(die, range(2), jobs=2)


@SHARED
@pytest.mark.parametrize("engine", ["local", "dask"])
def test_an_error_of_a_block_arrives_as_it_was(engine: str, request: pytest.FixtureRequest) -> None:
    with pytest.raises(EventStudyError, match=r"^events.csv:4: a worker saw this$"):
        run_blocks(fail, range(BLOCKS), **how(engine, request))


def test_without_shared_locks_blocks_are_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("multiprocessing.context.BaseContext.Lock", refuse)
    assert not have_shared_locks()
    assert run_blocks(_process_id, range(4), jobs=2) == [os.getpid()] * 4


def _process_id(_: int) -> int:
    return os.getpid()


@SHARED
def test_garch_fits_are_the_same_on_a_cluster(scheduler: str) -> None:
    from panels import make_panel
    from test_models import L2, garch_series

    drawn = [garch_series(120 + L2, seed) for seed in range(21)]
    panel = make_panel(np.stack([y for y, _ in drawn]), np.stack([x for _, x in drawn]), n_estimation=120)
    one = fit(panel, "garch")
    spread = fit(panel, "garch", settings=Model(name="garch", engine="dask", scheduler=scheduler))
    for field in ("theta", "residuals", "sigma2", "xtx_inv", "scale"):
        assert getattr(one, field).tobytes() == getattr(spread, field).tobytes()
    assert one.remark.tolist() == spread.remark.tolist()


def test_an_interrupt_stops_the_workers(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(
        "import pathlib, time\n"
        "from eventstudy.workers import run_blocks\n"
        "def work(n):\n"
        f"    pathlib.Path({str(tmp_path)!r}, f'started-{{n}}').touch()\n"
        "    time.sleep(30)\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        run_blocks(work, range(4), jobs=2)\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted')\n",
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [sys.executable, str(script)],
        start_new_session=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for _ in range(200):
        if len(list(tmp_path.glob("started-*"))) == 2:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=15)
    assert said.strip().splitlines()[-1] == "interrupted"
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("engine", "address", "expected"),
    [
        ("threads", "", r"engine 'threads' is unknown; accepted: dask, local"),
        ("local", "tcp://127.0.0.1:1", r"of use with the engine dask only; add --engine dask"),
        ("dask", "", r"'dask scheduler' starts one and prints it: --scheduler tcp://HOST:8786"),
        ("dask", "tcp://127.0.0.1:9", r"scheduler 'tcp://127.0.0.1:9' cannot be reached"),
        ("dask", "nowhere", r"cannot be reached \(missing port number .*that 'dask scheduler' prints"),
        ("dask", "ftp://127.0.0.1:9", r"cannot be reached \(unknown address scheme 'ftp'"),
    ],
)
def test_a_wrong_engine_or_scheduler_says_what_to_do(
    engine: str, address: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "dask":
        pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "PATIENCE", 0.3)
    with pytest.raises(ConfigError, match=expected):
        run_blocks(fail, range(2), engine=engine, scheduler=address)


def test_a_cluster_without_workers_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "PATIENCE", 0.3)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0", host="127.0.0.1", silence_logs=50) as empty,
        pytest.raises(ConfigError, match=r"has no worker; 'dask worker tcp://127.0.0.1:\d+' starts one"),
    ):
        run_blocks(fail, range(2), engine="dask", scheduler=empty.scheduler_address)


def test_without_dask_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"not installed; install eventstudy-kit\[scale\]"):
        run_blocks(fail, range(2), engine="dask", scheduler="tcp://127.0.0.1:9")


def test_the_study_file_is_refused_with_half_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model: the engine dask needs the address of a scheduler"):
        load_config(tmp_path / "events.csv", sector="optical", overrides=['model.engine="dask"'])


def test_the_options_reach_the_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    events = Path(__file__).parents[1] / "events.csv"
    seen: list[SimpleNamespace] = []

    def stop(_: object, config: object, *__: object, **___: object) -> None:
        seen.append(SimpleNamespace(model=config.model))  # type: ignore[attr-defined]
        raise ConfigError("far enough")

    monkeypatch.setattr("eventstudy.prices.sources.get_prices", stop)
    options = ["--jobs", "3", "--engine", "dask", "--scheduler", "tcp://127.0.0.1:9"]
    assert main(["run", str(events), "--out", str(tmp_path), *options]) == 2
    (found,) = seen
    assert (found.model.jobs, found.model.engine, found.model.scheduler) == (3, "dask", "tcp://127.0.0.1:9")


LINUX = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="no forked children on this machine"
)


@pytest.fixture(params=["in turn", pytest.param("forked children", marks=LINUX)])
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    if request.param == "in turn":
        yield in_turn
    else:
        with forked_children() as begin:
            yield begin


def _forks_here() -> bool:
    with forked_children() as start:
        return start is not in_turn


def _refuse(what: str) -> None:
    raise ValueError(f"no {what}")


def test_the_result_comes_back(start: Start) -> None:
    # 8 MB are more than a pipe holds: the child waits until they are read.
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
    with forked_children() as start:
        assert start(lambda functions: functions["double"](21), table).result() == 42


@LINUX
def test_a_child_works_meanwhile_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with forked_children() as start:
        work = start(lambda: (print("seen"), os.getpid())[1])
        assert work.result() != os.getpid()
    assert capfd.readouterr().out == ""


@LINUX
def test_a_child_that_dies_is_an_error() -> None:
    with forked_children() as start:
        work = start(os._exit, 3)
        with pytest.raises(EventStudyError, match=r"exit code 3"):
            work.result()


@LINUX
def test_an_error_in_the_block_ends_the_children(tmp_path: Path) -> None:
    def slow() -> None:
        time.sleep(30)
        (tmp_path / "late").touch()

    def interrupted() -> None:
        with forked_children() as start:
            start(slow)
            raise KeyError

    began = time.monotonic()
    with pytest.raises(KeyError):
        interrupted()
    assert time.monotonic() - began < 15
    assert not (tmp_path / "late").exists()


@LINUX
def test_a_child_ends_with_its_process(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(
        "import os, time\n"
        "from eventstudy.workers import forked_children\n"
        "def work(path):\n"
        "    with open(path + '.new', 'w') as file: file.write(str(os.getpid()))\n"
        "    os.replace(path + '.new', path)\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    with forked_children() as start:\n"
        f"        start(work, {str(tmp_path / 'pid')!r})\n"
        f"        while not os.path.exists({str(tmp_path / 'pid')!r}): time.sleep(0.01)\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, script], timeout=60, check=False)
    child = Path("/proc") / (tmp_path / "pid").read_text() / "stat"
    for _ in range(50):
        # Gone, or a zombie that nobody has asked after.
        if not child.exists() or " Z " in child.read_text():
            return
        time.sleep(0.1)
    pytest.fail("the child works on for nobody")


def test_off_linux_or_with_one_processor_is_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(workers.sys, "platform", "darwin")
        with forked_children() as start:
            assert start is in_turn
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: {0}, raising=False)
    with forked_children() as start:
        assert start is in_turn


@LINUX
@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_while_a_child_is_made_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = multiprocessing.get_context("fork").Process.start

    def interrupted(process: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        begin(process)

    monkeypatch.setattr(multiprocessing.context.ForkProcess, "start", interrupted)
    with forked_children() as start, pytest.raises(KeyboardInterrupt):
        start(time.sleep, 0)


@LINUX
def test_a_thread_and_a_process_without_children_work_in_turn() -> None:
    seen: list[Start] = []

    def look() -> None:
        with forked_children() as start:
            seen.append(start)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [in_turn]
    with forked_children() as start:
        # A child is such a process.
        assert start(_forks_here).result() is False
