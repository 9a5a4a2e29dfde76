"""The pages of a study: its sections in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from eventstudy import plots
from eventstudy.messages import kind_of_study, term
from eventstudy.report.document import Block, Columns, Document, FigureBlock, Paragraph, Section, TableBlock
from eventstudy.report.sections import checks, covariates, each_shock, effect, evidence, ledger, method, tests, trade
from eventstudy.report.sections.answer import answer, headline
from eventstudy.report.wording import Words, language_of, words_of
from eventstudy.results.result import StudyResult

#: Figures narrower than this, in inches, are not spread over the page.
NARROW = 5.0
#: Tables with at most this number of columns fit next to a figure.
MOST_COLUMNS = 4
Part = tuple[Callable[[StudyResult, Words], list[Block]], tuple[str, ...]]
#: Functions and kinds of figures of the optional sections: those before the tests, and those of the appendix.
_PARTS: Sequence[Part] = (
    (evidence.verdicts, ()),
    (evidence.placebos, ("placebo_balance", "power")),
    (evidence.claims, ("heatmap",)),
    (evidence.clarifications, ()),
    (trade.backtest, ("equity_curve", "cost_sensitivity")),
)
_APPENDIX: Sequence[Part] = (
    (tests.multiplicity, ()),
    (evidence.reversal_measures, ()),
    (covariates.regressions, ()),
    (covariates.group_differences, ()),
    (checks.specifications, ("specification_curve",)),
    (checks.diagnostics, ()),
    (checks.quality, ()),
    (checks.prereg, ()),
)


def study_document(result: StudyResult, drawn: Sequence[plots.Plot] | None = None, *, language: str = "") -> Document:
    """Return the pages of a study.

    Nothing is computed here except rounding, counts of rows and sorting. ``drawn`` are the existing figures, if the
    caller knows them; ``language`` replaces that of the study.
    """
    facts, words, asked = result.facts, words_of(result, language), result.report
    pairs = [(plot, _figure(result, plot, words)) for plot in (plots.plots_of(result) if drawn is None else drawn)]
    figures = {plot.kind: figure for plot, figure in pairs if not plot.shock_id}
    first = (
        answer(result, words, figures, alone=all(plot.kind != "shock_grid" for plot, _ in pairs)),
        effect.event_days(result, words),
        *parts(_PARTS[:2], result, words, figures),
        each_shock.reversal(result, words),
        *parts(_PARTS[2:], result, words, figures),
        tests.tests(result, words, figures),
        each_shock.shock_pages(result, words, pairs, figures),
    )
    appendix = (
        *parts(_APPENDIX, result, words, figures),
        ledger.alignment(result, words),
        ledger.ledger(result, words),
        method.method(facts, words),
        method.settings(result, words),
        method.notes(facts, words),
        method.peers(facts, words),
        method.how_to_read(words),
        method.papers(words),
    )
    sections = [*filter(None, first), *(replace(section, appendix=True) for section in appendix if section)]
    source = term(words, "price_source", facts.get("price_source") or "?")
    return Document(
        title=asked.title or str(facts.get("study") or words["page.untitled"]),
        subject=words["page.event_study"],
        origin=(
            words["page.run"].format(id=result.run_id),
            words["page.data_to"].format(date=facts.get("data_date") or "?"),
            words["page.prices"].format(source=source),
        ),
        sections=tuple(section for section in sections if not asked.sections or section.name in asked.sections),
        banner=words["page.simulated_banner"] if result.simulated else "",
        language=language or language_of(result),
        kind=kind_of_study(facts),
        author=asked.author,
        meta={"verdict": {"sentence": headline(facts, words)}},
    )


def parts(of: Sequence[Part], result: StudyResult, words: Words, figures: Mapping[str, FigureBlock]) -> list[Section]:
    """Return the sections with content, in order; their tables get names."""
    found = []
    for build, kinds in of:
        name = build.__name__
        blocks: list[Block] = [figures[kind] for kind in kinds if kind in figures]
        tables, made = 0, build(result, words)
        for block in made:
            if isinstance(block, TableBlock):
                if not block.rows:
                    continue
                tables += 1
                block = replace(block, name=name if tables == 1 else f"{name}_{tables}")
            blocks.append(block)
        if blocks:
            intro = words.get(f"section.{name}_intro", "")
            first = [Paragraph(intro, tone="note")] if intro and made else []
            found.append(Section(name=name, heading=words[f"section.{name}"], blocks=(*first, *_paired(blocks))))
    return found


def _paired(blocks: list[Block]) -> list[Block]:
    """Place a section's only figure next to its first table, if both are narrow."""
    figures = [block for block in blocks if isinstance(block, FigureBlock) and block.narrow]
    tables = [block for block in blocks if isinstance(block, TableBlock)]
    if len(figures) != 1 or not tables or len(tables[0].columns) > MOST_COLUMNS:
        return blocks
    pair = Columns(((tables[0],), (figures[0],)))
    return [pair if block is tables[0] else block for block in blocks if block is not figures[0]]


def _figure(result: StudyResult, plot: plots.Plot, words: Words) -> FigureBlock:
    """Return a figure with its description for readers who cannot see it."""
    narrow = not plot.shock_id and plots.KINDS[plot.kind].frame(result, "").width < NARROW
    return FigureBlock(plot.name, plots.alt_text(result, plot, words), narrow)
