"""Polyphonic music as piano rolls: which of 88 notes sound at each step of a grid.

    rolls       a piece, its frames, keys of what is alike      published   JSB and its sisters, .json and .mat
    musicxml    a score in MusicXML, .mxl or not                scores      scores on a grid; the set `chorales`
    reading     which reader a path needs                       quality     what is wrong with it, in numbers
    midi        piano rolls to a standard MIDI file
"""
