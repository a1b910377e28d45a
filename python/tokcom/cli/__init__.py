"""The `tokcom` command: one module a group, imported when one of its commands is called.

What stands at the top of these modules is all that `tokcom --help` waits for: Click and Rich, no NumPy. What a command
works with it imports in its function.
"""
