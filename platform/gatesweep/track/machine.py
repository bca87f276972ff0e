"""What a run ran on: packages, Python, processor, threads, torch's settings, and the variables that change numbers."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

VARIABLES = (
    "PYTHONHASHSEED", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "NCCL_ALGO", "NCCL_PROTO", "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "LD_PRELOAD",
)
"""The only environment variables that are written down: all others may hold secrets."""

IMAGE = "GATESWEEP_IMAGE"
"""Set in our images: the digest of the image that a process runs in."""


def packages() -> dict[str, str]:
    """Version of every installed distribution, from the names of their folders: nothing is opened."""
    found: dict[str, str] = {}
    for place in sys.path:
        folder = Path(place or ".")
        if not folder.is_dir():
            continue
        for entry in os.scandir(folder):
            if entry.name.endswith(".dist-info"):
                name, _, version = entry.name.removesuffix(".dist-info").partition("-")
                found.setdefault(name.lower().replace("_", "-"), version)  # the first on the path is what is imported
    return dict(sorted(found.items()))


def environment() -> dict[str, str]:
    """The whitelisted variables that are set."""
    return {key: os.environ[key] for key in VARIABLES if key in os.environ}


def machine() -> dict[str, Any]:
    """Operating system, C library and processor, with the instruction sets that decide which kernels run."""
    model, flags = _processor()
    return {"os": f"{platform.system()} {platform.release()}", "arch": platform.machine(),
            "libc": " ".join(platform.libc_ver()).strip(), "cpu": model, "cpu_flags": flags,
            "cpus": os.cpu_count(), "cpus_usable": len(os.sched_getaffinity(0)), "memory_bytes": _memory_bytes(),
            "compiler": _compiler(), "image": os.environ.get(IMAGE)}


@cache
def _compiler() -> str | None:
    """What compiles the kernels in C; none where nothing does."""
    command = shutil.which(os.environ.get("CC", "cc"))
    if command is None:
        return None
    try:
        said = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.SubprocessError):  # it cannot be asked
        return command
    return next(iter(said.splitlines()), command)


def _processor() -> tuple[str, list[str]]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
    except OSError:  # not Linux
        return platform.processor(), []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = facts.get("flags") or facts.get("Features") or ""
    return facts.get("model name") or platform.processor() or platform.machine(), sorted(flags.split())


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def torch_settings() -> dict[str, Any] | None:
    """What of torch changes numbers; none where nobody imported it (this does not)."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    settings = {
        "version": str(torch.__version__), "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(), "interop": torch.get_num_interop_threads(),
        "default_dtype": str(torch.get_default_dtype()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "deterministic_warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "mkldnn": torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled,
        "cuda": torch.version.cuda, "gpus": [],
    }
    if torch.cuda.is_available():
        settings |= {"gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
                     "cudnn": torch.backends.cudnn.version(), "cudnn_benchmark": torch.backends.cudnn.benchmark,
                     "cudnn_deterministic": torch.backends.cudnn.deterministic,
                     "tf32": torch.backends.cuda.matmul.allow_tf32}
    return settings
