"""Fixtures for tests in a real JupyterLab in headless Chromium; they skip, with the reason, without these."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from .lab import CHROMIUM, LabPage, LabServer, Theme, running_browser, running_lab, write_notebook

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Let the fixture know that its test failed, so that it takes a last picture."""
    report = yield
    if call.when == "call":
        item.stash[_FAILED] = report.failed
        if (module := item.getparent(pytest.Module)) is not None:
            module.stash[_FAILED] = report.failed or module.stash.get(_FAILED, False)
    return report


def missing(*others: str) -> str | None:
    """What is not installed of all that is needed, and of other modules; None when nothing is missing."""
    for module in ("jupyterlab", "playwright", "ipykernel", *others):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed"
    return None if CHROMIUM else "Chromium is not installed"


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory):
    """One JupyterLab for all tests."""
    if reason := missing():
        pytest.skip(reason)
    with running_lab(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="module")
def browser(lab_server):
    """One browser per module: while it runs, no asyncio test may run in this thread."""
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory) -> Path:
    """Where pictures go: the folder that `MCPNB_ARTEFACTS` names, else a temporary one."""
    named = os.environ.get("MCPNB_ARTEFACTS")
    folder = Path(named).resolve() if named else tmp_path_factory.mktemp("artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def lab_page(lab_server, browser, artefacts, request):
    """`lab_page(cells or notebook path, theme="light", width=1100)` → an open `LabPage`; several are fine."""
    with _opening(lab_server, browser, artefacts, request.node) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def shared_page(lab_server, browser, artefacts, request):
    """The same for pages that all tests of a module share."""
    with _opening(lab_server, browser, artefacts, request.node) as open_page:
        yield open_page


@contextlib.contextmanager
def _opening(server: LabServer, browser, artefacts: Path, node: pytest.Item | pytest.Collector):
    pages = []
    stem = re.sub(r"\W+", "-", node.name).strip("-")

    def open_page(content: Sequence[str] | Path, *, theme: Theme = "light", width: int = 1100) -> LabPage:
        name = f"{stem}-{len(pages)}.ipynb"
        if isinstance(content, Path):
            shutil.copy(content, server.folder / name)
        else:
            write_notebook(server.folder / name, content)
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
        pages.append(page)
        lab = LabPage(page, f"{stem}-{theme}", artefacts)
        lab.open(server, name)
        return lab

    yield open_page
    failed = node.stash.get(_FAILED, False)
    for number, page in enumerate(pages):
        if failed:
            page.screenshot(path=artefacts / f"{stem}-failed-{number}.png")
        page.close()
    if pages:
        server.end_kernels()
