"""The `tallystick` command with some limits of its own, where a test would wait too long for the real ones.

python limited.py '{"handshake_ms": 500}' start --port 0 ...
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

from tallystick.app import compose
from tallystick.cli import main
from tallystick.model.limits import LIMITS

if __name__ == "__main__":
    vars(compose)["LIMITS"] = replace(LIMITS, **json.loads(sys.argv.pop(1)))
    main()
