"""Errors of the machine as sentences: disk, memory, open files, a closed output."""

from __future__ import annotations

import errno
import shutil
import tempfile
import traceback

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MANY_FILES = (errno.EMFILE, errno.ENFILE)
#: Bytes below which a folder counts as full.
FULL = 1_000_000
KEPT = "what was half written is removed, earlier results are as they were"
#: Messages of the system's loader if there is not enough memory for a library.
_NO_ROOM = ("failed to map segment", "cannot allocate memory")


def refusal(error: Exception) -> str:
    """Return what the machine refused and what to do; empty if the error is one of the program."""
    of_loader = isinstance(error, ImportError) and any(text in str(error).lower() for text in _NO_ROOM)
    if isinstance(error, MemoryError) or of_loader:
        return f"the memory is not enough for this; {KEPT}. Free some, or give fewer --jobs or events"
    if not isinstance(error, OSError):
        return ""
    if error.errno == errno.ENOMEM:
        return refusal(MemoryError())
    if error.errno in MANY_FILES:
        return f"too many files are open ({error.strerror}); {KEPT}. Raise the limit: 'ulimit -n 1024'"
    where = f" at {error.filename}" if error.filename else ""
    if error.errno not in DISK_FULL:
        return f"the system refuses{where}: {error.strerror or error}; {KEPT}" if where else ""
    # An error of what prints; the flush at the very end is in no library.
    modules = [frame.f_globals["__name__"] for frame, _ in traceback.walk_tb(error.__traceback__)]
    printing = len(modules) == 1 or any(name == "click.utils" or name.startswith("rich.") for name in modules)
    if not where and printing:
        return f"what the command prints cannot be written ({error.strerror}); send the output elsewhere"
    scratch = tempfile.gettempdir()
    if not where and shutil.disk_usage(scratch).free < FULL:
        return f"the folder of temporary files, {scratch}, is full; {KEPT}. Make room there, or set TMPDIR to another"
    return (
        f"the disk is full or a file is too large{where} ({error.strerror}); {KEPT}. Make room and give the same "
        "command again"
    )
