"""The town on real HTTP: what its promises about keys, undo and late requests are worth."""
