"""`symgrad bench`: a kernel beside other ways to compute the same, timed fairly."""
