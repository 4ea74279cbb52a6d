"""A seeded simulator: the real `node` code, thousands of times in one process, on a virtual clock.

A `World` holds machines and what is between them; a seed decides everything that is left to chance. `scenario` runs one
from its faults through its healing to the laws that must hold then.
"""
