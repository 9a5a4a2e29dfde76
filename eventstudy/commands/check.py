"""`eventstudy check`: validate the inputs of a study without estimating anything."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eventstudy.commands.help_layout import examples
from eventstudy.commands.options import ACCEPT, Inputs, prices_of_study, study_options
from eventstudy.commands.output import console_for, plain
from eventstudy.errors import EstimationError

if TYPE_CHECKING:
    from eventstudy.api import Checked
    from eventstudy.prices import PriceTable


SECTION = "Study"


@click.command(
    "check",
    epilog=examples("eventstudy check events.csv", "eventstudy check events.csv --config study.toml --prices prices"),
)
@study_options
@click.option("--json", "as_json", is_flag=True, help="Print day 0 on each exchange and the ledger as JSON.")
@ACCEPT
def command(inputs: Inputs, as_json: bool) -> None:
    """Check EVENTS: show day 0 on each exchange and, with --prices, the ledger."""
    from eventstudy.large.length import is_long

    if is_long(inputs.events):
        _check_list(inputs, as_json=as_json)
        return
    from eventstudy.api import check_study, remarks_on
    from eventstudy.config.json_values import plain_json
    from eventstudy.messages import catalogue, said
    from eventstudy.prices.sources import local_prices, own_source
    from eventstudy.report.terminal import print_alignment, print_ledger, print_warnings

    read, config = inputs.read()
    console = console_for(as_json)
    source = inputs.prices or own_source(read, config)
    table: PriceTable | None = None
    if Path(source).is_dir():
        table = local_prices(read, config, source)
    elif inputs.prices or Path(source).is_file():
        table = prices_of_study(read, config, inputs.prices, console)
    found = check_study(read, config, table)
    if as_json:
        parts = {"alignment": found.alignments.values(), "ledger": found.ledger, "quality": found.quality}
        rows: dict[str, Any] = {name: [plain(row) for row in part] for name, part in parts.items()}
        rows |= {"missing": found.missing, "warnings": found.warnings}
        click.echo(json.dumps(plain_json(rows), indent=2, default=str))
        _refuse_nothing(found)
        return
    print_alignment(read, config, found.alignments, console)
    if found.ledger:
        print_ledger(found.ledger, console, language=config.study.language, kind=config.study.kind)
    words = catalogue(config.study.language, config.study.kind)
    for sentence in remarks_on(found, read, source):
        console.print(said(sentence, words), style="yellow", highlight=False, markup=False, soft_wrap=True)
    print_warnings(found.warnings, console, words)
    _refuse_nothing(found)


def _check_list(inputs: Inputs, *, as_json: bool) -> None:
    """Print counts of what a run of a long list (more firm-events than fit in memory) would use."""
    from eventstudy.messages import catalogue
    from eventstudy.report.terminal import print_counts, print_warnings
    from eventstudy.study import run_list

    inputs.refuse_short()
    read, config = inputs.read_list()
    console, words = console_for(as_json), catalogue(config.study.language, config.study.kind)
    with tempfile.TemporaryDirectory() as scratch:
        facts = run_list(read, config, Path(str(inputs.prices)), scratch=Path(scratch).resolve(), tests=False).facts
    if as_json:
        click.echo(json.dumps({name: facts[name] for name in ("counts", "warnings")}, indent=2, default=str))
        return
    print_counts(facts["counts"], console, words)
    print_warnings(facts["warnings"], console, words)


def _refuse_nothing(found: Checked) -> None:
    """Exit with the code of a run in which no event can be used."""
    from eventstudy.core.selection import drop_kind

    if not found.usable:
        reasons = Counter(drop_kind(row.reason.code) for row in found.ledger)
        counted = ", ".join(f"{name} {n}" for name, n in reasons.most_common())
        why = counted or "no event has a peer with a day 0"
        raise EstimationError(f"no event × peer can be studied ({why})")
