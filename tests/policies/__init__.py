"""Rules that every plan is held to."""
