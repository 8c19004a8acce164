"""A client with prepared answers that records its calls, for tests of the commands."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self


class FakeClient:
    """Answers each method with its entry in `answers`: a value, an error, or a function of the arguments."""

    url = "http://fake"

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def method(*arguments: Any, **named: Any) -> Any:
            return self._answer(name, arguments, named)

        @asynccontextmanager
        async def stream(*arguments: Any, **named: Any) -> AsyncIterator[AsyncIterator[Any]]:
            async def lines() -> AsyncIterator[Any]:
                for line in self._answer(name, arguments, named):
                    if isinstance(line, Exception):
                        raise line
                    yield line

            yield lines()

        return stream if name in ("export", "events") else method

    def _answer(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        self.asked.append((name, arguments, named))
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer(*arguments, **named) if callable(answer) else answer
