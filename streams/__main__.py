"""`python -m streams` is the `claimhub` command."""

from streams.cli import main

main()
