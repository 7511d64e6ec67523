"""Load tests with simulated users (``manage.py loadtest``), explained in docs/load-tests.md.

Locust generates the load in a process of its own (``locustfile``, ``live``), because gevent patches Python's standard
library and must not be mixed with Django. Modules that both processes import use neither of the two: ``scenarios``,
``orders``, ``events``, ``sentences``, ``answers``.
"""
