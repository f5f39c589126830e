"""Things outside the engine that make the default run real."""
