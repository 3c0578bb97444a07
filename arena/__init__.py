"""Matches between nets: play, count, judge, report."""
