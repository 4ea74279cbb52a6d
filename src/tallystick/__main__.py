"""`python -m tallystick` is the same as `tallystick`."""

from tallystick.cli import main

main()
