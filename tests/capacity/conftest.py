from tests.capacity.world import boss, mailbox, operator, product, seeded, seeded_site, webhook, world

__all__ = ["boss", "mailbox", "operator", "product", "seeded", "seeded_site", "webhook", "world"]
