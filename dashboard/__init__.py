"""The product team's dashboard (active users, usage, quality and cost), and the admin's first page and side bar.

The dashboard reads roll-ups instead of the ledger, except for the page of a single end user and for filtered quality.
"""
