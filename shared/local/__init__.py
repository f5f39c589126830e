"""Everything on one machine with one command: the same services and code as production, other addresses and keys."""
