"""The product team's page: who uses voice, how much, how well, and what it costs. Reads roll-ups, never the ledger."""
