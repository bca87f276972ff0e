"""The lock against the advisories of OSV: which locked version has a vulnerability that is known (pip-audit).

    python tests/support/audit.py                  # constraints.txt; needs a way to api.osv.dev
    python tests/support/audit.py --if-reachable   # where there may be no way: says so, and ends with 0

Ends with 0 where nothing is found, with 1 where something is, and with 2 where the service does not answer. It is asked
for the lock's names and versions, and is told nothing else.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SERVICE = "https://api.osv.dev/v1/query"
ACCEPTED: dict[str, str] = {}
"""Advisories that do not hold for gatesweep, by id, each with the reason."""


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lock", nargs="?", type=Path, default=Path("constraints.txt"))
    parser.add_argument("--service", default=SERVICE, help="the address of OSV's interface")
    parser.add_argument("--if-reachable", action="store_true", help="no answer is no failure")
    told = parser.parse_args(words)
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(told.lock), "--no-deps", "--disable-pip",
               "--format", "json", "--vulnerability-service", "osv", "--osv-url", told.service, "--timeout", "20",
               "--progress-spinner", "off"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        print(f"NOT AUDITED: {told.service} does not answer: {last_line(done.stderr)}")
        return 0 if told.if_reachable else 2
    found = list(advisories(packages))
    print(*found, sep="\n")
    print(f"audited: {len(packages)} packages, {len(found)} advisories, {len(ACCEPTED)} accepted")
    return 1 if found else 0


def advisories(packages: list[dict[str, Any]]) -> list[str]:
    """A line each, but for those that are accepted.

    Raises:
        SystemExit: a package was passed over, so that nobody knows.
    """
    if passed := [f"{each['name']}: {each['skip_reason']}" for each in packages if "skip_reason" in each]:
        sys.exit("\n".join(["not audited:", *passed]))
    return [f"{each['name']} {each['version']}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'no version'}"
            for each in packages for one in each["vulns"]
            if not {one["id"], *one["aliases"]} & set(ACCEPTED)]  # fmt: skip


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1][:300] if text.strip() else "no word"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
