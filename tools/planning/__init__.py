"""Capacity planning: how many machines a number of users needs, and what these machines cost."""
