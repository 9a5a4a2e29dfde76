"""The market-wide engine against a loop over events, against other packages, and against the floor.

    python benchmarks/engine.py [--sizes 100,1000,10000,100000,1000000] [--rounds 5] [--peers FOLDER] [--older FOLDER]

See README.md. All ratios are of one run in which the contenders take turns, so that a slow moment of
the machine hits all of them. Writes RESULTS.md and engine.png beside itself.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from record import machine

from eventstudy.core.statistics import STATISTICS
from eventstudy.large.battery import AT_ANY_SIZE, window_samples
from eventstudy.large.days import date_blocks, day_sums, scar_spread, total
from eventstudy.large.fit import fit_events
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel, windows_of

HERE = Path(__file__).parent
LAYOUT = Layout(estimation=(-260, -11), event=(-10, 20), car=((0, 1), (2, 20)))
SESSIONS, SECURITIES, INDICES = 5_000, 500, 4
#: Other packages: their version, and what they need besides. easy-es is older than pandas 3.
PEERS = {"eventstudy": ("0.1a12",), "easy-es": ("0.1.2", "pandas<3"), "event-study-toolkit": ("1.0.0",)}
#: Events of one turn of a loop; more are extrapolated, since its time is proportional to them.
LOOP = {"statsmodels loop": 300, "numpy lstsq loop": 2_000}
#: Events that the other packages are given; chosen so that each takes seconds.
GIVEN = {"eventstudy": 1_000, "easy-es": 200, "event-study-toolkit": 60}


def make_panel(seed: int = 1) -> WidePanel:
    """5,000 sessions x 500 securities x 4 indices; late listings and halts of some days, 11 % missing."""
    rng = np.random.default_rng(seed)
    market = 0.01 * rng.standard_normal((INDICES, SESSIONS))
    beta = rng.uniform(0.5, 1.5, SECURITIES)
    noise = 0.02 * rng.standard_t(5, (SECURITIES, SESSIONS))
    returns = 0.0002 + beta[:, None] * market[np.arange(SECURITIES) % INDICES] + noise
    for row in returns:
        for start in rng.integers(0, SESSIONS, 6):
            row[start : start + rng.integers(1, 40)] = np.nan
        if rng.random() < 0.35:
            row[: rng.integers(0, int(0.5 * SESSIONS))] = np.nan
    return WidePanel(returns, market)


def make_events(n: int, seed: int = 2) -> FirmEvents:
    """Events in no order; all have both windows inside the panel's sessions."""
    rng = np.random.default_rng(seed)
    position = rng.integers(260, SESSIONS - 20, n).astype(np.int32)
    security = rng.integers(0, SECURITIES, n).astype(np.int32)
    return FirmEvents(position, security, (security % INDICES).astype(np.int32))


def windows(panel: WidePanel, events: FirmEvents, i: int) -> tuple[NDArray[np.float64], ...]:
    """Complete pairs of one event's estimation window, and its event window."""
    first = events.position[i] - 260
    y = panel.returns[events.security[i], first : first + 281]
    x = panel.indices[events.index[i], first : first + 281]
    there = np.isfinite(y[:250])
    return y[:250][there], x[:250][there], y[250:], x[250:]


def statsmodels_loop(panel: WidePanel, events: FirmEvents) -> None:
    """OLS of statsmodels on arrays, an event at a time, with AR and CARs."""
    import statsmodels.api as sm

    for i in range(len(events)):
        y, x, around, market = windows(panel, events, i)
        if len(y) < 3:
            continue
        fitted = sm.OLS(y, sm.add_constant(x)).fit()
        alpha, beta = fitted.params
        ar = around - alpha - beta * market
        _ = ar[10:12].sum(), ar[12:31].sum(), np.sqrt(fitted.scale)


def lstsq_loop(panel: WidePanel, events: FirmEvents) -> None:
    """Least squares of numpy, an event at a time, with AR and CARs."""
    for i in range(len(events)):
        y, x, around, market = windows(panel, events, i)
        if len(y) < 3:
            continue
        design = np.column_stack([np.ones(len(x)), x])
        (alpha, beta), sse, _, _ = np.linalg.lstsq(design, y, rcond=None)
        ar = around - alpha - beta * market
        _ = ar[10:12].sum(), ar[12:31].sum(), np.sqrt(sse / (len(y) - 2))


def floor(panel: WidePanel, events: FirmEvents) -> None:
    """Read each event's 281 returns once, and do nothing else with them than add them up."""
    view = np.lib.stride_tricks.sliding_window_view(panel.returns, 281, axis=1)

    for start in range(0, len(events), 512):
        rows = slice(start, start + 512)
        view[events.security[rows], events.position[rows] - 260].sum()


def ours(panel: WidePanel, events: FirmEvents) -> MarketFit:
    """Fit, CARs and their variances."""
    return fit_events(panel, events, LAYOUT)


def with_abnormal_returns(panel: WidePanel, events: FirmEvents) -> None:
    """The same and the abnormal returns of the event window, some thousand firm-events at a time."""
    fitted, (first, length) = ours(panel, events), (LAYOUT.event[0], LAYOUT.n_event)
    for start in range(0, len(events), 4_096):
        rows = slice(start, start + 4_096)
        part, fit = events.take(rows), fitted.take(rows)
        y = windows_of(panel.returns, part.security, part.position + first, length)
        x = windows_of(panel.indices, part.index, part.position + first, length)
        _ = y - fit.beta[:, None] * x - fit.alpha[:, None] * LAYOUT.carries_alpha


def battery(panel: WidePanel, events: FirmEvents, fitted: MarketFit) -> None:
    """All tests with ranks, on top of a fit that is there."""
    order, spread = np.argsort(events.position, kind="stable"), scar_spread(fitted)
    blocks = [(order[rows], own) for rows, own in date_blocks(events.position[order], LAYOUT)]
    sums = total([day_sums(panel, events.take(at), fitted.take(at), LAYOUT, spread, own=own) for at, own in blocks])
    drawn = {"group": "all", "seed": 20260624, "draws": 9_999, "alternative": "two-sided"}
    for sample in window_samples(fitted, sums, LAYOUT, **drawn):
        for name in AT_ANY_SIZE:
            STATISTICS[name](sample)


@dataclass
class Timings:
    """Seconds of every turn by contender and number of events, loops scaled up to that number."""

    seconds: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    scaled: set[tuple[str, int]] = field(default_factory=set)

    def add(self, name: str, n: int, seconds: float, *, of: int) -> None:
        """Note a turn on ``of`` events as one on ``n``."""
        self.seconds.setdefault((name, n), []).append(seconds * n / of)
        if of < n:
            self.scaled.add((name, n))

    def best(self, name: str, n: int) -> float:
        """Median seconds, NaN where there are none."""
        return float(np.median(self.seconds.get((name, n), [np.nan])))

    def ratio(self, slow: str, quick: str, n: int) -> str:
        """Median of the rounds' ratios with the smallest and largest."""
        pairs = list(zip(self.seconds.get((slow, n), ()), self.seconds.get((quick, n), ()), strict=False))
        if not pairs:
            return "–"
        each = sorted(a / b for a, b in pairs)
        return f"{np.median(each):,.3g}× ({each[0]:,.3g}–{each[-1]:,.3g})"


def contenders(n: int) -> dict[str, Callable[[WidePanel, FirmEvents], object]]:
    """Who takes turns at n events."""
    found: dict[str, Callable[[WidePanel, FirmEvents], object]] = {"numpy": ours, "floor": floor}
    if n <= 100_000:
        found["numpy with AR"] = with_abnormal_returns
    return found | {"statsmodels loop": statsmodels_loop, "numpy lstsq loop": lstsq_loop}


def time_turns(panel: WidePanel, sizes: list[int], rounds: int, timings: Timings) -> None:
    """Let all contenders take turns, so many rounds."""
    warm = make_events(200)
    for work in contenders(200).values():
        work(panel, warm)
    for n in sizes:
        events = make_events(n)
        for _ in range(rounds if n <= 100_000 else max(3, rounds // 2)):
            for name, work in contenders(n).items():
                some = events.take(slice(0, min(n, LOOP.get(name, n))))
                repeat = max(1, 2_000 // len(some)) if name not in LOOP else 1
                start = time.process_time()
                for _ in range(repeat):
                    work(panel, some)
                timings.add(name, n, (time.process_time() - start) / repeat, of=len(some))
        print(f"{n:>9,} events: numpy {timings.best('numpy', n):.4f} s", flush=True)


def time_battery(panel: WidePanel, sizes: list[int], rounds: int, timings: Timings) -> None:
    """The tests, each turn beside a fit."""
    for n in sizes:
        events = make_events(n)
        fitted = ours(panel, events)
        fitted = fitted.without(fitted.n < 120)
        battery(panel, events.take(slice(0, 500)), fitted.take(slice(0, 500)))
        for _ in range(max(2, rounds // 2)):
            turns = {
                "fit beside the tests": functools.partial(ours, panel, events),
                "battery": functools.partial(battery, panel, events, fitted),
            }
            for name, work in turns.items():
                start = time.process_time()
                work()
                timings.add(name, n, time.process_time() - start, of=n)
        print(f"{n:>9,} events: battery {timings.best('battery', n):.4f} s", flush=True)


def peak_memory(n: int) -> float:
    """Megabytes that a fit takes above panel and events at its peak, in a process of its own; or NaN."""
    command = [sys.executable, __file__, "--memory", str(n)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    return float(out)


def measure_memory(n: int) -> None:
    """Print the peak of the resident memory of one fit, the first one's warm-up not counted."""
    panel, events = make_panel(), make_events(n)
    ours(panel, events.take(slice(0, 2_000)))
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = resident("VmRSS")
        ours(panel, events)
        print(resident("VmHWM") - before)
    except OSError:
        print("nan")


def resident(name: str) -> float:
    """Megabytes of one line of this process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def time_fits(n: int) -> None:
    """Print the median seconds of 30 fits, and of as many floors."""
    panel, events = make_panel(), make_events(n)
    seconds: dict[str, list[float]] = {"fit": [], "floor": []}
    for _ in range(30):
        for name, work in (("fit", ours), ("floor", floor)):
            start = time.process_time()
            work(panel, events)
            seconds[name].append(time.process_time() - start)
    print(*(float(np.median(turns)) for turns in seconds.values()))


def against_older(older: Path, n: int, rounds: int) -> str:
    """Set the fits of another checkout beside these, each a process, in turns; return a sentence."""
    found: dict[Path, list[list[float]]] = {older.resolve(): [], HERE.parent: []}
    for _ in range(rounds):
        for checkout, turns in found.items():
            command = [sys.executable, __file__, "--fits", str(n)]
            environment = {**os.environ, "PYTHONPATH": str(checkout)}
            out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout  # noqa: S603
            turns.append([float(word) for word in out.split()])
    before, now = (np.array(turns) for turns in found.values())
    shares = np.sort(now[:, 0] / before[:, 0])
    floors = ", ".join(f"{np.median(turns[:, 0] / turns[:, 1]):.2f}" for turns in (before, now))
    return (
        f"A fit of {n:,} events takes {np.median(shares):.2f} ({shares[0]:.2f}–{shares[-1]:.2f}) of the time of an "
        f"older checkout, and before and now {floors} times the floor: processes of 30 fits in {rounds} turns."
    )


def hard_panels(panel: WidePanel) -> dict[str, WidePanel]:
    """Panels on which running sums lose digits."""
    rng = np.random.default_rng(5)
    y, x = panel.returns, panel.indices
    ticks = y.copy()
    ticks[np.arange(len(y)), rng.integers(0, SESSIONS, len(y))] = 1e4
    levels = 100 * np.exp(np.cumsum(np.nan_to_num(0.3 * y), axis=1)) + 0.0 * y
    return {
        "clean": panel,
        "outliers": WidePanel(np.where(rng.random(y.shape) < 1e-4, 100 * y, y), x),
        "tiny variance": WidePanel(0.001 + 1e-8 * y, x),
        "bad tick of 1e6 %": WidePanel(ticks, x),
        "levels in place of returns": WidePanel(levels, 3_000 * np.exp(np.cumsum(x, axis=1))),
    }


def sigma_by_qr(panel: WidePanel, events: FirmEvents, i: int) -> float:
    """Sigma of one event by QR, the residuals projected twice."""
    y, x, _, _ = windows(panel, events, i)
    if len(y) < 3:
        return float("nan")
    q, _ = np.linalg.qr(np.column_stack([np.ones(len(x)), x]))
    error = y - q @ (q.T @ y)
    error -= q @ (q.T @ error)
    return float(np.sqrt(error @ error / (len(y) - 2)))


def accuracy(panel: WidePanel) -> dict[str, float]:
    """Largest relative error of sigma of 1,000 events by panel."""
    events = make_events(40_000, seed=7)
    rows = np.arange(0, len(events), 40)
    found = {}
    for name, hard in hard_panels(panel).items():
        expected = np.array([sigma_by_qr(hard, events, i) for i in rows])
        found[name] = float(np.nanmax(np.abs(ours(hard, events).sigma[rows] / expected - 1)))
    return found


def time_peers(panel: WidePanel, folder: Path, timings: Timings, sizes: list[int], rounds: int) -> list[str]:
    """Time the other packages, each in its own environment; return which of them run."""
    events = make_events(20_000, seed=3)
    first = events.position - 260
    y = np.lib.stride_tricks.sliding_window_view(panel.returns, 281, axis=1)[events.security, first]
    x = np.lib.stride_tricks.sliding_window_view(panel.indices, 281, axis=1)[events.index, first]
    whole = np.isfinite(y).all(axis=1)
    found = []
    for name, (version, *others) in PEERS.items():
        python = environment(folder / name, [f"{name}=={version}", *others])
        with tempfile.NamedTemporaryFile(suffix=".npz") as data:
            np.savez(data, y=y[whole][: GIVEN[name]], x=x[whole][: GIVEN[name]])
            data.flush()
            command = [str(python), str(HERE / "peers.py"), name, data.name]
            if all(peer_turn(name, command, panel, timings, sizes) for _ in range(min(3, rounds))):
                found.append(name)
    return found


def peer_turn(name: str, command: list[str], panel: WidePanel, timings: Timings, sizes: list[int]) -> bool:
    """One turn of another package and of ours beside it; False, and why, where it does not run."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if ran.returncode:
        print(f"{name} does not run here: {ran.stderr.strip().splitlines()[-1]}", flush=True)
        return False
    told = json.loads(ran.stdout.strip().splitlines()[-1])
    for n in sizes:
        timings.add(name, n, told["seconds"], of=told["events"])
    timings.add(f"{name} at 10,000", 10_000, told["seconds"], of=told["events"])
    events = make_events(10_000)
    start = time.process_time()
    with_abnormal_returns(panel, events)
    timings.add(f"numpy beside {name}", 10_000, time.process_time() - start, of=10_000)
    return True


def environment(folder: Path, packages: list[str]) -> Path:
    """Python of a virtual environment with these packages, made where it is not there."""
    python = folder / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)  # noqa: S603
        subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)  # noqa: S603
    return python


def draw(timings: Timings, memory: dict[int, float], sizes: list[int]) -> None:
    """Time and memory against the number of events."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    names = ("statsmodels loop", "numpy lstsq loop", "battery", "numpy", "floor")
    for name, mark in zip(names, "os^Dx", strict=True):
        known = [n for n in sizes if (name, n) in timings.seconds]
        left.loglog(known, [timings.best(name, n) for n in known], marker=mark, ms=4, lw=1, label=name)
    left.set(xlabel="firm-events", ylabel="seconds", title="Time")
    left.legend(fontsize=7, frameon=False)
    right.loglog(list(memory), list(memory.values()), marker="D", ms=4, lw=1)
    right.set(xlabel="firm-events", ylabel="MB above panel and events", title="Memory of a fit (numpy, no AR)")
    figure.savefig(HERE / "engine.png", dpi=110)


def report(
    timings: Timings,
    sizes: list[int],
    errors: dict[str, float],
    memory: dict[int, float],
    peers: list[str],
    panel: WidePanel,
    older: str,
) -> str:
    """RESULTS.md."""
    intro = (
        f"Panel of {SESSIONS:,} sessions × {SECURITIES} securities × {INDICES} indices, "
        f"{np.isnan(panel.returns).mean():.1%} missing; windows 250 + 31 days; CARs over [0,1] and [2,20] "
        "with their exact variances. Seconds are of the processor, medians over rounds; a ratio is the median of the "
        "rounds' ratios, the smallest and largest in brackets. Numbers marked * are extrapolated from fewer events. "
        "The floor reads each event's 281 returns once. `battery` is all tests with ranks on top of a fit."
    )
    head = " | ".join(f"{n:,}" for n in sizes)
    rule = "|---|" + "---|" * len(sizes)
    title = "# Results of `python benchmarks/engine.py`"
    lines = [
        title,
        "",
        f"{machine(('numpy', 'scipy', 'statsmodels'))}; one thread.",
        "",
        intro,
        "",
        f"| seconds | {head} |",
        rule,
    ]
    names = ("statsmodels loop", "numpy lstsq loop", *peers, "numpy", "numpy with AR", "floor", "battery")
    for name in names:
        cells = [
            f"{timings.best(name, n):.4g}{'*' if (name, n) in timings.scaled else ''}"
            if (name, n) in timings.seconds
            else "–"
            for n in sizes
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", f"| ratio | {head} |", rule]
    pairs = [
        ("statsmodels loop", "numpy"),
        ("statsmodels loop", "numpy with AR"),
        ("numpy lstsq loop", "numpy"),
        ("numpy", "floor"),
        ("battery", "fit beside the tests"),
    ]
    for slow, quick in pairs:
        lines.append(f"| {slow} / {quick} | " + " | ".join(timings.ratio(slow, quick, n) for n in sizes) + " |")
    for name in peers:
        ratio = timings.ratio(f"{name} at 10,000", f"numpy beside {name}", 10_000)
        each = 1e3 * timings.best(f"{name} at 10,000", 10_000) / 10_000
        lines.append("")
        lines.append(
            f"PyPI `{name}` {PEERS[name][0]} / numpy with AR at 10,000 events, each turn beside the other: "
            f"{ratio}; {each:.2f} ms an event over {GIVEN[name]} events."
        )
    lines += ["", older] if older else []
    lines += ["", "| largest relative error of σ against QR | |", "|---|---|"]
    lines += [f"| {name} | {error:.1e} |" for name, error in errors.items()]
    told = ", ".join(f"{n:,}: {mb:.0f} MB" for n, mb in memory.items())
    lines += [
        "",
        f"Peak memory of a fit with numpy above the panel and the events, without AR: {told}.",
        "",
        "![Time and memory against the number of events](engine.png)",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run everything and write RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100,1000,10000,100000,1000000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", type=Path, help="folder of the other packages' environments, made if needed")
    parser.add_argument("--older", type=Path, help="another checkout; its fits of 10,000 events take turns with these")
    parser.add_argument("--memory", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--fits", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        measure_memory(options.memory)
        return
    if options.fits:
        time_fits(options.fits)
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sizes = [int(size) for size in options.sizes.split(",")]
    panel, timings = make_panel(), Timings()
    time_turns(panel, sizes, options.rounds, timings)
    time_battery(panel, [n for n in sizes if n >= 1_000], options.rounds, timings)
    peers = []
    if options.peers:
        peers = time_peers(panel, options.peers.resolve(), timings, sizes, options.rounds)
    memory = {n: peak_memory(n) for n in sizes if n >= 10_000}
    errors = accuracy(panel)
    draw(timings, memory, sizes)
    older = against_older(options.older, 10_000, 2 * options.rounds) if options.older else ""
    text = report(timings, sizes, errors, memory, peers, panel, older)
    (HERE / "RESULTS.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
