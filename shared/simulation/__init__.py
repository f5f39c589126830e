"""The engine over simulated surroundings, in virtual time, from a seed: one seed is one timeline, faults and all.

The machine, the interpreter, the relay and the watchdog are the real ones. Simulated are the clock, Redis, QStash, the tools,
the processes (which are killed and frozen) and the people. See docs/simulation.md.
"""
