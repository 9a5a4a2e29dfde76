"""Walk-forward choice of parameters: from ended shocks only, purged and with an embargo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from eventstudy.backtest.costs import CostTable
from eventstudy.backtest.past_view import Tape
from eventstudy.backtest.portfolio import Memo, run
from eventstudy.backtest.rule import Rule, Shock, decision_time

#: Number of ended shocks before a choice is made; until then the first rule trades.
FEWEST_ENDED = 5


def ended_at(shock: Shock, rule: Rule, tapes: Mapping[str, Tape], embargo: int) -> int | None:
    """Return when a shock's last possible day and the embargo are over, None if they are not.

    Notes
    -----
    Purge: a shock counts as running to day +horizon of the longest rule even if its trades were sold earlier, so that
    no outcome overlaps a later decision (Lopez de Prado 2018, ch. 7).
    """
    ends = []
    for mic, day0 in shock.day0.items():
        row = day0 + rule.horizon + embargo
        if mic in tapes and shock.columns.get(mic):
            if row >= len(tapes[mic]):
                return None
            ends.append(int(tapes[mic].closes[row]))
    return max(ends) if ends else None


def choose(
    rules: Sequence[Rule],
    tapes: Mapping[str, Tape],
    shocks: Sequence[Shock],
    costs: CostTable,
    *,
    embargo: int,
    memo: Memo | None = None,
) -> list[Rule]:
    """Return the rule for each shock: the best so far by mean net return over shocks, else the first.

    Every rule trades every shock separately, so that results do not depend on each other; no trade counts as zero.
    """
    longest = max(rules, key=lambda rule: rule.horizon)
    outcome, ends = np.zeros((len(shocks), len(rules))), list[int | None]()
    for k, shock in enumerate(shocks):
        alone = [run(rule, tapes, [shock], costs, memo=memo) for rule in rules]
        outcome[k] = [sum(trade.net for trade in result.filled) / result.capital for result in alone]
        end = ended_at(shock, longest, tapes, embargo)
        # A delayed sale ends later than the last event day.
        ends.append(end and max(end, *(trade.left for result in alone for trade in result.filled), 0))
    chosen = []
    for shock in shocks:
        times = [time for rule in rules if (time := decision_time(rule, tapes, shock)) is not None]
        known = [j for j, end in enumerate(ends) if end is not None and times and end <= min(times)]
        traded = [j for j in known if outcome[j].any()]
        best = int(outcome[known].mean(axis=0).argmax()) if len(traded) >= FEWEST_ENDED else 0
        chosen.append(rules[best])
    return chosen
