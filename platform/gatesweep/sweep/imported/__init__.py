"""Sweeps that were written for other tools, read into ours: `reading` finds out whose a file is, `wandb` and `katib`
understand it, `mapping` finds our names, `settling` makes the parts fit each other, `writing` spells the file.

What cannot be mapped is told, with the reason, and never dropped.
"""
