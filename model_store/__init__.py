"""The files of models: which models are available (``catalogue.toml``), where the files are, and how to install them.

This package does not depend on the engines that use the files. It does not need Django either, except for the module
``choice``, which uses Django's settings and translations, and the command ``manage.py models``.
"""
