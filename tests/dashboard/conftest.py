from tests.capacity.world import boss, operator, product, seeded, seeded_site, world
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
