"""The nightly promotion: the latest net in, a decision out, the history kept."""
