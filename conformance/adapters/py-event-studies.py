"""py-event-studies: a file as CRSP gives it; one portfolio on one date.

It clusters shares, so sixty more are added for it; the market model does not use them. Its windows lie
evenly around day 0.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import py_event_studies as pes
import reading
from reading import Fixture, Values

#: One for the whole process: a changed setting makes the package read its last file again.
FOLDER = tempfile.TemporaryDirectory()
TESTS = {"cross_sectional_t": "cs", "bmp": "bmp", "bmp_kp": "kp"}


def offers(fixture: Fixture) -> set[str]:
    known = {"caar", "n", *TESTS, *(name + "_p" for name in TESTS)}
    return (
        known if fixture.study["model"]["name"] == "market" and fixture.one_date and len(fixture.events) > 1 else set()
    )


def _crsp(fixture: Fixture) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    market = fixture.returns["MKT"]
    shares = [fixture.returns[t] for t in fixture.tickers] + [
        pd.Series(rng.normal(0, 0.02, len(market)), index=market.index) for _ in range(60)
    ]
    parts = [pd.DataFrame({"PERMNO": i, "RET": r, "PRC": 50.0, "vwretd": market}) for i, r in enumerate(shares, 1)]
    frame = pd.concat(parts).rename_axis("date").reset_index()
    return frame.assign(date=frame["date"].dt.strftime("%Y%m%d").astype(int), PRIMEXCH="N", SICCD=3674)


def _factors(fixture: Fixture) -> pd.DataFrame:
    """The factor file that it reads, of noise: the market model does not use it."""
    days = fixture.returns.index.strftime("%Y%m%d").astype(int)
    noise = np.random.default_rng(2).normal(0, 0.5, (len(days), 4))
    return pd.DataFrame(noise, columns=["SMB", "HML", "RMW", "CMA"], index=pd.Index(days, name="date"))


def compute(fixture: Fixture, window: tuple[int, int]) -> Values:
    preset = window in ((0, 0), (-5, 4))  # its event_period of 10 is day -5 to day +4; tests of one day are of day 0
    if not preset and window[0] != -window[1]:
        raise reading.NotOffered
    half = 5 if preset else window[1]
    period = {} if preset else {"event_period": 2 * half + 1}
    first, last = fixture.study["estimation"]
    for state in (pes.config, pes.data_store):  # as in a new process: 10 days, nothing read
        vars(state).clear()
    with contextlib.redirect_stdout(io.StringIO()):
        _crsp(fixture).to_csv(Path(FOLDER.name, "crsp.csv"), index=False)
        _factors(fixture).to_csv(Path(FOLDER.name, "factors.csv"))
        pes.update_config(estim_period=last - first + 1, delta_estim_event_period=-half - last - 1, **period)
        pes.load_data(str(Path(FOLDER.name, "crsp.csv")), no_cache=True)
        pes.load_ff_factors(str(Path(FOLDER.name, "factors.csv")))
        numbers = [fixture.tickers.index(ticker) + 1 for ticker in fixture.events["ticker"]]
        found = pes.compute(fixture.events["date"].iloc[0], numbers)
    values = {("n", ""): found.n_stocks}
    one_day = window == (0, 0)
    kind = "" if one_day else "_cumulative"
    for test, name in TESTS.items():
        try:
            values[test, ""] = getattr(found, f"{name}{kind}_test_stats")["Market Model"].iloc[0]
            values[test + "_p", ""] = getattr(found, f"{name}{kind}_p_values")["Market Model"].iloc[0]
        except Exception as error:  # the other tests of the window still count
            values[test, ""] = values[test + "_p", ""] = error
    residuals = found.event_residuals[0, found.model_names.index("Market Model")]
    values["caar", ""] = residuals[found.event_idx if one_day else slice(None)].sum() / found.n_stocks
    return values


if __name__ == "__main__":
    reading.main(offers, compute)
