"""What tools promise."""
