"""The `tokcom` command: one module per group, imported when one of its commands is called.

These modules import at the top only what `tokcom --help` needs: Click and Rich, not NumPy. A command imports everything
else in its function.
"""
