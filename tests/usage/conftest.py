from tests.usage.ledgers import caller, chat, fill, product, small_plan, undrained, used

__all__ = ["caller", "chat", "fill", "product", "small_plan", "undrained", "used"]
