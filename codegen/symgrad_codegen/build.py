"""Building: from source to a loaded module, compiled code kept on disk for the next process.

Numba's own cache hits only for a module that is a real file under a stable name and is in sys.modules before it is
executed; so each source has a folder named by its content, in a private folder per user. A folder that others could
write to would be a way to run code as this user: it is not used.
"""

from __future__ import annotations

import atexit
import importlib.util
import logging
import os
import platform
import shutil
import stat
import sys
import tempfile
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

log = logging.getLogger("symgrad")

# Pruned when a process first builds: what was not used for this long, then the oldest beyond this size.
_KEPT_SECONDS = 90 * 24 * 3600
_KEPT_BYTES = 512 * 2**20


def load(source: str, use_cache: bool = True) -> ModuleType:
    """The module of `source`, built once per process; from the cache on disk if that can be used."""
    name = f"symgrad_kernel_{key(source)}"
    if name in sys.modules:
        return sys.modules[name]
    root = cache_root() if use_cache else None
    folder = (root or temporary_root()) / name
    try:
        return _load(source, name, folder)
    except OSError as error:
        log.debug("no kernel cache: %s", error)
        return _load(source, name, temporary_root() / name)


def key(source: str) -> str:
    """What compiled code depends on: the source, the versions, the CPU and its SIMD library."""
    import hashlib

    import llvmlite.binding
    import numba
    import numpy
    from numba import config

    svml = os.path.exists(os.path.join(sys.prefix, "lib", "libsvml.so"))
    parts = (
        source,
        numba.__version__,
        llvmlite.__version__,
        numpy.__version__,
        sys.version,
        platform.machine(),
        platform.libc_ver(),
        svml,
        llvmlite.binding.get_host_cpu_name(),
        llvmlite.binding.get_host_cpu_features().flatten(),
        config.CPU_NAME,
        config.CPU_FEATURES,
        config.DISABLE_JIT,
        config.ENABLE_CUDASIM,
        _version("numba-cuda"),
    )
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _load(source: str, name: str, folder: Path) -> ModuleType:
    path = folder / f"{name}.py"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != source.encode():
        write_atomically(path, source)
    os.utime(folder)  # when it was last used, for pruning; the file's own time is part of Numba's key
    try:
        return _execute(path, name)
    except Exception:
        # A damaged entry of Numba's cache, say from a full disk. A real error will come again.
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        return _execute(path, name)


def _execute(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that nobody ever sees half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def cache_root() -> Path | None:
    """The private folder of compiled kernels; None where it cannot be used, with the reason in the log."""
    import platformdirs  # here, as importing symgrad should cost no more than it must

    chosen = os.environ.get("SYMGRAD_CACHE_DIR")
    path = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("symgrad", appauthor=False))
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise OSError(f"{path} is not a folder")
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
            raise OSError(f"{path} is not ours alone")
        if not os.access(path, os.W_OK | os.X_OK):
            raise OSError(f"{path} is not writable")
    except OSError as error:
        log.debug("no kernel cache: %s", error)
        return None
    _prune_once(path)
    return path


@cache
def _prune_once(root: Path) -> None:
    folders = []
    for folder in root.glob("symgrad_kernel_*"):
        try:
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            folders.append((folder.stat().st_mtime, size, folder))
        except OSError:
            continue  # another process is pruning
    kept = 0
    now = time.time()
    for used, size, folder in sorted(folders, reverse=True):
        kept += size
        if now - used > _KEPT_SECONDS or kept > _KEPT_BYTES:
            shutil.rmtree(folder, ignore_errors=True)


@cache
def temporary_root() -> Path:
    """A private folder that goes with the process."""
    path = Path(tempfile.mkdtemp(prefix="symgrad-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
