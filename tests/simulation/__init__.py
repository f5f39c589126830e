"""The engine over simulated surroundings: whole runs, every crash, and the simulator's own parts."""
