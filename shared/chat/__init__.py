"""What a message means in a conversation. Pure: the planner is handed in, and nothing is read or sent.

`understand.understand` is the one way in, and `model` has what a message can mean. It never guesses: what could mean two things
is asked about, and a yes counts only for the very arguments, plan or offer that the conversation has shown.
"""
