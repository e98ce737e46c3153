"""A recording to look at: a few facts and a row per server, as text and as HTML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from mcpnb.experiment.palette import number, percent, whole

if TYPE_CHECKING:
    from mcpnb.experiment.recording.recording import Recording

__all__ = ["html", "text"]


def _facts(recording: Recording) -> tuple[str, ...]:
    calls = recording.calls
    failed = int((calls["outcome"] != "ok").sum())
    rate = f"{percent(failed / len(calls))} failed" if failed else "none failed"
    return (
        f"{whole(len(calls))} calls in {number(recording.seconds)} s, {rate}",
        f"recorded {recording.began:%Y-%m-%d %H:%M} UTC from {recording.name}, by {recording.strategy}",
        *recording.notes,
    )


def text(recording: Recording) -> str:
    """For a terminal."""
    table = recording.servers.to_string(index=False, float_format=number, na_rep="")
    first, *rest = _facts(recording)
    found = [f"{recording.path.name}: {first}", *rest, "", *table.splitlines()]
    return "\n".join(map(_printable, found))


_HEAD = ("server", "state", "tools", "calls", "errors", "p50_ms", "p95_ms")


def html(recording: Recording) -> str:
    """For a notebook, in both themes."""
    first, *rest = _facts(recording)
    caption = f"<caption>{escape(recording.path.name)}: {escape(first)}</caption>"
    head = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in _HEAD)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in recording.servers[list(_HEAD)].itertuples(index=False)
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in rest)
    return (
        f'<div class="mcpnb-recording"><style>{_STYLE}</style><table>{caption}'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><ul>{notes}</ul></div>"
    )


def _cell(value: object) -> str:
    return _printable(number(value) if isinstance(value, float) else str(value))


def _printable(text: str) -> str:
    """Servers chose these names: control and bidi characters do nothing but show that they are there."""
    return "".join(ch if ch.isprintable() else "\ufffd" for ch in text)


_STYLE = """
.mcpnb-recording{color:var(--jp-ui-font-color1,inherit);overflow-x:auto;
font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif)}
.mcpnb-recording table{color:inherit;border-collapse:collapse;font-variant-numeric:tabular-nums;margin:0}
.mcpnb-recording caption{caption-side:top;text-align:left;font-weight:600;padding:4px 8px 8px;
white-space:nowrap;color:inherit}
.mcpnb-recording tr{background:none!important}
.mcpnb-recording th,.mcpnb-recording td{padding:5px 10px;border:0;text-align:right;white-space:nowrap;
border-bottom:1px solid var(--jp-border-color2,rgba(128,128,128,.3))}
.mcpnb-recording th{font-weight:400;color:var(--jp-ui-font-color2,inherit)}
.mcpnb-recording :is(th,td):nth-child(-n+2){text-align:left}
.mcpnb-recording ul{margin:6px 0 0;padding:0 8px;list-style:none;font-size:12px;
color:var(--jp-ui-font-color2,inherit)}
""".replace("\n", "")
