"""Load tests with simulated users (``manage.py loadtest``). docs/load-tests.md explains them.

Locust generates the load in a separate process (``locustfile``, ``live_clients``), because gevent patches Python's
standard library and must not be mixed with Django. Some modules are imported by both processes, so they import neither
gevent nor Django: ``scenarios``, ``generator_config``, ``events``, ``sentences``, ``response_checks``.
"""
