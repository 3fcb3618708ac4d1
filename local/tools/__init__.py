"""Measuring, long runs, and fuzzing: what `make bench`, `make soak` and `make fuzz` run."""
