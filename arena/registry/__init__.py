"""What has been judged, and who is champion: one SQLite file, and the champion's file beside it."""
