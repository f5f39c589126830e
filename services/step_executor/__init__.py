"""One delivered message runs one segment."""
