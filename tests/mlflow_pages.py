"""MLflow's pages in headless Chromium: the server that ui_command names, and a page that may ask nobody else."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, Request, sync_playwright

from training.mlflow_ui import LOCAL, ui_command

CHROMIUM = Path("/usr/bin/chromium")
# on every new page: nothing is remembered of the last, and MLflow 3.17's assistant keeps its panel closed
FRESH = "localStorage.clear(); localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"
START_S, STEP_S = 150, 60  # on a busy machine; a quiet one needs 15 and 2


@dataclass(kw_only=True)
class Browser:
    """A page on a server of MLflow's. foreign: addresses elsewhere that it asked for"""

    page: Page
    base: str
    foreign: list[str] = field(default_factory=list)

    def open(self, address: str) -> Page:
        """The page at an address as synthmark prints it."""
        self.page.goto("about:blank")  # else a change behind the # alone is no new page
        self.page.goto(address.replace(LOCAL, self.base))
        return self.page


@contextmanager
def served(uri: str, folder: Path) -> Iterator[str]:
    """The address at which the printed command serves the runs of `uri`, with a free port added to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base, log = f"http://127.0.0.1:{port}", folder / "server.log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            f"{ui_command(uri)} --port {port}", shell=True, cwd=folder, stdout=stream, stderr=stream,
            start_new_session=True,
        )  # fmt: skip
    try:
        _wait(base, server, log)
        yield base
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@contextmanager
def browser(base: str) -> Iterator[Browser]:
    """A browser on that server: what it asks of others is refused and written down."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1300, "height": 900})
        page.set_default_timeout(STEP_S * 1000)
        page.add_init_script(FRESH)
        opened = Browser(page=page, base=base)

        def is_foreign(address: str) -> bool:
            return not address.startswith((base, "data:", "blob:", "about:"))

        def note(request: Request) -> None:
            if is_foreign(request.url):
                opened.foreign.append(request.url)

        page.on("request", note)
        page.route(is_foreign, lambda route: route.abort())
        yield opened
        chromium.close()


def _wait(base: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(f"{base}/health", timeout=5):
                return
        except OSError as error:
            if time.monotonic() > end or server.poll() is not None:
                raise RuntimeError(f"MLflow did not start: {log.read_text()[-2000:]}") from error
            time.sleep(0.3)
