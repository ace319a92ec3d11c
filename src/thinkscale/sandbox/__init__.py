"""Running what a model wrote, with hard limits and out of reach of everything else.

docs/sandbox.md says what is covered and what is not.
"""
