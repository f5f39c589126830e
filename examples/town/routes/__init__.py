"""One file per resource: decode, make one call, encode."""
