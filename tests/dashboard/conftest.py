from tests.capacity.world import boss, operator, product, rooms, seeded, world
from tests.usage.ledgers import caller, chat, fill, small_plan, used

__all__ = ["boss", "caller", "chat", "fill", "operator", "product", "rooms", "seeded", "small_plan", "used", "world"]
