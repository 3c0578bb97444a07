"""Says hello and nothing else."""

from __future__ import annotations

import sys

print("hello", flush=True)
sys.stdin.read()
