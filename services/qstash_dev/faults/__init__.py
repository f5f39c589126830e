"""Faults on demand: the server misbehaves in a chosen way, so that its callers can be tried. Off unless somebody asks."""
