"""Ratings of all nets in a number of run folders, and the report of a tournament."""
