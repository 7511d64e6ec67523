"""Model weights: which models there are (``catalogue.toml``), where their files are, and how to install them.

This package is plain Python, except for ``choice``, which uses Django's settings and translations, and the command
``manage.py models``. It does not depend on the engines that use the files.
"""
