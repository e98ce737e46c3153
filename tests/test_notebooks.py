"""The notebooks: clean in the repository, and each runs from top to bottom."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from mcpnb.lab import exercises

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_notebooks_and_their_names_are_numbered() -> None:
    assert NOTEBOOKS[0].name == "00_start_here.ipynb"
    assert all(re.fullmatch(r"\d\d_[a-z_]+\.ipynb", path.name) for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_committed_without_outputs_and_with_cell_ids(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    for cell in notebook.cells:
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_ends_with_exercises_that_there_are_and_a_way_on(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    number = path.stem[:2]
    asked = [re.findall(r'lab\.check\("([^"]*)", \.\.\.\)', cell.source) for cell in cells]
    there = [each for each in exercises.known() if each.startswith(f"{number}-")]
    assert [each for found in asked for each in found] == there
    prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
    assert all(any(f"**{each}.**" in text for text in prose) for each in there)
    assert prose[-1].startswith("## Take it further")


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    # pytest's mark makes a kernel leave its standard streams alone, as it would not for a person.
    client.execute(env={key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"})
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")
