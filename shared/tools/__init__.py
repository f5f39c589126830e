"""What steps can do. A tool is a typed Python function that declares its effect class and how it is undone or probed."""
