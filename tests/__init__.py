"""See README.md in this folder for the reading order."""
