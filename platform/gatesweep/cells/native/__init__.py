"""A cell's time loops in C for the CPU, generated from its description and compiled on the machine that runs them.

    vectors.h    a vector of numbers, exp, σ, tanh, log
    product.h    the recurrent product of one time step
    loops.h      time forwards and backwards
    emit.py      the cell's step, and its derivative, as C
    kernel.py    source -> compiled functions on tensors
    layout.py    where things stand in the loops' buffers
    passes.py    one pass forwards, one backwards: the loops with the large products around them
    ops.py       both as operations of torch: autograd, torch.compile
    threads.py   a batch shared among threads
    tracing.py   what torch.compile takes as given
    unroll.py    the back end: sequences of any length, weights in the form of the loops
"""
