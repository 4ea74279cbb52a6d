"""The randomness of a real node. The core takes it as an argument, so that a run can be repeated."""

from __future__ import annotations

import random
from typing import Final

ENTROPY: Final = random.SystemRandom()
"""From the operating system; nothing of it is ever a secret."""
