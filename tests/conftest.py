"""Every test runs with mistakes of the program let through: no optional part may hide one."""

from __future__ import annotations

import os

from eventstudy.optional import DEBUG

# In the environment, so that commands which tests start have it too.
os.environ[DEBUG] = "1"
