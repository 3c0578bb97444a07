"""Says hello and nothing else."""

from __future__ import annotations

import sys

sys.stdout.write("hello\n")
sys.stdout.flush()
sys.stdin.read()
