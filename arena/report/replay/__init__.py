"""The section of a page in which every game of a match can be replayed."""
