"""How often does page 1 say "reversal" of events that mean nothing?

    python benchmarks/placebo_lists.py events.csv PRICES --lists 500 --out docs/size-of-the-verdict.md

Random event lists go through the whole analysis on real prices. They name random sessions; random sessions
on which the peers fell enough to count as a drop, one of every slide; the same under a rule loose enough
that most lists leave six dates or more with a benchmark; and, last, such falls drawn day by day, so that
long slides are drawn more often than placebos hold them. All events are labelled misreading at once, so
that every drop counts. The prices are read once; everything from the windows to the verdict is done
anew for each list. With fewer than six dates no verdict but "inconclusive" can be given: rates are of the
lists with six or more.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eventstudy.config import StudyConfig, load_config
from eventstudy.core.estimation import compute, groups, headline_group
from eventstudy.core.statistics.dates import FEWEST_DATES
from eventstudy.errors import EstimationError
from eventstudy.events import Event, Events, read_events
from eventstudy.prices import PriceTable
from eventstudy.prices.sources import get_prices
from eventstudy.reversal import study_shocks
from eventstudy.reversal.controls import pool_of, screen
from eventstudy.reversal.history import History

#: Events of a list; sessions between neighbours, so that no two post windows overlap.
EVENTS, APART = 8, 25
KINDS = ("reversal", "drift", "equivalent to none", "inconclusive", "no event usable")
#: Rule for drops of the last design: standard errors and return.
LOOSE = (1.0, 0.02)


def main() -> None:
    """Run the lists and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("events", type=Path)
    parser.add_argument("prices")
    parser.add_argument("--lists", type=int, default=500)
    parser.add_argument("--seed", type=int, default=20260624)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    events, config = read_events(given.events), load_config(given.events)
    prices = get_prices(events, config, given.prices, tell=print)
    loose = replace(config, reversal=replace(config.reversal, drop_k=LOOSE[0], drop_min=LOOSE[1]))
    sessions, drops = candidate_days(events, config, prices)
    falls = candidate_days(events, loose, prices)[1]
    rule = f"falls beyond {LOOSE[0]:g} standard error and {LOOSE[1]:.0%}"
    designs = (
        ("random sessions", sessions, config, False),
        ("random drops", drops, config, True),
        (f"random {rule}", falls, loose, True),
        (f"random {rule}, day by day", falls, loose, False),
    )
    rng = np.random.default_rng(given.seed)
    begin = time.perf_counter()
    rows = []
    for name, days, settings, spaced in designs:
        count = -(-given.lists // len(designs))
        lists = (random_list(one_of_every_slide(days, rng) if spaced else days, rng) for _ in range(count))
        outcomes = [verdict_of(events, settings, prices) for events in lists]
        rows.append(Design(name, len(days), settings is config, tuple(outcomes)))
        print(name, Counter(o.kind for o in outcomes), f"{time.perf_counter() - begin:.0f} s", flush=True)
    text = page(rows, given, prices.last_date)
    if given.out:
        given.out.write_text(text, encoding="utf-8", newline="\n")
    print(text)


def candidate_days(events: Events, config: StudyConfig, prices: PriceTable) -> tuple[np.ndarray, np.ndarray]:
    """Sessions with a full estimation and post window, and those on which the peers' fall is a drop."""
    computed = compute(events, config, prices)
    peers = config.study.headline or config.peers[0].group
    tickers = [
        p.ticker
        for p in config.peers
        if p.group == peers and any(p.ticker in market.tickers for market in computed.returns.markets.values())
    ]
    blank = {mic: np.zeros(m.returns.shape, dtype=bool) for mic, m in computed.returns.markets.items()}
    history = History(computed.returns, blank, config)
    days = history.days(tickers)
    screened = screen(history, tickers, days, history.config)
    usable = days[screened.complete() | (np.isfinite(screened.car_post).sum(axis=1) >= 5)]
    falls = np.isin(days, usable) & (screened.drop() <= -config.reversal.drop_min)
    pool = pool_of(history, tickers, days[falls], history.config)
    return usable, pool.day[pool.qualifies]


def one_of_every_slide(days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random days no two of which lie near each other, as many as there can be."""
    chosen: list[int] = []
    for day in rng.permutation(days):
        if all(abs(int(day) - other) > APART * 1.5 for other in chosen):
            chosen.append(int(day))
    return np.array(chosen)


def random_list(days: np.ndarray, rng: np.random.Generator) -> Events:
    """Events on random days, far enough apart."""
    chosen = one_of_every_slide(days, rng)[:EVENTS]
    rows = []
    for number, day in enumerate(sorted(chosen.tolist())):
        date = np.datetime64(day, "D").astype(dt.date)
        rows.append(
            Event(
                event_id=f"R{number}",
                timestamp=date,
                precision="date",
                kind="report",
                label="misreading",
                label_asof=date,
                shock_id=f"R{number}",
            )
        )
    return Events(tuple(rows), "random.csv", "")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Verdict of page 1, the dates it rests on and its p-value."""

    kind: str
    n_dates: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Design:
    """Lists drawn in one way from ``days`` days; ``own_rule`` where the study's rule says what a drop is."""

    name: str
    days: int
    own_rule: bool
    outcomes: tuple[Outcome, ...]

    @property
    def able(self) -> list[Outcome]:
        """Lists with the dates that a verdict other than "inconclusive" takes."""
        return [o for o in self.outcomes if o.n_dates >= FEWEST_DATES]

    def said(self, kind: str) -> int:
        """Count the lists of which a verdict was given."""
        return sum(o.kind == kind for o in self.outcomes)


def verdict_of(events: Events, config: StudyConfig, prices: PriceTable) -> Outcome:
    """Analyse one list."""
    nothing = Outcome("no event usable", 0, float("nan"))
    try:
        computed = compute(events, config, prices)
    except EstimationError:
        return nothing
    name = headline_group(config)
    headline = next((s for s in groups(computed.sample, events, config) if s.group == name), None)
    if headline is None:
        return nothing
    answer = study_shocks(computed, headline, config).verdict
    return Outcome(answer.kind, answer.n_dates, answer.p_value)


def page(rows: list[Design], given: argparse.Namespace, last: str) -> str:
    """The page with the table and the command that makes it."""
    total = sum(len(row.outcomes) for row in rows)
    opening = (
        f"{total} lists of {EVENTS} events that mean nothing went through the whole analysis on real prices "
        f"(to {last}). All events were labelled misreading at once, so that every drop counts. A list with "
        f"fewer than {FEWEST_DATES} dates is inconclusive whatever it holds and shows nothing about size; of "
        'the others a sound tool says "reversal" of at most 2.5 %, and "drift" of as many, up to Monte Carlo '
        "error."
    )
    command = (
        f"python benchmarks/placebo_lists.py events.csv PRICES --lists {given.lists} --out docs/size-of-the-verdict.md"
    )
    many = f"lists with {FEWEST_DATES} or more"
    head = (*KINDS, "dates behind the verdict, mean", many, "permutation p ≤ 5 %")
    lines = ["# Size of the verdict", "", opening, ""]
    lines.append(f"| lists of | days to draw from | lists | {' | '.join(head)} |")
    lines.append("|---" * (3 + len(head)) + "|")
    for row in rows:
        lines.append(f"| {row.name} | {row.days:,} | {len(row.outcomes)} | {' | '.join(cells(row))} |")
    lines += ["", *(f"- {text}" for text in closing(rows)), "", f"Seed {given.seed}.", ""]
    lines += ["<!-- not run: takes long, and needs the prices -->", "```sh", command, "```"]
    return "\n".join(lines) + "\n"


def closing(rows: list[Design]) -> list[str]:
    """What the table shows, and what it cannot."""
    able = sum(len(row.able) for row in rows)
    if not able:
        return [f"No list had {FEWEST_DATES} dates: nothing is known about the size of the verdict."]
    each = ", ".join(str(len(row.able)) for row in rows)
    drift = "; ".join(f"{row.said('drift')} of {len(row.able)}, {row.name}" for row in rows if row.able)
    most = f"{allowed(0.025, able):.1%}"
    reversal = (
        f"**{able} lists could be called anything but inconclusive** ({each}, row by row). "
        f"{counted('reversal', rows)}; allowed are {most} (2.5 % and 2.58 standard errors)."
    )
    slides = (
        "The last column counts the lists in which some date has a benchmark; with one date and ten placebos "
        "p cannot reach 5 %. The last row is a warning: there the permutation test alone rejects too often. "
        "Falls drawn day by day lie in long slides more often than their placebos, of which a slide gives "
        "one, and what follows a fall in a slide is lower. Events are to be dated by their news."
    )
    return [reversal, f"{counted('drift', rows)} ({drift}); allowed are the same {most}.", own_rule(rows), slides]


def own_rule(rows: list[Design]) -> str:
    """Whether the study's own rule for drops was put to the test."""
    own = sum(len(row.able) for row in rows if row.own_rule)
    if own:
        return f"The study's own rule for drops made {own} of these lists, a looser one the others."
    return (
        f"**None of these lists was made by the study's own rule for drops**: under it no list came to "
        f"{FEWEST_DATES} dates with a benchmark, so its size with that many is not measured here."
    )


def counted(kind: str, rows: list[Design]) -> str:
    """How many of the lists that could be given a verdict were given this one."""
    found, able = sum(row.said(kind) for row in rows), sum(len(row.able) for row in rows)
    return f'"{kind.capitalize()}" was said of {found} of {able}, {found / able:.1%}'


def allowed(share: float, lists: int) -> float:
    """Largest share of lists that chance leaves to a rate of ``share``."""
    return share + 2.58 * math.sqrt(share * (1 - share) / lists)


def cells(row: Design) -> list[str]:
    """Counts of one design."""
    tested = [o for o in row.outcomes if np.isfinite(o.p_value)]
    small = sum(o.p_value <= 0.05 for o in tested)
    share = f"{small} of {len(tested)} ({small / len(tested):.1%})" if tested else "none tested"
    mean = np.mean([o.n_dates for o in row.outcomes])
    return [*(str(row.said(kind)) for kind in KINDS), f"{mean:.1f}", str(len(row.able)), share]


if __name__ == "__main__":
    main()
