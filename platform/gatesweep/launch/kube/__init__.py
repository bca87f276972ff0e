"""Sweeps on Kubernetes: a RayJob is written, checked by the rules of those who will refuse it, applied and followed.

    pods.py        a pod that a restricted namespace admits
    manifest.py    a sweep's RayJob
    rules.py       what the KubeRay operator refuses beyond its schema
    restricted.py  what a restricted namespace refuses
    ship.py        the working tree, through the sweep's storage
    client.py      the official client, and what its errors mean
    jobs.py        `Runner`: start, follow, stop

Importing it imports no vendor.
"""
