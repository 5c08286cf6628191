"""Buttons, settings and state: thin, everything that works stands in `capture`, `engine` and `results`."""
