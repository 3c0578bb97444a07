"""The index of many matches, and the ladder of promoted nets."""
