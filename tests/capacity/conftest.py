from tests.capacity.world import boss, mailbox, operator, product, rooms, seeded, webhook, world

__all__ = ["boss", "mailbox", "operator", "product", "rooms", "seeded", "webhook", "world"]
