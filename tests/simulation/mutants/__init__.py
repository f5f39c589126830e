"""Faults put into the engine on purpose, one guard at a time: the simulator must notice each within its budget of seeds."""
