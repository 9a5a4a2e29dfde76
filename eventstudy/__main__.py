"""``python -m eventstudy``: the command where its script is not on the path."""

from eventstudy.cli import entry

if __name__ == "__main__":
    entry()
