"""What exists: blocks, headers, networks and the limits on all of them. Values only, no behaviour beyond identity."""
