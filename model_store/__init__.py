"""Model weights: which models there are (``catalogue.toml``), where their files are, how to install them.

Plain Python except ``choice.chosen``, which reads the settings, and the command ``manage.py models``. This package does
not know what the engines do with the files.
"""
