"""The pure saga machine: no I/O, no clock, no randomness. It imports the standard library, msgspec and itself only."""
