"""`python -m thinkscale` is the command `thinkscale`."""

from thinkscale.cli import main

main()
