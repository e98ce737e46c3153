"""The inputs of a registry's entry: constants, templates, defaults, and what a person has to say.

It owns which value an input gets and when somebody is asked, once for each name. A text that somebody gave is
put in as it is: what looks like a `{variable}` in it stays. It knows neither commands nor connections.

Secret is what a person says. What the entry itself says is public, whatever it calls it: were it hidden, a
person would agree to a command of which he had not seen that part.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

from mcpnb.config import Prompt
from mcpnb.config.redact import secret_parts, sounds_secret
from mcpnb.errors import ConfigError

__all__ = ["Inputs"]

Input = Mapping[str, Any]

_SAID = 500
"""Characters of its author's words that stand in a question."""
_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Inputs:
    """The inputs of one server.

    Args:
        server: Its name, for questions and errors.
        values: What the caller says beforehand, by the name of a variable, argument or environment variable.
        ask: Asks a person; None where nobody answers.
        answers: What was answered before; shared by everything of one server, so that nothing is asked twice.
    """

    def __init__(
        self, server: str, values: Mapping[str, object], ask: Callable[[Prompt], Awaitable[str | None]],
        answers: dict[str, str],
    ) -> None:  # fmt: skip
        self._server, self._values, self._ask, self._answers = server, values, ask, answers
        self.hidden: set[str] = set()
        """Secrets among what was said so far."""

    async def text(self, given: Input, name: str) -> str | None:
        """The one value of an input; None when it has none and needs none.

        Raises:
            ConfigError: It needs one and nobody says it, or it is none of its choices.
        """
        texts = await self.texts(given, name)
        return texts[0] if texts else None

    async def texts(self, given: Input, name: str) -> list[str]:
        """All values of an input: several where it may be repeated. Raises as `text` does."""
        if given.get("value") is not None:
            return [await self._filled(given)]
        said = self._values.get(name)
        if isinstance(said, list | tuple):
            if not given.get("isRepeated"):
                raise self._wrong(name, "takes one value, not several.")
            return [self._checked(given, name, str(item)) for item in cast("list[object]", said)]
        if said is not None:
            return [self._checked(given, name, str(said))]
        answer = await self._answered(given, name)
        try:
            return [] if answer is None else [self._checked(given, name, answer)]
        except ConfigError:  # whoever said it may say something else the next time
            self._answers.pop(name, None)
            raise

    async def _filled(self, given: Input) -> str:
        """A template with its variables. Braces that name none of them are the author's own."""
        template = str(given["value"])
        variables: Mapping[str, Input] = given.get("variables") or {}
        # What a secret is made of is secret.
        more = {"isSecret": True} if given.get("isSecret") else {}
        values = {
            variable: await self.text({**variables[variable], **more}, variable)
            for variable in dict.fromkeys(_VARIABLE.findall(template))
            if variable in variables
        }
        return _VARIABLE.sub(lambda m: values[m[1]] or "" if m[1] in values else m[0], template)

    async def _answered(self, given: Input, name: str) -> str | None:
        """What is said of an input that nobody spoke of beforehand."""
        default = None if given.get("default") is None else str(given["default"])
        required, secret = bool(given.get("isRequired")), self._is_secret(given, name)
        if not required and (not secret or default is not None):
            return default
        if name not in self._answers:
            answer = await self._ask(self._prompt(given, name, default, secret=secret))
            if answer is None and required and default is None:
                fix = f'Pass values={{"{name}": ...}}.'
                raise self._wrong(name, "needs a value, and nobody is there to say it.", fix)
            self._answers[name] = answer or default or ""
        text = self._answers[name]
        if not text and required:
            del self._answers[name]
            raise self._wrong(name, "needs a value.")
        return text or None

    def _prompt(self, given: Input, name: str, default: str | None, *, secret: bool) -> Prompt:
        optional = "" if given.get("isRequired") else " (may be empty)"
        words = f"{self._server}: {str(given.get('description') or name)[:_SAID]}{optional}"
        return Prompt(
            id=name, description=words, password=secret, default=default,
            options=tuple(str(choice) for choice in given.get("choices") or ()),
        )  # fmt: skip

    def _checked(self, given: Input, name: str, text: str) -> str:
        choices = [str(choice) for choice in given.get("choices") or ()]
        if text not in {*choices, str(given.get("default"))}:
            self._hide(text, secret=self._is_secret(given, name))
        if choices and text not in choices:
            raise self._wrong(name, f"is none of: {', '.join(choices)}.")
        kind = given.get("format")
        if kind == "number" and not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
            raise self._wrong(name, "is not a number.")
        if kind == "boolean" and text not in {"true", "false"}:
            raise self._wrong(name, "is neither true nor false.")
        return str(Path(text).expanduser()) if kind == "filepath" and text.startswith("~") else text

    def _hide(self, said: str, *, secret: bool) -> None:
        self.hidden.update(secret_parts([said]))
        if secret and said:
            self.hidden.add(said)

    def _is_secret(self, given: Input, name: str) -> bool:
        return bool(given.get("isSecret")) or sounds_secret(name)

    def _wrong(self, name: str, problem: str, fix: str | None = None) -> ConfigError:
        return ConfigError(problem, server=self._server, key=name, fix=fix)
