"""Measurements on real processes. Nothing here is a test: a number depends on the machine and on who else uses it."""
