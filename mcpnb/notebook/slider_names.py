"""Names for sliders: ipywidgets gives the handle none, and without one a screen reader says a bare figure.

The name has to stand on the handle itself, which no trait of a slider reaches: a page has to be told. It owns
the few lines that do so and the widget that brings them along. They are constant, and what they write they
read as text off the slider's own label, so that nothing that a server said is ever run.

JupyterLab 4 and Notebook 7 run them. Where nobody does, all else is as it was, and nothing of them is seen.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["SCRIPT", "slider_names"]

# It runs before its place is in the panel, and waits a number of frames: a page that nobody sees draws none.
# Sliders that come later, such as those of a list, are named when they come. A panel that goes takes what
# watches it along.
SCRIPT: Final = """\
(() => {
  const named = slider => {
    const label = slider.querySelector('.widget-label');
    const name = [label?.textContent, label?.title].filter(Boolean).join(', ');
    for (const handle of slider.querySelectorAll('.noUi-handle:not([aria-label])'))
      if (name) handle.setAttribute('aria-label', name);
    const figure = slider.querySelector('.widget-readout:not([role])');
    if (figure && name) {
      figure.setAttribute('role', 'textbox');
      figure.setAttribute('aria-label', name);
    }
  };
  const watched = panel => {
    const all = () => panel.querySelectorAll('.widget-slider').forEach(named);
    const watch = new MutationObserver(() => panel.contains(element) ? all() : watch.disconnect());
    watch.observe(panel, {childList: true, subtree: true});
    all();
  };
  const begun = frames => {
    const panel = element.closest('.mcpnb-live');
    if (panel) watched(panel);
    else if (frames) requestAnimationFrame(() => begun(frames - 1));
  };
  begun(600);
})();
"""
"""What a page runs; JupyterLab calls the script's own place `element`."""


def slider_names() -> Any:
    """An invisible widget: below a box of class `mcpnb-live`, all sliders of that box have names.

    A slider's name is its description and its tooltip, `"latency, weather-2: mean time per call, in ms"`: the
    description alone may stand on the page more than once. The figure beside it is called the same.
    """
    import ipywidgets  # noqa: PLC0415 - loaded when first shown

    # Some viewers have words for a script that they do not run.
    hidden = ipywidgets.Layout(display="none")
    data = {"application/javascript": SCRIPT, "text/plain": ""}
    shown = {"output_type": "display_data", "data": data, "metadata": {}}
    return ipywidgets.Output(outputs=(shown,), layout=hidden)
