"""Secrets struck out of whatever a tool says: other sides repeat what they were sent, above all in errors. Pure."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

import msgspec

from shared import step_log
from shared.tools.registry import Call, TookOver, ToolFunction, ToolNotSent, ToolRefused, ToolUnanswered

MARK: Final = "***"


class Redactor:
    """Knows the secrets of one tool."""

    def __init__(self, values: Iterable[str]) -> None:
        """Their values, as they are and as URLs write them."""
        forms = {form for value in values if value for form in (value, quote(value, safe=""), quote_plus(value))}
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Without the secrets."""
        for form in self._forms:
            text = text.replace(form, MARK)
        return text

    def value(self, value: Any) -> Any:
        """JSON without the secrets, also in names."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(name): self.value(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(one) for one in value]
        return value

    def error(self, error: Exception) -> Exception:
        """One that means the same."""
        message = self.text(str(error))
        if isinstance(error, ToolRefused):
            return ToolRefused(self.text(error.code), message, retryable=error.retryable, retry_after_ms=error.retry_after_ms)
        if isinstance(error, ToolNotSent):
            return ToolNotSent(message)
        return ToolUnanswered(message if isinstance(error, ToolUnanswered) else f"{type(error).__name__}: {message}")

    def around(self, function: ToolFunction) -> ToolFunction:
        """The same tool, whose outputs and errors have no secret in them; itself where there is none."""
        if not self._forms:
            return function

        async def called(call: Call, **args: Any) -> Any:
            step_log.also_clean(self.value)
            try:
                output = await function(call, **args)
            except (TimeoutError, asyncio.CancelledError):
                raise
            except Exception as error:  # noqa: BLE001 - a tool may raise anything, and anything may hold its secret
                raise self.error(error) from None  # the chain would show what was struck out
            if isinstance(output, TookOver):
                return TookOver(output=self.value(msgspec.to_builtins(output.output)))
            return self.value(msgspec.to_builtins(output))

        return called
