"""Import what the SDK imports during the first call, before it: the first latency is the server's, not ours.

`jsonschema` pulls in what it finds for string formats; with JupyterLab's extras that takes over a second.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from concurrent.futures import Future
from typing import Any

__all__ = ["begin", "warm"]

_lock = threading.Lock()
_imports: Future[None] | None = None


def begin() -> Future[None]:
    """Start the imports, once per process, in a thread that ends with them; returns at once."""
    global _imports  # noqa: PLW0603 - imports are a process's own state
    with _lock:
        if _imports is None:
            _imports = Future()
            threading.Thread(target=_work, args=(_imports,), name="mcpnb-warm", daemon=True).start()
        return _imports


async def warm() -> None:
    """Wait for the imports."""
    imports = begin()
    if not imports.done():
        await asyncio.shield(asyncio.wrap_future(imports))


def _work(done: Future[None]) -> None:
    try:
        importlib.import_module("referencing.exceptions")
        jsonschema: Any = importlib.import_module("jsonschema")
        schema = {"type": "object", "properties": {"result": {"type": "string"}}}
        validator = jsonschema.validators.validator_for(schema)
        validator.check_schema(schema)
        list(validator(schema).iter_errors({"result": "x"}))
    finally:
        # Should an import fail, the first call will say so better than we could.
        done.set_result(None)
