"""Demo data: three months of plausible use (the demo quarter), for trying the pages.

Only ``manage.py seed_demo`` writes them.

Modules that decide what happens are pure functions of a seed:

- ``narrative``: the decisions and incidents, and their times;
- ``rhythm``: how use varies over the day and the week;
- ``people``: the end users;
- ``traffic``: their requests;
- ``outcomes``: how the requests end;
- ``load``: the load of the service.

The modules ``ledger``, ``billing``, ``rollout`` and ``capacity`` write these data to the database through the apps' own
models. ``filling`` calls them all in one transaction.
"""
