"""The product team's dashboard (active users, usage, quality and cost), and the admin's first page and side bar.

The dashboard reads usage from roll-ups (``usage.rollups``) instead of the ledger, except for the page of a single end
user and for quality figures with filters.
"""
