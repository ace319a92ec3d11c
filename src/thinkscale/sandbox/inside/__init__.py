"""What runs within a sandbox. It imports the standard library and itself only: nothing else is there.

The folder is bound into the sandbox read-only, as the same package that it is here. Nothing in it is secret.
"""
