"""Shared storage: a folder of a file system, or a prefix of an object store, behind the same few operations.

    protocol.py    `Place`, what the rest of gatesweep knows
    opening.py     `place`, from an address
    folder.py      a folder: temporary file, fsync, rename or link
    s3.py          `s3://…` through s3fs: conditional puts, which need no lock
    s3_client.py   the client, and calls that end in time
    s3_errors.py   what the vendor raises, told as the user's errors

Importing it imports no vendor.
"""

from gatesweep.storage.opening import place
from gatesweep.storage.protocol import Place, Versioned

__all__ = ["Place", "Versioned", "place"]
