"""Nets: files, model, training, averaging, batch norm."""
