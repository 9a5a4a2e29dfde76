"""The command line: joins the files of `eventstudy.commands`, each imported when its command is called."""

from __future__ import annotations

import functools
import importlib
import io
import os
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

import click

from eventstudy import __version__, commands
from eventstudy.commands.help_layout import write_sections
from eventstudy.commands.machine import refusal
from eventstudy.errors import DEBUG, EventStudyError

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; the README lists the codes."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    _make_writable()
    try:
        with _debugging(debug):
            outcome = cli.main(
                args=[a for a in arguments if a != "--debug"], prog_name="eventstudy", standalone_mode=False
            )
        return int(outcome or 0)
    except EventStudyError as error:
        if debug:
            raise
        for problem in error.problems:
            click.echo(f"eventstudy: {problem}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt) as stop:
        # click wraps the interrupt; the message of a fetch says which prices were saved.
        said = str(stop.__cause__ or stop) or "no result was written, earlier ones are as they were"
        click.echo(f"eventstudy: stopped; {said}", err=True)
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # click raises SystemExit if its output pipe was closed.
        _drop_output()
        return 0
    except Exception as error:
        if debug:
            raise
        if said := refusal(error):
            click.echo(f"eventstudy: {said}", err=True)
            return 1
        click.echo(f"eventstudy: internal error: {type(error).__name__}: {error}; --debug shows where", err=True)
        return 1


@contextmanager
def _debugging(debug: bool) -> Iterator[None]:
    """With --debug, raise errors of the program in optional parts instead of recording them."""
    before = os.environ.get(DEBUG)
    if debug:
        os.environ[DEBUG] = "1"
    try:
        yield
    finally:
        if debug and before is None:
            del os.environ[DEBUG]


def entry() -> None:
    """Console script: run and exit."""
    code = main()
    try:
        sys.stdout.flush()
    except OSError as error:
        # A closed pipe, as with `| head`, is no error; a full disk is one.
        if not isinstance(error, BrokenPipeError):
            if not code:
                click.echo(f"eventstudy: {refusal(error)}", err=True)
            code = code or 1
        _drop_output()
    sys.exit(code)


def _make_writable() -> None:
    """Continue if the terminal lacks a character, or if there is no output at all."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class CommandFiles(click.Group):
    """A group whose commands are the files of `eventstudy.commands`, each with a ``command``.

    A command's file imports no more than click until it runs, so that ``--help`` can list all of them.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of the files, as they are written on the command line."""
        return list(_names())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the file of one command; None where there is none of the name."""
        names = self.list_commands(ctx)
        if cmd_name not in names:
            # click searches these for the most similar command.
            self.commands = {name: _command(name) for name in names}
            return None
        return _command(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by the kind of work."""
        files = {name: _file(name) for name in self.list_commands(ctx)}
        write_sections(formatter, {name: (file.SECTION, file.command) for name, file in files.items()})


@functools.cache
def _names() -> tuple[str, ...]:
    files = {item.name for item in pkgutil.iter_modules(commands.__path__)}
    return tuple(sorted(name.replace("_", "-") for name in files - set(commands.SHARED)))


def _file(name: str) -> ModuleType:
    return importlib.import_module(f"eventstudy.commands.{name.replace('-', '_')}")


def _command(name: str) -> click.Command:
    command: click.Command = _file(name).command
    return command


@click.group(cls=CommandFiles, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="eventstudy-kit", prog_name="eventstudy")
def cli() -> None:
    """Event studies, and tests whether price drops reversed, on several exchanges."""
