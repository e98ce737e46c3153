"""A real JupyterLab in a real browser: open a notebook, run it, look at it, take its picture.

It owns the server, the page and what can be read off it. It knows nothing of mcpnb.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
App = Literal["jupyterlab", "notebook"]
"""The package that is run as a server: JupyterLab, or Notebook 7, which is made of the same parts."""

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
_NOISE = re.compile(r"net::ERR_|favicon|ResizeObserver loop|extensions-manager|Failed to load resource")
"""Console errors that JupyterLab itself makes on a machine without internet."""

_SETTINGS: dict[str, dict[str, object]] = {
    # The page's colour scheme chooses the theme, so that one server serves both.
    "@jupyterlab/apputils-extension/themes": {
        "adaptive-theme": True,
        "preferred-light-theme": "JupyterLab Light",
        "preferred-dark-theme": "JupyterLab Dark",
    },
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Cells out of sight would not be in the page.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}

_PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
"""The notebook in front."""

# What a cell holds comes from the model, what it looks like from the page.
_CELLS = r"""() => window.jupyterapp.shell.currentWidget.content.widgets
  .filter(cell => cell.model.type === 'code')
  .map(cell => ({
    prompt: cell.node.querySelector('.jp-InputPrompt')?.textContent.trim() ?? '',
    source: cell.model.sharedModel.getSource(),
    output: cell.node.querySelector('.jp-Cell-outputArea')?.innerText.trim() ?? '',
    error: cell.model.outputs.toJSON().filter(output => output.output_type === 'error')
      .map(output => output.traceback.join('\n').replace(/\x1b\[[\d;]*m/g, '')).join('\n')}))"""

# The indicator says idle before there is a connection, and JupyterLab drops what is run before it.
_CONNECTED = """() => {
  const context = window.jupyterapp?.shell?.currentWidget?.sessionContext;
  const kernel = context?.session?.kernel;
  return context?.isReady && kernel?.connectionStatus === 'connected' && kernel?.status === 'idle';
}"""

_STARTED = rf"() => ({_CELLS})().some(cell => /[*\d]/.test(cell.prompt))"

# The kernel says idle between any two cells of a Run All: only a quiet that lasts is the end.
_QUIET = rf"""() => {{
  const waiting = ({_CELLS})().some(cell => cell.prompt.includes('*'));
  const status = document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status;
  if (waiting || status !== 'idle') {{ delete window.quietSince; return false; }}
  window.quietSince ??= performance.now();
  return performance.now() - window.quietSince > 700;
}}"""

_WORN = "theme => document.body.dataset.jpThemeLight === String(theme === 'light')"

_BOTTOM = f"""() => {{
  for (const part of document.querySelectorAll('{_PANEL} .jp-WindowedPanel-outer')) part.scrollTop = 0;
  return Math.max(0, ...[...document.querySelectorAll('{_PANEL} .jp-Cell')]
  .map(cell => cell.getBoundingClientRect().bottom));
}}"""


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell as it stands on the page."""

    prompt: str
    """`[3]:` when it ran, `[*]:` while it waits or runs, `[ ]:` when it never did."""
    source: str
    output: str
    error: str
    """The traceback, or empty."""

    @property
    def finished(self) -> bool:
        return re.search(r"\d", self.prompt) is not None


class StillWaiting(AssertionError):
    """Cells that the kernel did not get to."""


# ---- the server


@dataclass(frozen=True, slots=True)
class LabServer:
    """A running JupyterLab or Notebook 7, and the folder that it shows."""

    url: str
    token: str
    folder: Path
    app: App = "jupyterlab"

    def request(self, method: str, path: str) -> object:
        """What the server answers to an API call, as JSON."""
        request = urllib.request.Request(
            f"{self.url}/{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def end_kernels(self) -> None:
        """Shut down every kernel, so that the next test begins with none."""
        for session in self.request("GET", "api/sessions"):
            self.request("DELETE", f"api/sessions/{session['id']}")


@contextlib.contextmanager
def running_lab(root: Path, *, app: App = "jupyterlab", timeout: float = 60) -> Iterator[LabServer]:
    """A JupyterLab, or a Notebook 7, that keeps all it writes below `root`, while the block runs."""
    folder = root / "notebooks"
    folder.mkdir(parents=True)
    _write_settings(root / "settings")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = LabServer(f"http://127.0.0.1:{port}", secrets.token_hex(16), folder, app)
    with (root / "lab.log").open("w") as log:
        process = subprocess.Popen(
            _command(server, port),
            env=_environment(root),
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _await_answer(server, process, root / "lab.log", time.monotonic() + timeout)
        yield server
    finally:
        _end(process)


def _write_settings(folder: Path) -> None:
    for name, values in _SETTINGS.items():
        path = folder / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


def _command(server: LabServer, port: int) -> list[str]:
    exposed = "LabApp" if server.app == "jupyterlab" else "JupyterNotebookApp"
    return [
        sys.executable, "-m", server.app, "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={server.token}",
        f"--ServerApp.root_dir={server.folder}", f"--{exposed}.expose_app_in_browser=True",
    ]  # fmt: skip


def _environment(root: Path) -> dict[str, str]:
    ours = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    # pytest's mark makes a kernel leave its standard streams alone, as it would not for a person.
    inherited = {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
    return inherited | {key: str(root / name) for key, name in ours.items()}


def _await_answer(server: LabServer, process: subprocess.Popen[bytes], log: Path, deadline: float) -> None:
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.request("GET", "api/status")
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)  # nothing tells when the port opens
        else:
            return
    raise RuntimeError("JupyterLab did not start:\n" + log.read_text()[-2000:])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server, which ends its kernels; and whatever is left of its group after ten seconds."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


# ---- the page


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Headless Chromium while the block runs.

    Playwright keeps a loop of its own running in this thread meanwhile, so no test that runs one may
    share the block.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """A notebook of code cells; a text that begins with `# ` and has no other line is a heading."""
    made = []
    for number, source in enumerate(cells):
        cell: dict[str, object] = {"id": f"cell-{number}", "metadata": {}, "source": source}
        if source.startswith("# ") and "\n" not in source:
            made.append(cell | {"cell_type": "markdown"})
        else:
            made.append(cell | {"cell_type": "code", "execution_count": None, "outputs": []})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": made}
    path.write_text(json.dumps(notebook))


class LabPage:
    """A notebook that is open in JupyterLab. `page` is playwright's, for all that is not here."""

    def __init__(self, page: Page, name: str, artefacts: Path) -> None:
        self.page, self._name, self._artefacts = page, name, artefacts
        self.console: list[str] = []
        """Errors that the browser's console showed, without JupyterLab's own."""
        page.on("console", lambda message: self._heard(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self._heard(str(error)))

    def _heard(self, text: str) -> None:
        if not _NOISE.search(text):
            self.console.append(text)

    def open(self, server: LabServer, notebook: str) -> None:
        """Show the notebook and wait for its kernel."""
        page = self.page
        place = "lab/tree" if server.app == "jupyterlab" else "notebooks"
        page.goto(f"{server.url}/{place}/{notebook}?token={server.token}&reset")
        page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=40_000)
        page.locator(".jp-NotebookPanel .jp-Spinner").wait_for(state="detached", timeout=40_000)
        page.wait_for_function(_CONNECTED, timeout=40_000, polling=100)
        if server.app == "jupyterlab":
            page.keyboard.press("Control+b")  # the file browser is not what is looked at
        else:
            self.console.clear()  # Notebook 7 stumbles over a setting of its own; no cell has run yet

    def start_all(self) -> None:
        """The menu's Run All Cells; returns when the first cell waits, runs or has run."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self.page.wait_for_function(_STARTED, timeout=20_000, polling=50)

    def wait_quiet(self, timeout: float = 60) -> None:
        """Wait until no cell shows `[*]` and the kernel stays idle, at most `timeout` seconds."""
        from playwright.sync_api import TimeoutError as NotInTime

        try:
            self.page.wait_for_function(_QUIET, timeout=timeout * 1000, polling=100)
        except NotInTime:
            waiting = [cell.source for cell in self.cells() if "*" in cell.prompt]
            self.shot("still-waiting")
            raise StillWaiting(f"after {timeout:g} s these cells show [*]: {waiting}") from None

    def run_all(self, timeout: float = 60) -> list[Cell]:
        """Run every cell, wait for the end, and give the code cells as they then stand."""
        self.start_all()
        self.wait_quiet(timeout)
        return self.cells()

    def cells(self) -> list[Cell]:
        """The code cells as they stand now."""
        return [Cell(**cell) for cell in self.page.evaluate(_CELLS)]

    def output(self, number: int) -> Locator:
        """The output area of the code cell `number`, from 0."""
        cells = self.page.locator(f"{_PANEL} .jp-CodeCell")
        return cells.nth(number).locator(".jp-Cell-outputArea")

    def interrupt(self) -> None:
        """The menu's Interrupt Kernel."""
        self.page.get_by_role("menuitem", name="Kernel", exact=True).click()
        self.page.get_by_role("menuitem", name="Interrupt Kernel").click()

    def wear(self, theme: Theme) -> None:
        """Change the page's theme, as a person's system does in the evening; pictures are named after it."""
        self.page.emulate_media(color_scheme=theme)
        self.page.wait_for_function(_WORN, arg=theme, timeout=20_000)
        self._name = f"{self._name.removesuffix(f'-{self.theme}')}-{theme}"

    @property
    def theme(self) -> Theme:
        """What the page wears."""
        return "dark" if self._name.endswith("-dark") else "light"

    def shots(self, name: str = "") -> None:
        """A picture in each theme; the page then wears the other one than before."""
        self.shot(name)
        self.wear("light" if self.theme == "dark" else "dark")
        self.shot(name)

    def shot(self, name: str = "") -> Path:
        """A picture of the whole notebook; `MCPNB_ARTEFACTS` names the folder that keeps it."""
        page, bottom = self.page, 0
        width = (page.viewport_size or {"width": 1100})["width"]
        for _ in range(3):  # a taller page may be laid out anew
            bottom = min(max(int(page.evaluate(_BOTTOM)) + 20, 300), 12_000)
            page.set_viewport_size({"width": width, "height": bottom + 60})
            page.evaluate(
                "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
            )
        box = page.locator(f"{_PANEL} .jp-NotebookPanel-notebook").first.bounding_box()
        assert box is not None
        path = self._artefacts / f"{self._name}{f'-{name}' if name else ''}.png"
        page.screenshot(path=path, clip={**box, "height": max(bottom - box["y"], 100)})
        return path
