"""Measurements against named peers, in one run, on the same work. `make bench` runs them all."""
