"""The notebooks as a person runs them: Run All in a real JupyterLab, every cell finishes."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

FOLDER = Path(__file__).parent.parent.parent / "notebooks"
LOOKED_AT = ["00_start_here", "03_failures", "07_ad_hoc_querying"]
"""Those with a dashboard, with scripts beside traffic, with forms, magics and top-level await."""


@pytest.mark.parametrize("notebook", [FOLDER / f"{name}.ipynb" for name in LOOKED_AT], ids=LOOKED_AT)
def test_run_all_finishes_every_cell(lab_page, notebook):
    page = lab_page(notebook, theme="dark")
    cells = page.run_all(timeout=180)
    page.shot()
    assert [cell.source for cell in cells if not cell.finished] == []
    assert {cell.source: cell.error for cell in cells if cell.error} == {}
    assert page.console == []
