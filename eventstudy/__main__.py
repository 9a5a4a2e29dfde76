"""The command, as ``eventstudy`` and ``python -m eventstudy``.

Loading click takes four times as long as starting Python, so ``--help`` prints the text that is kept in a file.
"""

import os
import sys

from eventstudy import __version__


def entry() -> None:
    """Print the version or the kept help if nothing else is asked; else run the command line."""
    arguments = sys.argv[1:]
    try:
        if arguments == ["--version"]:
            return print(f"eventstudy, version {__version__}", flush=True)
        if arguments in (["--help"], ["-h"]) and _columns() >= 80:
            with open(__file__.replace("__main__.py", "help.txt"), encoding="utf-8") as text:  # noqa: PTH123
                return print(text.read(), end="", flush=True)
    except OSError:
        pass  # The command line meets the same output and says what is wrong with it.
    from eventstudy.cli import entry as run

    return run()


def _columns() -> int:
    """Width of the terminal: 80 without a terminal, as in click; 0 if ``COLUMNS`` is not a number."""
    try:
        return int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size(1).columns
    except ValueError:
        return 0
    except OSError:
        return 80


if __name__ == "__main__":
    entry()
