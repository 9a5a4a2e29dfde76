"""One command a file: ``command`` in ``commands/NAME.py``, found by its file's name.

A larger command is a folder: the command is in its ``__init__.py``, its functions in a second file.
"""

#: Files without a command, which contain what commands share.
SHARED = ("machine", "options", "output", "help_layout")
