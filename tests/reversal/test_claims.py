"""What reports said about prices, held against them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from eventstudy.config import Market, Peer, StudyConfig
from eventstudy.errors import EventsError, Reason
from eventstudy.messages import text
from eventstudy.prices import PriceSeries, PriceTable
from eventstudy.reversal.claims import Claim, check_claims, read_claims

HEADER = "claim_id,ticker,name,date,date_to,claimed,comparison,source,source_url,notes"
NO_SIZE = "the claim gives no size; shown is the largest move in the claimed direction within {n} session(s)"
CONFIG = StudyConfig(
    markets=(Market("XNYS", "IDX"),),
    peers=(
        Peer(ticker="AAA", market="XNYS", name="Alpha"),
        Peer(ticker="OLD", market="XNYS", name="Gone", until=dt.date(2025, 2, 28)),
        Peer(ticker="NOP", market="XNYS", name="Nowhere"),
    ),
)


def prices(moves: list[float], *, ticker: str = "AAA", start: str = "2026-06-01") -> PriceTable:
    close = 100 * np.cumprod(1 + np.array([0.0, *moves]))
    days = np.datetime64(start) + np.arange(len(close))
    blank = np.full(len(close), np.nan)
    series = PriceSeries(
        ticker=ticker, dates=days, open=blank, high=blank, low=blank, close=close, adj_close=close, volume=blank
    )
    return PriceTable(source="files", series={ticker: series}, outcomes={})


def claim(claimed: float, comparison: str = "about", **fields: object) -> Claim:
    known = {"ticker": "AAA", "name": "Alpha", "date": dt.date(2026, 6, 3), "date_to": None, **fields}
    return Claim(claim_id="C1", claimed=claimed, comparison=comparison, **known)  # type: ignore[arg-type]


def verdict(given: Claim, table: PriceTable) -> tuple[str, str]:
    found = check_claims((given,), table, CONFIG)[0]
    said = text(found.verdict) if isinstance(found.verdict, Reason) else found.verdict
    return said, found.session


MOVES = [0.01, -0.0822, -0.15, 0.02, 0.0]


@pytest.mark.parametrize(
    ("claimed", "comparison", "expected"),
    [
        (-0.08, "about", "confirmed"),
        (-0.08, "at_least", "confirmed"),
        (-0.12, "at_least", "off by 3.8 points"),
        (-0.06, "at_most", "off by 2.2 points"),
        (-0.12, "about", "off by 3.8 points"),
        (-0.20, "at_least", "refuted"),
        (0.08, "about", "refuted"),
        (0.08, "at_least", "refuted"),
        (-0.09, "at_most", "confirmed"),
    ],
)
def test_one_session_against_one_claim(claimed: float, comparison: str, expected: str) -> None:
    assert verdict(claim(claimed, comparison), prices(MOVES)) == (expected, "2026-06-03")


def test_the_best_session_of_a_range_and_the_best_one_nearby() -> None:
    wide = claim(-0.15, date=dt.date(2026, 6, 2), date_to=dt.date(2026, 6, 6))
    assert verdict(wide, prices(MOVES)) == ("confirmed", "2026-06-04")
    narrow = check_claims((claim(-0.15),), prices(MOVES), CONFIG)[0]
    assert narrow.session == "2026-06-03"
    assert narrow.off_by == pytest.approx(0.0678)
    assert (narrow.nearby_session, narrow.nearby_return) == ("2026-06-04", pytest.approx(-0.15))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"date": None}, "the claim has no date"),
        ({"ticker": "OLD", "name": "Gone"}, "not listed: Gone (OLD) was listed until 2025-02-28"),
        ({"ticker": "NOP", "name": "Nowhere"}, "no prices: the price source has none for Nowhere (NOP)"),
        ({"ticker": "ZZZ", "name": ""}, "no prices: ZZZ (ZZZ) is not a peer of this study"),
        ({"date": dt.date(2026, 7, 9)}, "no prices: those of Alpha (AAA) end on 2026-06-06"),
        ({"date": dt.date(2026, 5, 9)}, "no prices: those of Alpha (AAA) start on 2026-06-01"),
        ({"date": dt.date(2026, 6, 1)}, "no prices: AAA has no return on 2026-06-01"),
    ],
)
def test_what_cannot_be_tested_says_why(fields: dict[str, object], reason: str) -> None:
    found = check_claims((claim(-0.08, **fields),), prices(MOVES), CONFIG)[0]
    assert (found.verdict, text(found.reason)) == ("not testable", reason)
    assert np.isnan(found.actual)


def write(folder: Path, *rows: str) -> Path:
    path = folder / "claims.csv"
    path.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
    return path


def test_reading(tmp_path: Path) -> None:
    path = write(tmp_path, "A,AAA,Alpha,2026-06-03,,-8%,at_least,Paper,,note", "B,AAA,,,,fall,,,,")
    first, second = read_claims(path)
    assert (first.claimed, first.comparison, first.date) == (-0.08, "at_least", dt.date(2026, 6, 3))
    assert np.isnan(second.claimed)
    assert (second.comparison, second.sign, second.date) == ("fall", -1.0, None)


@pytest.mark.parametrize(
    ("direction", "day", "expected"),
    [
        ("fall", dt.date(2026, 6, 3), ("confirmed", "2026-06-03")),
        ("rise", dt.date(2026, 6, 3), ("refuted", "2026-06-03")),
        ("rise", dt.date(2026, 6, 2), ("confirmed", "2026-06-02")),
        ("fall", dt.date(2026, 6, 6), ("refuted", "2026-06-06")),
    ],
)
def test_a_claim_without_a_number_is_held_to_its_direction(
    direction: str, day: dt.date, expected: tuple[str, str]
) -> None:
    given = claim(float("nan"), direction, date=day)
    found = check_claims((given,), prices(MOVES), CONFIG)[0]
    assert (found.verdict, found.session) == expected
    assert np.isnan(found.off_by)
    assert text(found.reason) == NO_SIZE.format(n=1)


def test_a_direction_over_a_range_is_its_largest_move() -> None:
    given = claim(float("nan"), "fall", date=dt.date(2026, 6, 2), date_to=dt.date(2026, 6, 6))
    found = check_claims((given,), prices(MOVES), CONFIG)[0]
    assert (found.verdict, found.session) == ("confirmed", "2026-06-04")
    assert found.actual == pytest.approx(-0.15)
    assert text(found.reason) == NO_SIZE.format(n=5)


@pytest.mark.parametrize(("language", "shown"), [("en", "a fall, no size given"), ("zh", "下跌，未给幅度")])
def test_the_pages_print_no_number_that_nobody_gave(language: str, shown: str) -> None:
    from eventstudy.messages import catalogue
    from eventstudy.report.sections.evidence import claims
    from eventstudy.results.result import StudyResult
    from eventstudy.results.tables import _claim_row, frame_of

    given = (claim(float("nan"), "fall"), claim(-0.08, "about"))
    table = frame_of("claims", [_claim_row(row) for row in check_claims(given, prices(MOVES), CONFIG)])
    result = StudyResult("run", {"claims": table}, {"claims": {}}, {})
    *_, part = claims(result, catalogue(language))
    assert part.column("claimed") == [shown, "−8.0%"]


def test_every_problem_of_a_claims_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(
        tmp_path, "A,AAA,,9 June,,-8%,about,,,", "A,AAA,,2026-06-09,2026-06-01,lots,exactly,,,", ",AAA,,,,0,,,,"
    )
    with pytest.raises(EventsError) as error:
        read_claims(path)
    assert [str(problem).removeprefix(str(path)) for problem in error.value.problems] == [
        ":2: date '9 June' is not a date; write it as 2026-06-09",
        ":3: comparison 'exactly'; accepted: about, at_least, at_most",
        ":3: date_to 2026-06-01 lies before date 2026-06-09",
        ":3: claimed 'lots': accepted is a move such as -8% or -0.08, or 'fall' or 'rise'",
        ":3: claim_id 'A' occurs twice",
        ":4: claim_id is empty; give each claim a name",
        ":4: claimed '0': accepted is a move such as -8% or -0.08, or 'fall' or 'rise'",
    ]


def test_the_shipped_claims_can_be_read() -> None:
    claims = read_claims(Path(__file__).parents[2] / "claims.csv")
    assert len(claims) >= 20
    source = [c for c in claims if c.source == "TubeX Research"]
    assert {c.ticker: c.claimed for c in source if c.comparison != "fall"} == {
        "002281.SZ": -0.08,
        "LITE": -0.12,
        "INFN": -0.12,
    }
    # The article says no size for these two.
    unsaid = {c.ticker: c.claimed for c in source if c.comparison == "fall"}
    assert set(unsaid) == {"300308.SZ", "300502.SZ"}
    assert np.isnan(list(unsaid.values())).all()


REAL = Path(__file__).parents[3] / "shared" / "data" / "prices"


@pytest.mark.skipif(not REAL.is_dir(), reason="real prices are not beside the project")
def test_the_shipped_claims_on_real_prices() -> None:
    from eventstudy.config import load_config
    from eventstudy.events import read_events
    from eventstudy.prices.sources import get_prices

    root = Path(__file__).parents[2]
    events, config = read_events(root / "events.csv"), load_config(root / "events.csv")
    table = get_prices(events, config, str(REAL), tell=print)
    found = {r.claim.claim_id: r for r in check_claims(read_claims(root / "claims.csv"), table, config)}
    assert found["HTX-1"].verdict == "confirmed"
    assert found["HTX-1"].actual == pytest.approx(-0.1717, abs=5e-5)
    assert found["HTX-2"].verdict == "confirmed"
    assert found["TUBEX-4"].verdict.code == "claim.off_by"
    assert text(found["TUBEX-5"].reason) == "not listed: Infinera (INFN) was listed until 2025-02-28"
    assert found["DS25-2"].verdict == "refuted"
    assert found["DS25-2"].nearby_session == "2025-01-27"
