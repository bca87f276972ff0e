"""Polyphonic music: which notes sound next.

    config.py     the sections `data:` and `model:`      prepare.py    pieces of each split, from a set or a path
    loaders.py    padded batches, transposed anew        module.py     the Lightning module
    baselines.py  models without recurrence              metrics.py    frame NLL and accuracy
    figures.py    pictures                               sampling.py   music that the model writes
    task.py       all of it behind `gatesweep.tasks.base.Task`
"""
