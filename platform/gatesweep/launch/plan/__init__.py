"""What a sweep would do and cost, without doing it: `gatesweep plan`.

    corners    the smallest and the largest configuration of the space
    probe      a few real steps of a configuration, in a process of its own
    effort     epochs and hours, from earlier sweeps or between the corners
    room       whether it fits: cores, GPUs and memory of the nodes; how many trials a node holds
    planned    all of it together
"""
