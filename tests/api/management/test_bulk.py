"""A bulk request is either a dry run or names a plan."""

import pytest

from perdure.api.management.bulk import BulkRequest
from perdure.api.management.filters import FilterBody
from perdure.api.words import Refusal
from perdure.runtime.operations.bulk.operation import ActionOptions

GOOD = {
    "dry run": BulkRequest(filter=FilterBody(), dry_run=True),
    "dry run with options": BulkRequest(filter=FilterBody(), dry_run=True, recurse=False, force=True, rate=1.5),
    "plan": BulkRequest(plan="text"),
    "plan beside what it was made with": BulkRequest(
        plan="text", filter=FilterBody(), reason="why", rate=1, force=True, recurse=False
    ),
}

BAD = {
    "nothing": BulkRequest(),
    "filter alone": BulkRequest(filter=FilterBody()),
    "dry run without a filter": BulkRequest(dry_run=True),
    "plan and dry run": BulkRequest(plan="text", dry_run=True, filter=FilterBody()),
    "plan and dry run without a filter": BulkRequest(plan="text", dry_run=True),
}


@pytest.mark.parametrize("body", GOOD.values(), ids=GOOD)
def test_what_can_be_meant_passes(body: BulkRequest) -> None:
    body.check()


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_what_cannot_is_refused(body: BulkRequest) -> None:
    with pytest.raises(Refusal):
        body.check()


def test_the_options_are_those_of_the_body() -> None:
    assert GOOD["dry run with options"].options == ActionOptions(recurse=False, force=True)
