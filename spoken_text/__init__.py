"""Text normalisation: turn written Malay, English, Mandarin and Tamil into text that can be spoken.

This package is plain Python. It imports no other part of the project.
"""
