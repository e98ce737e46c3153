"""All that a person touches, in both themes, under axe-core: labels, names, roles, contrast."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from .test_dashboard import _RUN

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

CELLS = [
    """\
import mcpnb
fleet = mcpnb.lab.start('weather', replicas=3, name='lab', seed=1)
fleet.strategy = 'peak_ewma'
fleet.trip('weather-2')
for _ in range(20):
    result = fleet.call('weather.forecast', location='London')""",
    "fleet.dashboard()",
    "fleet.form('weather.forecast')",
    "mcpnb.playground()",
    "fleet",
    "result",
    "result.explain()",
    "fleet.gather('weather.current', location='London')",
    "fleet.tool.weather.forecast",
]

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]

_CHECK = """async ([places, rules]) => {
  const words = node => node.any.concat(node.all).map(check => check.message).join('; ').slice(0, 200);
  const found = await axe.run({include: places}, {runOnly: {type: 'tag', values: rules}});
  return found.violations.flatMap(rule => rule.nodes
    .map(node => `${rule.id}: ${node.html.slice(0, 160)} (${words(node)})`));
}"""

_NAMES = """() => [...document.querySelectorAll('.jp-NotebookPanel:not(.lm-mod-hidden) [role=slider]')]
  .map(handle => handle.ariaLabel)"""

# A slider that turns gets another handle. One of somebody else's stands beside all of ours.
_MARK = """() => {
  for (const handle of document.querySelectorAll('[role=slider]')) handle.dataset.old = 'yes';
  document.body.insertAdjacentHTML('beforeend', `<div id="others" class="widget-slider">
    <label class="widget-label">theirs</label><div class="noUi-handle"></div></div>`);
}"""
_TURN = """
import gc, ipywidgets
sliders = (w for w in gc.get_objects() if isinstance(w, ipywidgets.IntSlider))
days = next(w for w in sliders if w.description == 'Slider for days')
days.orientation = 'vertical'"""


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder: Path = tmp_path_factory.mktemp("axe")
    (folder / "package.json").write_text(json.dumps({"private": True}))
    command = [npm, "install", "--no-audit", "--no-fund", "--silent", "axe-core@4"]
    subprocess.run(command, cwd=folder, check=True, timeout=120)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


def test_what_a_person_touches_has_labels_and_contrast(lab_page, axe):
    page = lab_page(CELLS)
    cells = page.run_all(timeout=120)
    assert {cell.source: cell.error for cell in cells if cell.error} == {}
    page.output(3).get_by_text("p95").first.wait_for(timeout=30_000)
    page.page.evaluate(axe)
    outputs = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-OutputArea-output"
    for theme in ("light", "dark"):
        page.wear(theme)
        page.shot()
        found = page.page.evaluate(_CHECK, [[[outputs]], _RULES])
        assert not found, "\n".join(found)
    names = page.page.evaluate(_NAMES)
    lab = [f"{word}, weather-{n}: " for n in (1, 2, 3) for word in ("latency", "jitter", "errors")]
    ours = [*lab, "Slider for days", "calls/s, Calls per second", "seconds, How long"]
    assert [name[: len(begin)] for name, begin in zip(names, ours, strict=True)] == ours
    assert page.output(1).get_by_role("textbox", name=names[0]).inner_text() == "20"

    page.page.evaluate(_MARK)
    assert page.page.evaluate(_RUN, _TURN) == ""
    page.output(2).locator("[role=slider]:not([data-old])[aria-label^='Slider for days']").wait_for()
    assert page.page.locator("#others [aria-label]").count() == 0
    assert page.console == []
