"""`mcpnb.doctor()`: hazards of the running process in plain words, with what to do about each.

It owns what counts as a hazard and how it is told. Looking (`look`) and judging (`diagnose`) are apart, so
that every judgement can be tested on facts that this machine does not have. It changes nothing and, apart
from importing the SDK once, loads nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from mcpnb.notebook import nest
from mcpnb.portal import get_portal

Level = Literal["fine", "note", "warning", "problem"]

SYMBOLS: Final[dict[Level, str]] = {"fine": "✓", "note": "i", "warning": "!", "problem": "✗"}
_COLOURS: Final[dict[Level, str]] = {
    "fine": "mcpnb-good", "note": "mcpnb-dim", "warning": "mcpnb-warn", "problem": "mcpnb-bad",
}  # fmt: skip

_SLOW_IMPORT: Final = 4.0
"""Seconds; the SDK takes about one on an ordinary machine."""

_SLOW_LOOP: Final = 0.05
"""Seconds; an idle loop answers in well under a millisecond."""

_IPYWIDGETS: Final = (8, 1, 5)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the doctor looked at."""

    level: Level
    what: str
    """What was found, as a sentence."""
    why: str = ""
    """What follows from it."""
    fix: str = ""
    """What to do; empty when there is nothing to do."""

    def __str__(self) -> str:
        parts = (f"{SYMBOLS[self.level]} {self.level:8}{self.what}", self.why, self.fix and f"→ {self.fix}")
        return "\n           ".join(part for part in parts if part)


class Findings(list[Finding]):
    """What the doctor found, worst first; shows as a table."""

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self)

    def __repr__(self) -> str:
        worst = self[0].level if self else "fine"
        return f"<Findings: {len(self)}, the worst is {worst}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        from mcpnb.notebook.markup import bundle  # noqa: PLC0415 - only a notebook asks

        return bundle(findings_html(self), str(self))


@dataclass(frozen=True, slots=True)
class Facts:
    """What `look` saw. Versions are numbers only, None where the package is missing."""

    in_kernel: bool
    ipykernel: tuple[int, ...] | None
    nesting: str | None
    """The module that made asyncio nested, if one did."""
    threaded_run: bool
    """Whether `asyncio.run` is replaced by ours."""
    stderr_has_descriptor: bool
    ipywidgets: tuple[int, ...] | None
    widgets_extension: bool
    """Whether JupyterLab's half of ipywidgets is in this environment."""
    import_seconds: float | None
    """What `import mcp` took just now; None when it was loaded already."""
    slow_formats: bool
    """Whether the package that makes jsonschema's import slow is installed."""
    loop_running: bool
    loop_lag: float | None
    """Seconds; None when the loop did not answer within one second."""


def doctor() -> Findings:
    """Look at the running process and say what may hurt, worst first."""
    return diagnose(look())


def look() -> Facts:
    """Gather the facts. Imports the SDK if nobody has (about a second), and touches nothing else."""
    portal = get_portal()
    return Facts(
        in_kernel=_in_kernel(),
        ipykernel=nest.ipykernel_version(),
        nesting=nest.nesting(),
        threaded_run=nest.installed(),
        stderr_has_descriptor=_has_descriptor(sys.stderr),
        ipywidgets=nest.version_of("ipywidgets"),
        widgets_extension=nest.version_of("jupyterlab_widgets") is not None,
        import_seconds=_import_seconds("mcp"),
        slow_formats=importlib.util.find_spec("rfc3987_syntax") is not None,
        loop_running=portal.running,
        loop_lag=portal.lag(),
    )


def diagnose(facts: Facts) -> Findings:
    """What the facts mean, worst first."""
    found = [finding for check in _CHECKS for finding in check(facts)]
    rank = {level: place for place, level in enumerate(reversed(SYMBOLS))}
    return Findings(sorted(found, key=lambda finding: rank[finding.level]))


# ---- looking


def _in_kernel() -> bool:
    ipython = sys.modules.get("IPython")
    shell = getattr(ipython, "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def _has_descriptor(stream: Any) -> bool:
    try:
        stream.fileno()
    except (AttributeError, OSError, ValueError):  # io.UnsupportedOperation is the latter two
        return False
    return True


def _import_seconds(module: str) -> float | None:
    if module in sys.modules:
        return None
    began = time.perf_counter()
    importlib.import_module(module)
    return time.perf_counter() - began


# ---- judging


def shell_message_hazard(ipykernel: tuple[int, ...] | None) -> Finding | None:
    """The warning about ipykernel 7.0 to 7.3, for these and no others."""
    if ipykernel is None or not (7,) <= ipykernel < (7, 4):
        return None
    return Finding(
        "warning",
        f"ipykernel {_dotted(ipykernel)} can lose a message to the kernel.",
        "Now and then a cell stays [*] although nothing runs (ipykernel issue 1554).",
        'Upgrade: %pip install "ipykernel>=7.4", then restart the kernel.',
    )


def _kernel(facts: Facts) -> Iterator[Finding]:
    if not facts.in_kernel:
        yield Finding("note", "This is no Jupyter kernel: widgets and magics are not used here.")
    elif (hazard := shell_message_hazard(facts.ipykernel)) is not None:
        yield hazard
    elif facts.ipykernel is not None:
        yield Finding("fine", f"ipykernel {_dotted(facts.ipykernel)} has no known hazard.")


def _nesting(facts: Facts) -> Iterator[Finding]:
    use = (
        "mcpnb does not need nest-asyncio: its connections live on an event loop of their own. "
        "It is there for %mcp nest on alone, for pasted scripts with loop.run_until_complete(...)."
    )
    if facts.nesting is None:
        yield Finding("fine", "asyncio is not nested.", use)
    elif facts.nesting == "nest_asyncio" and facts.in_kernel and nest.needs_nest_asyncio2(facts.ipykernel):
        yield Finding(
            "problem",
            "nest_asyncio has been applied, and this ipykernel cannot bear it.",
            "With ipykernel 7 and later, Run All loses cells: they stay [*] (“cannot enter context”). " + use,
            "Remove nest_asyncio.apply() from the notebook and restart the kernel.",
        )
    else:
        yield Finding("note", f"asyncio is nested ({facts.nesting}).", use)


def _run(facts: Facts) -> Iterator[Finding]:
    if facts.threaded_run:
        yield Finding("fine", "asyncio.run(main()) works in cells (%load_ext mcpnb).")
    elif facts.in_kernel:
        yield Finding(
            "note",
            "asyncio.run(main()) does not work in cells.",
            "A kernel's loop is running already, so Python refuses to start another in its thread.",
            "%load_ext mcpnb makes it work; so does `await main()`.",
        )


def _stderr(facts: Facts) -> Iterator[Finding]:
    if not facts.stderr_has_descriptor:
        yield Finding(
            "warning",
            "sys.stderr has no file descriptor in this kernel.",
            "mcpnb gives every server a file of its own, so its fleets are not affected. Scripts that use "
            "the SDK's stdio_client(...) fail here with “UnsupportedOperation: fileno”.",
            'In such scripts: stdio_client(parameters, errlog=open("server.log", "w")).',
        )


def _widgets(facts: Facts) -> Iterator[Finding]:
    if not facts.in_kernel:
        return
    if facts.ipywidgets is None:
        yield Finding(
            "problem", "ipywidgets is not installed.", "Dashboards and forms cannot be shown.",
            "%pip install ipywidgets, then reload the page.",
        )  # fmt: skip
    elif facts.ipywidgets < _IPYWIDGETS:
        yield Finding(
            "warning", f"ipywidgets {_dotted(facts.ipywidgets)} is older than {_dotted(_IPYWIDGETS)}.",
            "Dashboards may stay blank.", "%pip install -U ipywidgets, then reload the page.",
        )  # fmt: skip
    elif not facts.widgets_extension:
        yield Finding(
            "note",
            "JupyterLab's half of ipywidgets is not in this environment.",
            "That is fine where JupyterLab itself runs in another one that has it.",
            "If dashboards show as text: install jupyterlab_widgets where JupyterLab is installed.",
        )
    else:
        yield Finding(
            "fine", f"ipywidgets {_dotted(facts.ipywidgets)} and its JupyterLab half are installed."
        )


def _imports(facts: Facts) -> Iterator[Finding]:
    if facts.import_seconds is not None and facts.import_seconds > _SLOW_IMPORT:
        yield Finding(
            "warning",
            f"Importing the MCP SDK took {facts.import_seconds:.1f} s.",
            "One second is usual. A network disk or a virus scanner makes every first connection this slow.",
            "Move the environment to a local disk.",
        )
    else:
        took = "" if facts.import_seconds is None else f", which took {facts.import_seconds:.1f} s"
        yield Finding("fine", f"The MCP SDK is imported{took}.")
    if facts.slow_formats:
        yield Finding(
            "note",
            "rfc3987_syntax is installed (JupyterLab's extras bring it).",
            "It slows down the SDK's first tool call by a second or two; "
            "mcpnb has it done while it connects, so that your first latency is honest.",
        )


def _loop(facts: Facts) -> Iterator[Finding]:
    if not facts.loop_running:
        yield Finding("fine", "mcpnb's event loop has not been started; the first connection does.")
    elif facts.loop_lag is None:
        yield Finding(
            "problem",
            "mcpnb's event loop did not answer within a second.",
            "Something on it computes or waits without `await`: a callback, or a server in this process.",
            "Move blocking work to asyncio.to_thread(...).",
        )
    elif facts.loop_lag > _SLOW_LOOP:
        yield Finding(
            "warning",
            f"mcpnb's event loop answers after {facts.loop_lag * 1000:.0f} ms.",
            "Every measured latency contains this delay. Other work keeps the processor or the loop busy.",
            "Move blocking work to asyncio.to_thread(...), or wait until the machine is quieter.",
        )
    else:
        yield Finding("fine", f"mcpnb's event loop answers within {facts.loop_lag * 1000:.1f} ms.")


_CHECKS: Final = (_kernel, _nesting, _run, _stderr, _widgets, _imports, _loop)


def _dotted(version: Sequence[int]) -> str:
    return ".".join(str(number) for number in version)


# ---- telling


def findings_html(findings: Sequence[Finding]) -> str:
    """The findings as a table; everything is escaped."""
    from mcpnb.notebook.markup import Column, table  # noqa: PLC0415 - only a notebook asks

    columns = (Column("State"), Column("What"), Column("What to do"))
    rows = [_row(finding) for finding in findings]
    return f'<section class="mcpnb-card">{table(columns, rows, caption="Doctor", row_heads=True)}</section>'


def _row(finding: Finding) -> tuple[str, str, str]:
    from mcpnb.notebook.markup import escape  # noqa: PLC0415 - only a notebook asks

    state = (
        f'<span class="mcpnb-state {_COLOURS[finding.level]}">{SYMBOLS[finding.level]} {finding.level}</span>'
    )
    why = f'<span class="mcpnb-small">{escape(finding.why)}</span>' if finding.why else ""
    return state, f"{escape(finding.what)}{why}", escape(finding.fix)
