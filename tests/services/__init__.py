"""Each service at its edges."""
