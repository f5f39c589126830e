"""The pure machine: tables of (state, event) -> decision, properties over whole runs, and what a decision may cost."""
