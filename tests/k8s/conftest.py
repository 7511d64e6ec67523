from __future__ import annotations

import pytest

from conftest import CI
from tests import services


@pytest.fixture(scope="session")
def promtool() -> str:
    """Prometheus's own checker. Missing in CI it is an error: rules that nobody checks are worth nothing."""
    try:
        return services._program("promtool")
    except services.Missing as error:
        if CI:
            raise
        pytest.skip(str(error))
