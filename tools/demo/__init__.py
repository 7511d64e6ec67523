"""Demo data for trying out the admin and the dashboard: three months of plausible use, called the demo quarter.

Only ``manage.py seed_demo`` writes these data.

Some modules decide at random what happens in the quarter. Their results depend only on their arguments and a seed:

- ``narrative``: the decisions and incidents, and their times;
- ``rhythm``: how use varies over the day and the week;
- ``people``: the end users;
- ``traffic``: their requests;
- ``outcomes``: how the requests end;
- ``load``: the load of the service.

The modules ``ledger``, ``billing``, ``rollout`` and ``capacity`` write these data to the database through the apps' own
models. ``filling`` calls them all in one transaction.
"""
