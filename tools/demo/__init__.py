"""A believable quarter for trying the pages, made by `manage.py seed_demo`; never by itself.

What happens is pure and drawn from a seed: ``narrative`` (what was decided when), ``rhythm`` (day and week),
``people``, ``traffic`` (their requests), ``load`` (how full the service was). ``ledger``, ``billing``, ``rollout`` and
``capacity``
write it through the apps' own models; ``filling`` does it all in one transaction.
"""
