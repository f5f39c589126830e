"""What messages mean in conversations: pure."""
