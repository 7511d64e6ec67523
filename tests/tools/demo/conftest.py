from __future__ import annotations

import pytest

from tests.emptying import restore_migrated_rows


@pytest.fixture(autouse=True)
def migrated_rows(request: pytest.FixtureRequest) -> None:
    """Ensure that the rows of the migrations exist, whichever tests ran before."""
    if request.node.get_closest_marker("django_db") or "db" in request.fixturenames:
        request.getfixturevalue("db")
        restore_migrated_rows()
