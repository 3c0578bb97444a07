"""What the pictures of a match show, as numbers of summary.json."""
