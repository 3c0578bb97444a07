"""The pictures of a match: what each shows, drawn from the summary's numbers alone."""
