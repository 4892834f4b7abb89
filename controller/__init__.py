"""The brain of the depot: journal, limiter, loop, planning cadence, read model, process tree."""
