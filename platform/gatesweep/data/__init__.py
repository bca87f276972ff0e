"""The data room: the catalogue of sources, the pins in `data.dvc`, readers, splits, quality checks.

    catalogue   what sets there are, from which package, under which licence, read by which rules   (light)
    pins        what `data.dvc` says, and whether the bytes agree                                   (light)
    fetch       ensure(name) -> Dataset: present, verified, or fetched                              (light)
    node        NodeCache: what `ensure` asks on a worker of a cluster: fetched once a node, by digest  (light)
    origin      a DVC remote at any address, read without DVC        shelf, room, node_disk, hashing, listing, stream
    sources     the rebuild from the package index           store   DVC's cache and remote
    versions    what another version of a set held, by its listing
    table       a file -> checked columns                    cleaning, account   declared rules, and their count
    readers     load_series, read_csv                        splits, quality, status

DVC is imported in `store` alone, and only when something is missing.
"""
