"""Schedules: words or a plan, again and again. `timing` decides and is pure; `firing` does."""
