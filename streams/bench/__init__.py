"""`claimhub bench`: the hub against the fastest plain program for the same rows, on real services, in one run."""
