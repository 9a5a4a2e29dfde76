"""Rows beside the main question about answered reports, from a finished pack: nothing is estimated anew but the mean.

    python benchmarks/answered_reports.py results/answered-reports-2024 --out docs/answered-reports-rows.md

Each row is the regression of the verdict over other drops of the pack: of another label, kind of claim, type of
publisher, time to the answer, size; or without one publisher, year or company. `docs/answered-reports.md` fixed which
rows there are before the prices were read.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from eventstudy.config import sector_file
from eventstudy.reversal.controls import week_of
from eventstudy.reversal.estimator import Excess, Falls, estimate
from eventstudy.reversal.question import without_overlaps

#: Companies with the most reports.
FREQUENT = ("AAPL", "TSLA", "AMZN", "HLF")


def read(pack: Path) -> tuple[Falls, pd.DataFrame, int]:
    """The falls of a pack, a row each with what the events file says, and the seed."""
    events = pd.read_csv(sector_file("answered_reports").with_name("events.csv"), dtype=str, keep_default_na=False)
    rows, known = (pd.read_parquet(pack / "tables" / f"{name}.parquet") for name in ("falls", "reversal"))
    own = ["event_id", "publisher", "publisher_type", "claim_kind", "answer_lag", "round", "answer_round"]
    rows = rows.merge(events[own], how="left", left_on="event", right_on="event_id")
    known = known.set_index("shock_id")
    rows["in_time"] = rows["event"].map(known["label_in_time"]).eq(True)
    rows["overlaps"] = rows["event"].map(known["overlaps"].fillna("")).fillna("")
    settings = json.loads((pack / "manifest.json").read_text(encoding="utf-8"))["settings"]
    first, last = settings["windows"]["post"]
    falls = Falls(
        event=(rows["event"] != "").to_numpy(),
        week=week_of(pd.to_datetime(rows["day0"]).to_numpy("datetime64[D]").astype(np.int64)),
        length=last - first + 1,
        **{name: rows[name].to_numpy(str) for name in ("stratum", "family")},
        **{name: rows[name].to_numpy() for name in ("session", "drop_s", "run_up", "post", "sigma", "recent")},
    )
    return falls, rows, int(settings["study"]["seed"])


def sentence(name: str, found: Excess) -> str:
    """One row of a table."""
    if not found.n_events or not np.isfinite(found.effect):
        return f"| {name} | {found.n_weeks} | | n/a | n/a | n/a |"
    ends = f"{found.lower:+.1%} to {found.upper:+.1%}" if np.isfinite(found.lower) else "none: a rank"
    return f"| {name} | {found.n_events} | {found.k_eff:.1f} | {found.effect:+.1%} | {ends} | {found.p_value:.3f} |"


def tables(falls: Falls, rows: pd.DataFrame, seed: int) -> Iterator[str]:
    """Every row, group by group."""
    control, label = ~falls.event, rows["label"].to_numpy(str)
    shock, overlaps = rows["event"].to_numpy(str), rows["overlaps"].tolist()
    counted = np.zeros(len(rows), dtype=bool)
    for name in ("denied", "contested", "silent"):
        counted |= without_overlaps(((label == name) & rows["in_time"]).to_numpy(), shock, overlaps)

    def of(mask: np.ndarray) -> Excess:
        return estimate(falls.take(control | (mask & counted)), seed=seed, moderated=False)

    def column(name: str, value: str) -> np.ndarray:
        return (rows[name] == value).to_numpy()

    denied, silent, fact = label == "denied", label == "silent", column("claim_kind", "fact")
    head = "| drops | n | K_eff | excess over days +2 to +20 | 95 % interval | p |\n|---|---|---|---|---|---|"
    yield head
    main = {name: of(label == name) for name in ("denied", "contested", "silent")}
    facts = {"denied, facts alone": of(denied & fact), "silent, facts alone": of(silent & fact)}
    for name, found in (*main.items(), *facts.items()):
        yield sentence(name, found)
    yield difference("denied less silent", main["denied"], main["silent"])
    known = main["denied"]
    told = (f"{100 * found_in(known, size):.0f} of 100 with {100 * size:.0f} points" for size in (0.02, 0.05, 0.10))
    yield difference("denied less silent, facts alone", *facts.values())
    for name in sorted(set(rows.loc[denied & counted, "publisher_type"])):
        yield sentence(f"denied, {name.replace('_', ' ')}", of(denied & column("publisher_type", name)))
    yield sentence("denied by the close of day 0", of(denied & column("answer_lag", "first_close")))
    yield sentence("denied by the close of day +1", of(denied & column("answer_lag", "second_close")))
    for number, name in (("1", "first"), ("2", "second"), ("3", "third")):
        yield sentence(f"denied, {name} round", of(denied & column("round", number)))
    yield sentence("denied, answer or its hour from the third search", of(denied & column("answer_round", "3")))
    middle = np.median(falls.drop_s[denied & counted])
    yield sentence(f"denied, S above {middle:.1f}", of(denied & (falls.drop_s > middle)))
    yield sentence(f"denied, S at or below {middle:.1f}", of(denied & (falls.drop_s <= middle)))
    often = (
        "With a standard error as large as that of the denied drops, studies find a true effect (p ≤ 5 %) this often"
    )
    yield f"\n{often}: {', '.join(told)}."
    yield f"\n| denied without | n | K_eff | excess | 95 % interval | p |\n{head.splitlines()[1]}"
    for name in FREQUENT:
        yield sentence(name, of(denied & (falls.stratum != name)))
    years = rows["day0"].str[:4]
    for title, values in (("publisher", rows["publisher"]), ("year", years)):
        without = {value: of(denied & (values != value).to_numpy()) for value in sorted(set(values[denied & counted]))}
        ordered = sorted(without, key=lambda value: without[value].effect)
        for value in (ordered[0], ordered[-1]):
            yield sentence(f"{value} (of {len(without)} {title}s the one that moves it most)", without[value])
        most = max(without, key=lambda value: without[value].p_value), min(without, key=lambda v: without[v].p_value)
        yield f"| any {title}: p from {without[most[1]].p_value:.3f} to {without[most[0]].p_value:.3f} | | | | | |"


def by_endpoint(pack: Path) -> Iterator[str]:
    """Rows of the two endpoints: with labels known in time, and exploratory with those set later."""
    yield "| endpoint | labels | dates | excess | 95 % interval |\n|---|---|---|---|---|"
    for row in pd.read_parquet(pack / "tables" / "endpoints.parquet").itertuples():
        of = f"{row.endpoint}: drop {row.window_drop}, then {row.window_post}"
        yield f"| {of} | known in time | {row.n_judged} | {row.effect:+.1%} | {row.lower:+.1%} to {row.upper:+.1%} |"
        ends = f"{row.lower_late:+.1%} to {row.upper_late:+.1%}"
        yield f"| {of} | known later too (exploratory) | {row.n_late} | {row.effect_late:+.1%} | {ends} |"


def found_in(found: Excess, size: float) -> float:
    """Share of studies with this error and these degrees of freedom that find such an effect, two-sided 5 %."""
    return float(1 - special.nctdtr(found.df, size / found.se, special.stdtrit(found.df, 0.975)))


def difference(name: str, first: Excess, second: Excess) -> str:
    """The difference of two effects whose errors are taken as independent, degrees of freedom by Welch's rule."""
    gap, square = first.effect - second.effect, np.array([first.se**2, second.se**2])
    df = square.sum() ** 2 / (square**2 / np.array([first.df, second.df])).sum()
    half = special.stdtrit(df, 0.975) * np.sqrt(square.sum())
    p = 2 * special.stdtr(df, -abs(gap) / np.sqrt(square.sum()))
    n = first.n_events + second.n_events
    return f"| {name} | {n} | | {gap:+.1%} | {gap - half:+.1%} to {gap + half:+.1%} | {p:.3f} |"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    lines = "\n".join((*tables(*read(given.pack)), "", *by_endpoint(given.pack)))
    command = f"```sh\npython benchmarks/answered_reports.py {given.pack} --out {given.out}\n```"
    intro = (
        "Each row applies the regression of the verdict to other drops of the pack. The groups were [fixed "
        "beforehand](answered-reports.md); the rounds were added with the second and third "
        "registration, the row of the third search and the fourth company without one. The estimator is that of the "
        "registrations. No row is a verdict, and no p is adjusted for the number of rows."
    )
    given.out.write_text(
        f"# Further results on answered reports\n\n{intro}\n\n{lines}\n\n"
        f"<!-- not run: needs the pack and the events that ship -->\n{command}\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
