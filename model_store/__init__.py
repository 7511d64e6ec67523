"""Model weights: which there are (``catalogue.toml``), where they are, how they get here.

Plain Python but for ``choice.chosen``, which reads the settings, and the command ``manage.py models``. It knows nothing
of what the engines do with the files.
"""
