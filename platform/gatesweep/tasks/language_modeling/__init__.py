"""Language modelling: the next word, or the next character, of running text.

    config.py     the sections `data:` and `model:`      source.py     lines of each split, from a set or a folder
    corpus.py     lines -> vocabulary and numbers        streams.py    contiguous streams, windows, loaders
    module.py     the Lightning module                   baselines.py  unigram, bigram
    figures.py    pictures                               task.py       all of it behind `gatesweep.tasks.base.Task`
    sampling.py   text that the model writes             telling.py    lines for the log
"""
