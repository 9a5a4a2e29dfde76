"""Data of the interactive page: the arrays of the firm-events in one block of bytes, with their names."""

from __future__ import annotations

import base64
import colorsys
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventstudy.messages import kind_of_study, section, term
from eventstudy.plots.style import label_colour
from eventstudy.report.wording import Words, words_of
from eventstudy.results.result import StudyResult
from eventstudy.results.study_run import Explored

#: Largest number of two bytes: residuals and regressors are held as shares of the largest of their row.
STEPS = 32_767
#: Steps of residuals within one of these.
FINE = 16
#: Background and text colour of a dark page, as in the template.
NIGHT, NIGHT_INK = (0x16 / 255, 0x18 / 255, 0x1B / 255), (0xE8 / 255,) * 3


def explored_data(result: StudyResult, language: str) -> dict[str, Any] | None:
    """Return the data for the page's script as plain JSON; None if a result has no firm-events.

    ``bytes`` are the arrays of `_arrays`, deflated and in base64, and ``arrays`` their types, shapes and places.
    """
    explored = result.explored
    if explored is None:
        return None
    sample, panel, words = explored.sample, explored.sample.abnormal.panel, words_of(result, language)
    arrays = _arrays(explored)
    places, parts, at = {}, [], 0
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array).tobytes()
        places[name] = [array.dtype.str[1:], at, list(array.shape)]
        parts.append(raw + bytes(-len(raw) % 8))
        at += len(parts[-1])
    state: Any = np.random.PCG64(sample.seed).state
    return {
        "bytes": base64.b64encode(zlib.compress(b"".join(parts), 9)).decode(),
        "arrays": places,
        "tau": panel.tau.tolist(),
        "weighting": sample.weighting if sample.weighting != "value" or panel.weight is not None else "market-balanced",
        "by_value": sample.weighting == "value" and panel.weight is not None,
        "alternative": sample.alternative,
        "draws": sample.draws,
        # As texts: numbers of 128 bits.
        "random": {key: str(state["state"][key]) for key in ("state", "inc")},
        "windows": [list(window) for window in result.windows.car],
        "names": _names(result, explored, words, local=language == "zh"),
        "words": section(language, "explore", kind_of_study(result.facts)),
        "amount": words["amount.cell"],
    }


def _names(result: StudyResult, explored: Explored, words: Words, *, local: bool) -> Mapping[str, Any]:
    """Names for the codes in `_arrays`."""
    panel = explored.sample.abnormal.panel
    peers = result.facts.get("peers") or {}
    told = result.tables["shocks"].drop_duplicates("shock_id").set_index("shock_id")["title"].to_dict()
    return {
        # With the colours of its line on a light and on a dark page.
        "label": [
            [label, term(words, "label", label), colour, at_night(colour.removeprefix("#"))]
            for label in _kinds(explored.label)
            for colour in [label_colour(label).lower()]
        ],
        "market": [[market, term(words, "market", market)] for market in _kinds(panel.market)],
        "region": _kinds(panel.region),
        "shock": [[shock, str(told.get(shock) or "")] for shock in _kinds(panel.shock_id)],
        "event": _kinds(panel.event_id),
        "ticker": [
            [ticker, str((local and peer.get("name_local")) or peer.get("name") or "")]
            for ticker in _kinds(panel.ticker)
            for peer in [peers.get(ticker) or {}]
        ],
    }


def at_night(colour: str) -> str:
    """Return a colour (six hexadecimal digits) for a dark page, with the same hue and contrast as on white."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4))
    hue, _, strength = colorsys.rgb_to_hls(red, green, blue)
    contrast = 1.05 / (_luminance((red, green, blue)) + 0.05)
    wanted = min(contrast * (_luminance(NIGHT) + 0.05) - 0.05, _luminance(NIGHT_INK))
    if contrast < 1.001:
        return _written(NIGHT)
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        dark = _luminance(colorsys.hls_to_rgb(hue, middle, strength)) < wanted
        low, high = (middle, high) if dark else (low, middle)
    return _written(colorsys.hls_to_rgb(hue, high, strength))


def _written(colour: tuple[float, ...]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)


def _luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance after WCAG 2.1."""
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _kinds(texts: NDArray[np.str_]) -> list[str]:
    return [str(text) for text in np.unique(texts)]


def _arrays(explored: Explored) -> dict[str, NDArray[Any]]:
    """Return the arrays by name: N firm-events, L1 estimation days, L2 event days, p coefficients.

    Regressors that several firm-events share are stored once; ``design_of`` and ``window_of`` are their indices.
    """
    abnormal = explored.sample.abnormal
    panel, expected = abnormal.panel, abnormal.expected
    ar = np.where((expected.sigma2 > 0)[:, None], abnormal.ar, np.nan)
    window, window_of = np.unique(np.nan_to_num(expected.event_design), axis=0, return_inverse=True)
    design, design_of = _shared_design(explored)
    factor = np.abs(design).max(axis=1, initial=0.0)
    residual = expected.residuals
    largest = np.nanmax(np.abs(residual), axis=1, initial=0.0)
    # Twenty bits: a sign flip near the observed one asks for more than two bytes hold.
    steps = np.rint(np.nan_to_num(_over(residual, largest[:, None])) * STEPS * FINE).astype(np.int32)
    coarse = np.where(np.isfinite(residual), steps // FINE, -STEPS - 1)
    fine = np.pad((steps % FINE).ravel(), (0, steps.size % 2)).reshape(-1, 2)
    value = panel.weight if explored.sample.weighting == "value" and panel.weight is not None else np.ones(len(panel))
    return {
        **{
            name: np.unique(codes, return_inverse=True)[1].astype("<u2")
            for name, codes in {
                "event": panel.event_id,
                "shock": panel.shock_id,
                "ticker": panel.ticker,
                "market": panel.market,
                "region": panel.region,
                "label": explored.label,
            }.items()
        },
        "lead": panel.lead.astype("u1"),
        "headline": explored.headline.astype("u1"),
        "value": value.astype("<f8"),
        "ar": ar.astype("<f4"),
        "covered": (panel.spans()[1] == 0).astype("u1"),
        "scale": np.nan_to_num(expected.scale, nan=1.0).astype("<f4"),
        "estimated": (expected.n_estimation - expected.dof).astype("<f4"),
        "event_session": panel.event_sessions.astype("<i4"),
        "estimation_session": panel.estimation_sessions.astype("<i4"),
        "residual": coarse.astype("<i2"),
        "fine": (fine[:, 0] + FINE * fine[:, 1]).astype("u1"),
        "largest": (largest / STEPS).astype("<f8"),
        "design": np.rint(_over(design, factor[:, None]) * STEPS).astype("<i2"),
        "factor": (factor / STEPS).astype("<f8"),
        "design_of": design_of.astype("<u2"),
        "window": window.astype("<f4"),
        "window_of": window_of.reshape(-1).astype("<u2"),
        "xtx_inv": expected.xtx_inv.astype("<f8"),
    }


def _over(values: NDArray[Any], by: NDArray[Any]) -> NDArray[Any]:
    return values / np.where(by > 0, by, 1.0)


def _shared_design(explored: Explored) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return regressors (U, L1, p), each once, and which of them each firm-event has on the days that it used."""
    expected, panel = explored.sample.abnormal.expected, explored.sample.abnormal.panel
    design = expected.estimation_design
    used = np.isfinite(expected.residuals)
    kept: list[tuple[NDArray[Any], NDArray[Any]]] = []
    place: dict[tuple[str, bytes], list[int]] = {}
    of = np.zeros(len(panel), dtype=np.intp)
    for i in range(len(panel)):
        alike = place.setdefault((str(panel.market[i]), panel.estimation_sessions[i].tobytes()), [])
        for at in alike:
            values, there = kept[at]
            both = there & used[i]
            if (values[both] == design[i][both]).all():
                values[used[i]] = design[i][used[i]]
                there |= used[i]
                of[i] = at
                break
        else:
            alike.append(len(kept))
            of[i] = len(kept)
            kept.append((np.where(used[i][:, None], design[i], 0.0), used[i].copy()))
    return np.array([values for values, _ in kept]), of
