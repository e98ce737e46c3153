"""The notebooks as a person runs them: Run All in a real JupyterLab, every cell finishes."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

NOTEBOOKS = sorted((Path(__file__).parent.parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_run_all_finishes_every_cell(lab_page, notebook):
    page = lab_page(notebook, theme="dark")
    cells = page.run_all(timeout=180)
    page.shot()
    assert [cell.source for cell in cells if not cell.finished] == []
    assert {cell.source: cell.error for cell in cells if cell.error} == {}
    assert page.console == []
