"""Plan of a simulation: designs, draws, windows, effects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from eventstudy.config import Window
from eventstudy.errors import ConfigError, nearest

#: Designs (placement and changes of pseudo-events), in the order of the tables.
DESIGNS: Mapping[str, str] = {
    "random": "random dates, one random peer on each",
    "common": "common dates, all peers on each",
    "all_doubled": "common dates, every abnormal return of the event window doubled",
    "common_doubled": "common dates, only the peers' mean abnormal return doubled",
    "fat_tails": "common dates, simulated t(5) returns with the peers' own correlations",
    "one_date": "a single common date",
    "dense": "dates as dense as the study's own, on histories without its events",
    "dense_regime": "dense dates, every residual 2.5 times as large from the middle date on",
    "dense_doubled": "dense dates, the peers' mean residual doubled on every day that is tested",
    "brown_warner": "random pairs of security and date, one-sided",
}
#: Designs in which a drop is added to day 0.
POWER_DESIGNS = ("random", "common")
#: Designs whose dates are as dense as the study's own, and the factor of the second one's residuals.
DENSE, REGIME = ("dense", "dense_regime", "dense_doubled"), 2.5
#: Pairs of the check after Brown and Warner (1985), its window, and the one test that they report.
PAIRS, DAY0, BROWN_WARNER_TEST = 50, (0, 0), "portfolio_t"
#: Drop that is added on dense dates, for each root of the window's number of days.
PLANTED = 0.01
#: Default number of peers on each common date.
PEERS = 8
#: Smallest number of peers on a common date.
FEWEST_PEERS = 2
_WINDOW = re.compile(r"\[\s*([+-]?\d+)\s*,\s*([+-]?\d+)\s*\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Plan of a simulation.

    Attributes
    ----------
    draws, dates, peers
        Draws of each design, dates K of each draw, peers on each common date.
    windows
        Windows that are tested; power only in windows with day 0.
    effects
        Drops added to day 0, in returns: 0.01 lowers it by 1 %.
    level
        Nominal size of the tests.
    resamples
        Draws inside each bootstrap and permutation test.
    designs
        Those of `DESIGNS` that are simulated.
    """

    draws: int = 1_000
    dates: int = 10
    peers: int = PEERS
    windows: tuple[Window, ...] = ((0, 1), (2, 20))
    effects: tuple[float, ...] = (0.005, 0.01, 0.02, 0.04)
    seed: int = 20260624
    level: float = 0.05
    resamples: int = 199
    designs: tuple[str, ...] = tuple(DESIGNS)

    def __post_init__(self) -> None:
        problems = [
            f"--{name} {value}: accepted is {low} or more"
            for name, value, low in (
                ("draws", self.draws, 1),
                ("dates", self.dates, 2),
                ("peers", self.peers, FEWEST_PEERS),
                ("seed", self.seed, 0),
            )
            if value < low
        ]
        problems += [
            f"--designs {name!r} is unknown; {nearest(name, DESIGNS)}" for name in self.designs if name not in DESIGNS
        ]
        if problems:
            raise ConfigError("; ".join(problems))

    def has(self, *designs: str) -> bool:
        """Whether any of these designs is simulated."""
        return bool(set(designs).intersection(self.designs))


def planted(window: Window) -> float:
    """Mean drop that is added to a window of dense dates: `PLANTED` times the root of its days.

    The standard error grows at the same rate, so one number suits windows of 2 and of 249 days.
    """
    return float(PLANTED * (window[1] - window[0] + 1) ** 0.5)


def parse_windows(text: str) -> tuple[Window, ...]:
    """Read windows written as ``[0,1];[2,20]``; `ConfigError` for anything else."""
    found = [_WINDOW.fullmatch(part.strip()) for part in text.split(";")]
    windows = [(int(match[1]), int(match[2])) for match in found if match]
    if len(windows) < len(found) or any(first > last for first, last in windows):
        raise ConfigError(
            f'--windows {text!r}: accepted are windows of sessions, first to last, such as "[0,1];[2,20]"'
        )
    return tuple(dict.fromkeys(windows))
