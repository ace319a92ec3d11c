"""What the command line calls: one module and one function of the same name for each command."""
