"""What a simulation leaves behind: a table, a figure, its settings, and what the terminal shows."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventstudy.config.json_values import plain_json, write_json
from eventstudy.report.staging import moved_in
from eventstudy.simulate import DENSE, DESIGNS, POWER_DESIGNS, Rate, Simulation, dense_rows, planted
from eventstudy.simulate.plan import BROWN_WARNER_TEST, DAY0, PAIRS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from eventstudy.core.abnormal import Window

COLUMNS = (
    "design",
    "test",
    "window",
    "effect",
    "n_draws",
    "reject_share",
    "mc_lower",
    "mc_upper",
    "holds",
    "n_events",
    "n_dates",
    "target",
    "k_eff",
)
#: Heads of the printed table of the designs that are as dense as the study.
SHORT_DENSE = {"dense": "as they are", "dense_regime": "sd x2.5 later", "dense_doubled": "common x2"}
#: Columns of the printed table, marker and colour (Okabe and Ito's palette) of the designs of size.
SHORT = {
    "random": "random",
    "common": "common",
    "all_doubled": "all x2",
    "common_doubled": "common x2",
    "fat_tails": "t(5)",
    "one_date": "one date",
}
MARKS = {
    "random": ("o", "#56B4E9"),
    "common": ("D", "#000000"),
    "all_doubled": ("^", "#E69F00"),
    "common_doubled": ("s", "#D55E00"),
    "fat_tails": ("v", "#009E73"),
    "one_date": ("x", "#888888"),
}
#: Tests in the figure, of those that are registered; the tables hold all.
SHOWN = (
    "cross_sectional_t",
    "wilcoxon",
    "patell",
    "bmp",
    "corrado",
    "grank_t",
    "portfolio_t",
    "patell_kp",
    "bmp_kp",
    "date_t",
    "sign_flip",
)
#: Lowest share that the figure tells apart from none.
EDGE = 0.004
#: Colours of the power curves, so many as tests of the figure can hold their size.
LINES = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#888888", "#117733")


def simulation_rows(simulation: Simulation) -> list[dict[str, Any]]:
    """Return the rows of simulation.csv: by design, effect, window and test; None where undefined.

    ``mc_lower`` and ``mc_upper`` are the 99 % interval of the share over draws, ``holds`` whether the
    target lies in it, ``target`` the nominal level or the analytic power.
    """
    order = {name: at for at, name in enumerate(DESIGNS)}
    rates = sorted(simulation.rates, key=lambda r: (order[r.case.design], r.case.effect, r.window))
    return [dict(zip(COLUMNS, _cells(rate), strict=True)) for rate in rates]


def _cells(rate: Rate) -> tuple[Any, ...]:
    numbers = [plain_json(value) for value in (rate.share, *rate.interval)]
    holds = rate.verdict == "holds" if rate.verdict else None
    return (
        rate.case.design,
        rate.test,
        _name(rate.window),
        rate.case.effect,
        rate.n_draws,
        *numbers,
        holds,
        rate.n_events,
        rate.n_dates,
        plain_json(rate.target),
        plain_json(rate.k_eff),
    )


def _name(window: Window) -> str:
    return f"[{window[0]},{window[1]}]"


def conclusion(simulation: Simulation, window: Window) -> str:
    """Return one sentence: which tests keep their level on common (or else dense) dates and which do not."""
    design = "common" if simulation.plan.has("common") else "dense"
    held, rarely, often = (
        [rate for rate in _sizes(simulation, design, window) if rate.verdict == verdict]
        for verdict in ("holds", "too rarely", "too often")
    )
    level = f"{simulation.plan.level:.0%}"
    head = f"{design.capitalize()} dates, {_name(window)}"
    parts = [f"{head}: {level} is held by {_listed(held, shares=False) or 'no test'}"]
    if rarely:
        parts.append(f"rejected too rarely by {_listed(rarely)}")
    parts.append(f"rejected too often by {_listed(often) or 'no test'}")
    return "; ".join(parts) + "."


def _sizes(simulation: Simulation, design: str, window: Window) -> list[Rate]:
    rates = [simulation.rate(design, test, window) for test in simulation.tests]
    return [rate for rate in rates if rate is not None and rate.n_draws]


def _listed(rates: Sequence[Rate], *, shares: bool = True) -> str:
    ordered = sorted(rates, key=lambda rate: -rate.share) if shares else rates
    return ", ".join(f"{rate.test} ({rate.share:.1%})" if shares else rate.test for rate in ordered)


def power_tests(simulation: Simulation, window: Window) -> list[str]:
    """Tests that do not reject too often on common dates, the only ones whose power means anything."""
    return [rate.test for rate in _sizes(simulation, "common", window) if rate.verdict != "too often"]


def power_windows(simulation: Simulation) -> list[Window]:
    """Windows that hold day 0."""
    return [window for window in simulation.plan.windows if window[0] <= 0 <= window[1]]


def write_simulation(simulation: Simulation, manifest: Mapping[str, Any], out: Path, *, sector: str) -> Path:
    """Write the folder of a simulation into ``out`` and return it.

    It is written aside and moved in whole. The name ends with a digest of inputs and settings; the same
    simulation again leaves the folder as it is.

    Parameters
    ----------
    manifest
        From `manifest.build_manifest`: settings, inputs by hash, price source, versions.

    Raises
    ------
    OSError
        If the disk is full or refuses; what was half written is removed.
    """
    simulated = bool(manifest["prices"]["simulated"])
    record = {**manifest, "seed": simulation.plan.seed, "simulation": _settings(simulation)}
    digest = hashlib.sha256(json.dumps(plain_json(record), sort_keys=True).encode()).hexdigest()[:8]
    marked = "simulated-" if simulated else ""
    name = f"simulation-{sector or 'study'}-{marked}{simulation.pool.region.lower()}-{digest}"
    with moved_in(out, name) as unfinished:
        _write_files(simulation, record, unfinished, simulated=simulated)
    return out / name


def _settings(simulation: Simulation) -> dict[str, Any]:
    pool = simulation.pool
    plan = simulation.plan
    dense = not set(plan.designs) - set(DENSE)
    days = pool.sessions[dense_rows(pool, plan.peers) if dense else pool.eligible(plan.peers)]
    return {
        **asdict(plan),
        "designs": {name: DESIGNS[name] for name in DESIGNS if name in plan.designs},
        "region": pool.region,
        "benchmark": pool.benchmark,
        "tickers": list(pool.tickers),
        "candidate_sessions": len(days),
        "first_candidate": str(days[0]),
        "last_candidate": str(days[-1]),
        "gaps": list(pool.gaps),
        "planted": {_name(window): planted(window) for window in simulation.plan.windows},
    }


def _write_files(simulation: Simulation, record: Mapping[str, Any], folder: Path, *, simulated: bool) -> None:
    from eventstudy import plots

    with (folder / "simulation.csv").open("w", encoding="utf-8", newline="") as file:
        extra = {"simulated": "SIMULATED"} if simulated else {}
        writer = csv.DictWriter(file, [*COLUMNS, *extra], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **extra} for row in simulation_rows(simulation))
    note = f"prices to {record['prices']['data_date']}"
    plots.save(draw_simulation(simulation, note=note, simulated=simulated), folder / "size-and-power")
    content = {
        **record,
        "rbar": simulation.rbar,
        "sigma": simulation.sigma,
        "conclusions": [conclusion(simulation, window) for window in simulation.plan.windows],
        "outputs": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())},
    }
    write_json(content, folder / "simulation.json")


def print_simulation(simulation: Simulation, folder: Path, console: Console, *, simulated: bool) -> None:
    """Print size by test and design, power, the check after Brown and Warner, and the conclusion."""
    plan, pool = simulation.plan, simulation.pool
    dates = plan.dates if plan.has(*SHORT) else len(pool.gaps) + 1
    if simulated:
        console.print(Text("SIMULATED PRICES – nothing here is about real markets", style="bold red"))
    console.print(
        Text(
            f"{pool.region} against {pool.benchmark}: {len(pool.tickers)} peers, {plan.draws} draws of "
            f"{dates} dates × {plan.peers} peers; mean residual correlation on a date "
            f"{simulation.rbar:.2f}; seed {plan.seed}"
        )
    )
    for window in plan.windows:
        if plan.has(*SHORT):
            console.print(_size_table(simulation, window))
        if plan.has(*DENSE) and pool.gaps:
            console.print(_dense_table(simulation, window))
    console.print(Text(f"↑ above, ↓ below {plan.level:.0%} ± 2.58 standard errors over the draws", style="dim"))
    for window in power_windows(simulation) if plan.has("common") else ():
        console.print(_power_table(simulation, window))
    if plan.has("brown_warner"):
        console.print(Text(brown_warner_line(simulation)))
    for window in plan.windows:
        console.print(Text(conclusion(simulation, window), style="bold"))
    console.print(Text(f"Simulation: {folder}"), soft_wrap=True)


def _size_table(simulation: Simulation, window: Window) -> Table:
    table = Table(box=None, pad_edge=False, title=f"Size, %, window {_name(window)}", title_justify="left")
    table.add_column("test")
    for short in SHORT.values():
        table.add_column(short, justify="right", no_wrap=True)
    for test in simulation.tests:
        rates = [simulation.rate(design, test, window) for design in SHORT]
        if any(rate is not None and rate.n_draws for rate in rates):
            table.add_row(test, *(_size_cell(rate) for rate in rates))
    return table


def _dense_table(simulation: Simulation, window: Window) -> Table:
    """Size and power on dates as dense as the study's own; – where a test did not apply."""
    title = (
        f"Dates as dense as the study's own: size / power at a drop of {planted(window):.1%}, %, window {_name(window)}"
    )
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for name in ("test", "K", "K_eff"):
        table.add_column(name, justify="left" if name == "test" else "right", no_wrap=True)
    shown = [name for name in SHORT_DENSE if simulation.plan.has(name)]
    for name in shown:
        table.add_column(SHORT_DENSE[name], justify="right", no_wrap=True)
    for test in simulation.tests:
        rates = [simulation.rate(design, test, window) for design in shown]
        known = next((rate for rate in rates if rate is not None and rate.n_draws), None)
        if known is None:
            continue
        powers = [simulation.rate(design, test, window, planted(window)) for design in shown]
        cells = [
            Text.assemble(_size_cell(size), f" / {_power(power)}") for size, power in zip(rates, powers, strict=True)
        ]
        table.add_row(test, str(known.n_dates), f"{known.k_eff:.1f}", *cells)
    return table


def _size_cell(rate: Rate | None) -> Text:
    if rate is None or not rate.n_draws:
        return Text("–", style="dim")
    mark, style = {"too often": ("↑", "red"), "too rarely": ("↓", "yellow")}.get(rate.verdict, (" ", "green"))
    return Text(f"{100 * rate.share:.1f}{mark}", style=style)


def _power_table(simulation: Simulation, window: Window) -> Table:
    title = f"Power, %, random / common dates, window {_name(window)}; tests that rejected too often left out"
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    table.add_column("test", no_wrap=True)
    for effect in simulation.plan.effects:
        table.add_column(f"drop {effect:.1%}", justify="right", no_wrap=True)
    for test in power_tests(simulation, window):
        cells = [
            " / ".join(_power(simulation.rate(design, test, window, effect)) for design in POWER_DESIGNS)
            for effect in simulation.plan.effects
        ]
        table.add_row(test, *cells)
    return table


def _power(rate: Rate | None) -> str:
    return f"{100 * rate.share:.0f}" if rate is not None and rate.n_draws else "–"


def brown_warner_line(simulation: Simulation) -> str:
    """Return one sentence that sets the check after Brown and Warner against its analytic target."""
    pairs = [
        f"drop {effect:.1%}: {rate.share:.1%} ({rate.target:.1%})"
        for effect in (0.0, *simulation.plan.effects)
        if (rate := simulation.rate("brown_warner", BROWN_WARNER_TEST, DAY0, effect)) is not None
    ]
    what = f"{PAIRS} random pairs, {BROWN_WARNER_TEST}, one-sided, day 0, rejected (analytic target)"
    return f"{what}: {', '.join(pairs)}"


def draw_simulation(simulation: Simulation, *, note: str, simulated: bool) -> Figure:
    """Return the figure: size by test and design on the left, power of the tests that hold it on the right.

    It shows the first window, and of the tests those of `SHOWN`.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: Any = {
        "font.size": 7.5,
        "axes.titlesize": 8.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "axes.linewidth": 0.6,
        "font.family": "DejaVu Sans",
        "svg.hashsalt": "eventstudy",
        "text.parse_math": False,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(7.6, 4.0))
        FigureCanvasAgg(figure)
        draw_sizes(figure.add_axes((0.135, 0.25, 0.435, 0.675)), simulation)
        draw_power(figure.add_axes((0.635, 0.25, 0.345, 0.675)), simulation)
        figure.text(0.01, 0.015, _caption(simulation, note), fontsize=5.8, color="#555555", va="bottom")
        if simulated:
            figure.text(
                0.5,
                0.5,
                "SIMULATED",
                fontsize=64,
                rotation=15,
                color="#0072B2",
                alpha=0.16,
                ha="center",
                va="center",
                weight="bold",
                zorder=20,
            )
    return figure


def _caption(simulation: Simulation, note: str) -> str:
    plan, pool = simulation.plan, simulation.pool
    return (
        f"{plan.draws} draws of K = {plan.dates} dates × {plan.peers} of {len(pool.tickers)} {pool.region} "
        f"peers against {pool.benchmark} · window {_name(plan.windows[0])} · two-sided {plan.level:.0%} · "
        f"mean residual correlation on a date {simulation.rbar:.2f}\n"
        f"band: {plan.level:.0%} ± 2.58 standard errors · firm-events: random {plan.dates}, one date "
        f"{plan.peers}, all others {plan.dates * plan.peers} · seed {plan.seed} · {note}\n"
        "x2: standard deviation doubled in the event window, of all abnormal returns or of the peers' mean"
    )


def draw_sizes(ax: Axes, simulation: Simulation) -> Axes:
    """Draw the share of rejections without an effect, one row a test, one mark a design."""
    from matplotlib.ticker import NullLocator

    plan, window = simulation.plan, simulation.plan.windows[0]
    tests = [test for test in SHOWN if test in simulation.tests]
    half = 2.58 * (plan.level * (1 - plan.level) / plan.draws) ** 0.5
    low = EDGE
    ax.axvspan(max(plan.level - half, low), plan.level + half, color="#009E73", alpha=0.18, lw=0)
    ax.axvline(plan.level, color="#009E73", lw=0.7)
    for place, (design, (marker, colour)) in enumerate(MARKS.items()):
        points = [
            (max(rate.share, low), at + 0.11 * (place - 2.5))
            for at, test in enumerate(tests)
            if (rate := simulation.rate(design, test, window)) is not None and rate.n_draws
        ]
        x, y = zip(*points, strict=True) if points else ((), ())
        ax.plot(x, y, ls="none", marker=marker, ms=3.6, color=colour, label=SHORT[design], zorder=3, clip_on=False)
    for at in range(1, len(tests)):
        ax.axhline(at - 0.5, color="#E4E4E4", lw=0.5, zorder=0)
    ax.set_xscale("log")
    ax.set_xlim(low, 1.0)
    ticks = (low, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    ax.set_xticks(ticks, [f"≤{100 * low:g}", *(f"{100 * tick:g}" for tick in ticks[1:])])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks(range(len(tests)), tests)
    ax.set_ylim(len(tests) - 0.45, -0.55)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("rejections where nothing happened, % (log scale)")
    ax.set_title("Size by test and design")
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.4, -0.145), ncols=6, fontsize=6.5, handletextpad=0.1, columnspacing=0.9
    )
    return ax


def draw_power(ax: Axes, simulation: Simulation) -> Axes:
    """Draw the share of rejections on common dates against the drop that was added to day 0."""
    from matplotlib.ticker import PercentFormatter

    plan = simulation.plan
    window = next(iter(power_windows(simulation)), None)
    tests = [test for test in SHOWN if window and test in power_tests(simulation, window)]
    effects = (0.0, *plan.effects)
    for test, colour in zip(tests, LINES, strict=False):
        rates = [simulation.rate("common", test, window, effect) for effect in effects if window]
        shares = [rate.share if rate is not None else float("nan") for rate in rates]
        ax.plot(effects, shares, color=colour, lw=1.3, marker="o", ms=2.6, label=test, clip_on=False)
    ax.axhline(plan.level, color="#009E73", lw=0.7, zorder=0)
    ax.set_ylim(0, 1.0)
    ax.set_xlim(0, max(effects))
    ax.set_xticks(effects, [f"{100 * effect:g}" for effect in effects])
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    ax.grid(color="#E4E4E4", lw=0.5)
    ax.set_xlabel("drop added to day 0 of common dates, %")
    ax.set_ylabel("rejections, %", labelpad=1)
    ax.set_title("Power where size is not too high")
    if tests:
        ax.legend(loc="lower right", fontsize=6.5, frameon=True, framealpha=1.0, edgecolor="none")
    return ax
