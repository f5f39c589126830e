"""The HTTP surface, one file per resource: read and check, one call, answer."""
