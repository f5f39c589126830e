"""The resume service's own parts."""
