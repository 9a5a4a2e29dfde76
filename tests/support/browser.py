"""Pages in a headless browser, with a probe in them that says what it found."""

from __future__ import annotations

import http.server
import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
ROOT = Path(__file__).parents[2]
_PROBE = """
<script>
window.found = {errors: [], blocked: []};
addEventListener("error", event => found.errors.push(event.message));
addEventListener("unhandledrejection", event => found.errors.push(String(event.reason)));
addEventListener("securitypolicyviolation", event => found.blocked.push(event.violatedDirective));
</script>
"""
_CHECK = """
<script>
addEventListener("load", async () => {
  const settled = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const waiting = () => document.querySelector("#explore[hidden]");
  for (let i = 0; i < 100 && waiting(); i++) await new Promise(done => setTimeout(done, 50));
  await settled();
  try { %s } catch (error) { found.errors.push(String(error.stack)); }
  found.asked = performance.getEntriesByType("resource").map(entry => entry.name);
  found.asked = found.asked.filter(name => !name.startsWith("data:"));
  parent.postMessage(JSON.stringify(found), "*");
});
</script>
"""
#: The page stands in a frame, which can be narrower than the narrowest window of a headless browser.
_FRAME = """<!doctype html><style>body {{ margin: 0 }} iframe {{ border: 0 }}</style>
<script>addEventListener("message", event => fetch("/found", {{method: "POST", body: event.data}}));</script>
<iframe width="{width}" height="900" src="/page"></iframe>
"""


class _Server(http.server.ThreadingHTTPServer):
    """Serves one page in its frame and keeps what the page says."""

    daemon_threads = True

    def __init__(self, pages: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages, self.found = pages, queue.Queue[str]()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer(self.server.pages.get(self.path))

    def do_POST(self) -> None:
        self.server.found.put(self.rfile.read(int(self.headers["content-length"])).decode())
        self._answer("")

    def _answer(self, text: str | None) -> None:
        self.send_response(404 if text is None else 200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: Any) -> None:
        pass


def axe() -> Path | None:
    """Return the accessibility checker where it is there."""
    places = [os.environ.get("AXE_CORE", ""), str(ROOT / "node_modules" / "axe-core" / "axe.min.js")]
    return next((Path(place) for place in places if place and Path(place).is_file()), None)


def visit(
    page: Path,
    tmp_path: Path,
    script: str,
    *,
    width: int = 1200,
    dark: bool = False,
    library: Path | None = None,
    seconds: int = 90,
) -> dict[str, Any]:
    """Open the page, run the body of an asynchronous function in it, and return its ``found``.

    Beside what the script adds, ``errors``, ``blocked`` and ``console`` say what went wrong, and ``asked`` which
    addresses outside the page were asked for.
    """
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    html = page.read_text(encoding="utf-8")
    brought = f"<script>{library.read_text(encoding='utf-8')}</script>" if library else ""
    html = html.replace("<style>", _PROBE + "<style>", 1).replace("</body>", brought + _CHECK % script + "</body>")
    server = _Server({"/": _FRAME.format(width=width), "/page": html})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    arguments = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={max(width, 500)},900",
        "--enable-logging=stderr",
        *(["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []),
        f"http://127.0.0.1:{server.server_port}/",
    ]
    log = tmp_path / "browser.log"
    with log.open("wb") as file, subprocess.Popen(arguments, stdout=file, stderr=file) as running:
        try:
            found: dict[str, Any] = json.loads(server.found.get(timeout=seconds))
        except queue.Empty:
            pytest.fail(f"the page said nothing: {log.read_text(errors='replace')[-1500:]}")
        finally:
            running.terminate()
            server.shutdown()
            server.server_close()
    found["console"] = [line for line in log.read_text(errors="replace").splitlines() if ":CONSOLE" in line]
    return found
