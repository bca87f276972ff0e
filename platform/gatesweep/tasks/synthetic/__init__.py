"""Synthetic problems of long memory: what has to be remembered, and for how long, is a number.

    config.py     the sections `data:` and `model:`      problems.py   adding, copy, recall, parity
    reber.py      the embedded Reber grammar             loaders.py    examples as a function of (seed, split, epoch)
    module.py     the Lightning module                   figures.py    pictures
    task.py       all of it behind `gatesweep.tasks.base.Task`
"""
