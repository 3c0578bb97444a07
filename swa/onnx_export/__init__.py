"""Nets as ONNX models, for the programs that run those: ``file`` is the door."""
