"""Matches played by the thousand without a chessboard: what the statistics promise, measured."""
