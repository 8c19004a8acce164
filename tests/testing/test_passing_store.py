"""A store that passes calls on: every call of the contract reaches the store behind it, with its arguments."""

import inspect
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from perdure.actors.store.contract import Store
from perdure.testing.passing_store import PassingStore

CALLS = [name for name in vars(Store) if not name.startswith("_")]


@pytest.mark.anyio
@pytest.mark.parametrize("name", CALLS)
async def test_a_call_reaches_the_store_behind(name: str) -> None:
    inner = MagicMock(spec=Store)
    method = getattr(Store, name)
    if isinstance(method, property):
        assert getattr(PassingStore(inner), name) is getattr(inner, name)
        return
    parameters = list(inspect.signature(method).parameters.values())[1:]
    positional: list[Any] = [object() for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    keywords = {each.name: object() for each in parameters if each.kind is each.KEYWORD_ONLY}
    is_async = inspect.iscoroutinefunction(method)
    called = AsyncMock(return_value="answer") if is_async else MagicMock(return_value="answer")
    setattr(inner, name, called)
    answer = getattr(PassingStore(inner), name)(*positional, **keywords)
    if is_async:
        answer = await answer
    called.assert_called_once_with(*positional, **keywords)
    returns = inspect.signature(method).return_annotation
    assert answer == (None if returns is None else "answer")
