import pytest

from tests.capacity.world import boss, operator, product, seeded, seeded_site, world
from tests.emptying import restore_migrated_rows
from tests.usage.ledgers import caller, chat, fill, small_plan, used

__all__ = [
    "boss",
    "caller",
    "chat",
    "fill",
    "operator",
    "product",
    "seeded",
    "seeded_site",
    "small_plan",
    "used",
    "world",
]


@pytest.fixture(autouse=True)
def migrated_rows(db: None) -> None:
    """Ensure that the flags, rates and rules of the migrations exist, whichever tests ran before."""
    restore_migrated_rows()
