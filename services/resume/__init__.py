"""Wakes what stopped: hints, dead letters, and the watchdog's rounds."""
