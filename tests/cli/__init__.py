"""The command line's pure parts: the `.env` editor and the verdicts."""
