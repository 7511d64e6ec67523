"""The product team's dashboard: who uses voice, how much, how well, and at what cost.

It reads roll-ups and not the ledger, except on the page of a single end user.
"""
