"""What to run and what to expect: one experiment per file, typed data, no logic."""
