"""What this machine does: evaluations, visits and pairs, each with the size it was measured at."""
