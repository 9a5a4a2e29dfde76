# One command each: `just check`, `just test`, `just docs`, `just bench`. `just` alone lists them.

default:
    @just --list

# What needs no run: lint, format, types.
check:
    ruff check .
    ruff format --check --quiet .
    mypy

# All tests on all processors; `just test tests/core -k patell` for some of them.
test *options:
    python -m pytest -q -n auto --dist loadfile {{ options }}

# The site, strictly; `mkdocs serve` shows it.
docs:
    mkdocs build --strict --quiet

# The pages of models, tests and bad inputs, made again from the code and its tests.
reference:
    python docs/make_reference.py
    python docs/make_bad_inputs.py

# The text of `eventstudy --help`, kept in a file.
help:
    COLUMNS=80 python -c "from eventstudy.cli import entry; entry()" --help > eventstudy/help.txt

# One benchmark: engine, garch_speed, peers, ….
bench name="engine" *options:
    python benchmarks/{{ name }}.py {{ options }}

# Lint what can be mended, and format.
format:
    ruff check --fix .
    ruff format .
