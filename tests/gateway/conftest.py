from tests.usage.ledgers import small_plan

__all__ = ["small_plan"]
