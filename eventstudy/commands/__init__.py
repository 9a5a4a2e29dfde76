"""One command a file: ``command`` in ``commands/NAME.py``, found by its file's name.

A command with much to do is a folder: the command in its ``__init__.py``, the work in a file beside it.
"""

#: Files that hold no command but what commands share.
SHARED = ("machine", "options", "output", "help_layout")
