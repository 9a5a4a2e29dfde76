"""The command as another process, and a certificate that only these tests trust."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

COMMAND = (sys.executable, "-c", "from eventstudy.cli import entry; entry()")
HOSTS = ("*.yahoo.com", "*.finance.yahoo.com")


def start(arguments: Sequence[object], **options: object) -> subprocess.Popen[bytes]:
    """Start the command; ``options`` are those of `subprocess.Popen`."""
    return subprocess.Popen([*COMMAND, *map(str, arguments)], **options)  # type: ignore[call-overload, no-any-return]


def finish(
    arguments: Sequence[object], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> tuple[int, str, str]:
    """Run the command to its end; return its exit code and what it printed on both streams."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def make_certificate(folder: Path) -> tuple[Path, Path] | None:
    """A throw-away certificate for Yahoo's names and its key; None without openssl."""
    if not shutil.which("openssl"):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / "ca.crt", folder / "ca.key"
    names = ",".join(f"DNS:{host}" for host in HOSTS)
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=fake",
            "-addext",
            f"subjectAltName={names}",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
        ],
        capture_output=True,
        check=True,
    )
    return certificate, key


def behind(proxy: str, home: Path, certificate: Path | None) -> dict[str, str]:
    """Environment of a machine behind an HTTPS proxy whose certificate it trusts, or not."""
    trusted = str(certificate) if certificate else ""
    names = ("CURL_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    return {
        **dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), proxy),
        **(dict.fromkeys(names, trusted) if certificate else {}),
        "NO_PROXY": "",
        "no_proxy": "",
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
    }
