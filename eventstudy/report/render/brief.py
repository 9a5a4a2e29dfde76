"""Text of a result at a Python prompt: ten lines at most."""

from __future__ import annotations

import textwrap

from eventstudy.messages import said
from eventstudy.registry import VIEWS
from eventstudy.report.sections.answer import headline
from eventstudy.report.wording import Words, amount, number, p_text, span, test_name, window_words, words_of
from eventstudy.results.records import TestRow
from eventstudy.results.result import StudyResult

WIDTH = 100
#: Largest number of lines for the verdict, so that the whole text has ten.
VERDICT_LINES = 2
#: Tests in order of preference: the mean over dates with an interval, then the first test of the pages.
HEADLINE = ("ibragimov_mueller", "date_t")


@VIEWS.add("repr")
def brief(result: StudyResult) -> str:
    """Return study, run, verdict, counts, the first window's mean, dates, warnings, and how to go on."""
    words, facts = words_of(result), result.facts
    counts = result.counts
    lines = [words["brief.study"].format(name=facts.get("study") or "")]
    if result.simulated:
        lines.append(words["page.simulated_banner"])
    source, date = facts.get("price_source") or "", facts.get("data_date") or ""
    lines.append(words["brief.run"].format(id=result.run_id, source=source, date=date))
    sentence = headline(facts, words)
    lines += _cut(words["brief.verdict"].format(sentence=sentence), VERDICT_LINES)
    lines += _cut(
        words["brief.counts"].format(
            used=counts.used,
            shifted=counts.shifted,
            dropped=counts.dropped,
            events=counts.n_events,
            shocks=counts.n_shocks,
            peers=counts.n_peers,
        )
    )
    window = next(iter(result.windows.car), (0, 1))
    following = words["brief.next"].format(window=tuple(window))
    return "\n".join([*lines, *_first_window(result, words), *_warnings(result, words), following])


def _first_window(result: StudyResult, words: Words) -> list[str]:
    """Two lines on the headline group in the first window; none without tests."""
    test = headline_test(result)
    if test is None:
        return []
    mean = words["brief.car"].format(
        name=words["column.car_of"].format(window=window_words(test.window)),
        estimate=amount(test.estimate, words),
        interval=span(*test.conf_int(), words),
        p=p_text(test.p_value),
        test=test_name(words, test.name),
    )
    return [*_cut(mean), words["brief.dates"].format(k=test.n_dates, k_eff=number(test.k_eff, 1))]


def headline_test(result: StudyResult) -> TestRow | None:
    """Return the test of the headline group's mean in the first window of ``windows.car``, None if there is none."""
    facts = result.facts
    if "tests" not in result.tables or not result.windows.car:
        return None
    group, window = facts.get("headline_group") or "all", result.windows.car[0]
    rows = {row.name: row for row in result.tests.where(group=group, window=window)}
    return next((rows[name] for name in (*HEADLINE, *rows) if name in rows), None)


def _warnings(result: StudyResult, words: Words) -> list[str]:
    texts = result.facts.get("warnings") or ()
    if not texts:
        return [words["brief.no_warnings"]]
    return _cut(words["brief.warnings"].format(n=len(texts), text=said(texts[0], words)))


def _cut(text: str, lines: int = 1) -> list[str]:
    return textwrap.wrap(text, WIDTH, max_lines=lines, placeholder=" …") or [""]
