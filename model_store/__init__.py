"""Model weights: which models there are (``catalogue.toml``), where their files are, and how to install them.

This package is plain Python, except for ``choice.chosen``, which reads the settings, and the command ``manage.py
models``. It does not depend on the engines that use the files.
"""
