"""Time of one package of PyPI on firm-events of 250 + 31 days, run by `engine.py` in its environment.

    python benchmarks/peers.py PACKAGE FILE.npz

FILE.npz holds ``y`` and ``x`` (n, 281), complete returns of securities and of their index. Preparing
the package's own input is not timed. Prints {"events": n, "seconds": s} as JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
import warnings

import numpy as np

ESTIMATION, BEFORE, AFTER = 250, 10, 20


def eventstudy(y: np.ndarray, x: np.ndarray) -> float:
    """PyPI eventstudy 0.1a12: its model function on arrays, without its look-up of dates."""
    from eventstudy import Single, models

    start = time.perf_counter()
    for own, market in zip(y, x, strict=True):
        Single(
            models.market_model,
            {"security_returns": own, "market_returns": market},
            event_window=(-BEFORE, AFTER),
            estimation_size=ESTIMATION,
            buffer_size=0,
        )
    return time.perf_counter() - start


def easy_es(y: np.ndarray, x: np.ndarray) -> float:
    """PyPI easy-es 0.1.2: run_study with returns and factors given, in one process."""
    import pandas as pd
    from easy_es import EventStudy

    days = pd.bdate_range("2015-01-01", periods=y.shape[1])
    names = [f"S{i}" for i in range(len(y))]
    returns = pd.DataFrame(
        {"Ret": y.ravel(), "Date": np.tile(days.date, len(y)), "ticker": np.repeat(names, y.shape[1]), "Volume": 1.0}
    )
    study = EventStudy(estimation_days=ESTIMATION, gap_days=0, window_before=BEFORE, window_after=AFTER, n_cores=1)
    study.add_returns(ret_df=returns)
    factors = pd.DataFrame({"Date": days.date, "Mkt-RF": x[0], "RF": 0.0})
    study.add_factors(factors)
    events = pd.DataFrame({"ticker": names, "event_date": days[ESTIMATION + BEFORE]})
    start = time.perf_counter()
    found = study.run_study(events)
    seconds = time.perf_counter() - start
    assert found["event_id"].nunique() == len(y)
    return seconds


def event_study_toolkit(y: np.ndarray, x: np.ndarray) -> float:
    """PyPI event-study-toolkit 1.0.0: abnormal returns of the market model."""
    import pandas as pd
    import pandas_market_calendars as mcal
    from event_study_toolkit.eventstudy import eventstudy as study

    days = mcal.get_calendar("NYSE").schedule("2018-01-01", "2020-12-31").index[: y.shape[1]]
    ids = np.arange(1, len(y) + 1)
    data = pd.DataFrame(
        {
            "permno": np.repeat(ids, y.shape[1]),
            "date": np.tile(days, len(y)),
            "ret_dlst_adj": y.ravel(),
            "vwretd": x.ravel(),
        }
    )
    events = pd.DataFrame({"permno": ids, "EVT_DATE": days[ESTIMATION + BEFORE], "GRP": "a"})
    start = time.perf_counter()
    made = study(ESTIMATION, 0, -BEFORE, AFTER, data, events, groups=["GRP"])
    found = made.getAbnormalReturns("market")
    seconds = time.perf_counter() - start
    assert found["permno"].nunique() == len(y)
    return seconds


PACKAGES = {"eventstudy": eventstudy, "easy-es": easy_es, "event-study-toolkit": event_study_toolkit}


def main() -> None:
    """Run one package on a few events, so that it is loaded, then on all; print the second time."""
    warnings.simplefilter("ignore")
    name, path = sys.argv[1:]
    with np.load(path) as held:
        y, x = held["y"], held["x"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        PACKAGES[name](y[:3], x[:3])
        seconds = PACKAGES[name](y, x)
    print(json.dumps({"events": len(y), "seconds": seconds}))


if __name__ == "__main__":
    main()
