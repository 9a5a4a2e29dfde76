"""`eventstudy run`: the study of an events file, written as a result pack."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from eventstudy.commands.help_layout import examples
from eventstudy.commands.options import (
    ACCEPT,
    OUT,
    InputFile,
    Inputs,
    locked_question,
    prices_of_study,
    study_options,
    worker_options,
)
from eventstudy.commands.output import console_for, teller
from eventstudy.errors import EstimationError, Problem

if TYPE_CHECKING:
    from rich.console import Console

    from eventstudy.config import StudyConfig
    from eventstudy.events import Events
    from eventstudy.prices import PriceTable
    from eventstudy.results.result import StudyResult
    from eventstudy.study import Answered
    from eventstudy.workers import Start


SECTION = "Study"


@click.command(
    "run",
    epilog=examples(
        "eventstudy run events.csv --prices prices.csv",
        "eventstudy run events.csv --config study.toml --prices prices --set model.name=capm",
        "eventstudy run --example healthcare",
    ),
)
@study_options
@OUT
@click.option("--json", "as_json", is_flag=True, help="Print summary.json instead of the summary.")
@click.option("--quiet", is_flag=True, help="Print only the path of the pack.")
@click.option(
    "--prereg", "prereg_file", type=InputFile(), help="Compare the run with a question locked by 'eventstudy prereg'."
)
@click.option(
    "--allow-departures", is_flag=True, help="With --prereg: continue if events or windows differ from the locked ones."
)
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="COLUMN",
    help="Test the groups of this column (of events, peers or covariates) and their differences; may be repeated.",
)
@click.option("--language", type=click.Choice(["en", "zh"]), help="Language of the report; default: that of the study.")
@worker_options
@ACCEPT
def command(
    inputs: Inputs,
    out: Path,
    as_json: bool,
    quiet: bool,
    prereg_file: Path | None,
    allow_departures: bool,
    groups: tuple[str, ...],
    language: str | None,
    jobs: int,
    engine: str,
    scheduler: str,
) -> None:
    """Run the study of EVENTS and write a result pack."""
    from eventstudy.large.length import is_long
    from eventstudy.report.staging import aside, reserve
    from eventstudy.workers import forked_children

    workers: dict[str, Any] = {"jobs": jobs, "engine": engine, "scheduler": scheduler}
    origin, default = click.get_current_context().get_parameter_source, click.core.ParameterSource.DEFAULT
    settings = {f"model.{name}": value for name, value in workers.items() if origin(name) is not default}
    settings |= {"tests.group": groups} if groups else {}
    settings |= {"study.language": language} if language else {}
    inputs = inputs.changed(settings)
    console, long = console_for(quiet or as_json), is_long(inputs.events)
    if long:
        inputs.refuse_short(prereg_file)
    read: Any
    read, config = inputs.read_list() if long else inputs.read()
    locked = locked_question(prereg_file, read, config, allow=allow_departures) if prereg_file else None
    with reserve(out) as place, forked_children() as start, aside(place) as scratch:
        reading = (lambda: None) if long else _begin_prices(start, read, config, inputs.prices, console)
        # Importing the modules of the study takes about as long as reading its prices.
        from eventstudy.report.progress import heeding, watched
        from eventstudy.report.trials import log_trial, past_trials
        from eventstudy.study import Answered, run_list

        table, study = reading(), config.study
        watch = functools.partial(watched, silent=quiet or as_json, language=study.language, kind=study.kind)
        with watch() as tell, heeding(tell) as say:
            common: dict[str, Any] = {"progress": say, "trials": past_trials(place)}
            if table is None:
                files, rows = Path(str(inputs.prices)), scratch.resolve()
                whole = run_list(read, config, files, scratch=rows, workers=workers, **common)
                found = Answered(whole, lambda _: whole)
            else:
                found = _answered(read, config, table, prereg=locked, start=start, **common)
        from eventstudy.report.terminal import print_summary

        # The answer is printed as soon as it is known; tables, trade and pages take longer.
        print_summary(found.result, console)
        from eventstudy.report.pack import publish

        with watch() as tell, heeding(tell) as say:
            result = found.finish(say)
            folder = publish(result, place, formats=config.report.formats, progress=say, start=start)
        log_trial(place, result, config, folder, inputs.paths(prereg_file))
    later = [warning for warning in result.facts["warnings"] if warning not in found.result.facts["warnings"]]
    _told(result, folder, console, later, as_json=as_json, quiet=quiet)


def _answered(events: Events, config: StudyConfig, prices: PriceTable, **options: Any) -> Answered:
    """Run the study until its answer is known; if no event can be used, the error lists the tickers of the files."""
    from eventstudy.study import answer_study

    try:
        return answer_study(events, config, prices, **options)
    except EstimationError as error:
        from eventstudy.api import why_nothing

        raise EstimationError([*error.problems, *map(Problem, why_nothing(events, config, prices))]) from error


def _told(
    result: StudyResult, folder: Path, console: Console, later: Sequence[str], *, as_json: bool, quiet: bool
) -> None:
    """Print later warnings and the path of the pack; on stderr, whether a font was missing."""
    from eventstudy.report.render.pdf import missing_font

    if "pdf" in result.report.formats and (note := missing_font(result)):
        click.echo(f"eventstudy: {note}", err=True)
    if as_json:
        click.echo(json.dumps(result.facts, indent=2, sort_keys=True, ensure_ascii=False))
    elif quiet:
        click.echo(str(folder))
    else:
        from eventstudy.report.terminal import print_pack, print_warnings
        from eventstudy.report.wording import words_of

        print_warnings(later, console, words_of(result))
        print_pack(result, folder, console)


def _begin_prices(
    start: Start, events: Events, config: StudyConfig, asked: str | None, console: Console
) -> Callable[[], PriceTable]:
    """Start reading local prices in a child; prices from the internet are fetched in this process, with progress."""
    from eventstudy.exchanges.calendars import remember
    from eventstudy.prices.sources import is_local, prices_and_calendars

    if not is_local(events, config, asked):
        return functools.partial(prices_of_study, events, config, asked, console)
    # Imported before the fork, because both processes need it.
    importlib.import_module("pandas")
    work, tell = start(prices_and_calendars, events, config, asked), teller(config, console)

    def finish() -> PriceTable:
        table, told, sessions = work.result()
        for text in told:
            tell(text)
        remember(sessions)
        return cast("PriceTable", table)

    return finish
