"""Match statistics: pure functions of counts, numbers in and numbers out."""
