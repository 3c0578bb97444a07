"""A net as a UCI engine: what it is told, how it searches, what it says."""
