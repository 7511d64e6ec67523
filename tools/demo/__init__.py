"""Demo data: a believable quarter for trying the pages, written only by ``manage.py seed_demo``.

Modules that decide what happens are pure functions of a seed:

- ``narrative``: decisions and incidents, and when they were;
- ``rhythm``: use over the day and the week;
- ``people``: the end users;
- ``traffic``, ``outcomes``: their requests, and how these end;
- ``load``: the load of the service.

``ledger``, ``billing``, ``rollout`` and ``capacity`` write it to the database through the apps' own models. ``filling``
calls them all in one transaction.
"""
