"""Load as people make it, a verdict, a report. ``manage.py loadtest`` runs it; docs/load-tests.md explains it.

Locust makes the load, in a process of its own (``locustfile``, ``live``): gevent changes Python's standard library and
must not come near Django. The two processes share what is free of both: ``scenarios``, ``orders``, ``events``,
``sentences``, ``answers``.
"""
