"""Building: from source to a loaded module, compiled code kept on disk for the next process.

Numba's own cache hits only for a module that is a real file under a stable name and is in sys.modules before it is
executed; so each source has a folder named by its content, in a private folder per user. A folder that others could
write to would be a way to run code as this user: it is not used. Numba takes what it finds in its files for machine
code, so each has a checksum beside it, and a file that is not as it was written is discarded before Numba sees it.
What cannot be kept on disk is compiled from memory.
"""

from __future__ import annotations

import hashlib
import linecache
import logging
import os
import platform
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

log = logging.getLogger("symgrad")

# Pruned when a process first builds: what was not used for this long, then the oldest beyond this size.
_KEPT_SECONDS = 90 * 24 * 3600
_KEPT_BYTES = 512 * 2**20

# In the folder of a source: the SHA-256 of each file of compiled code, in lines as sha256sum prints them.
_CHECKSUMS = "checksums"


def load(source: str, use_cache: bool = True) -> ModuleType:
    """The module of `source`, built once per process; from the cache on disk if that can be used."""
    name = f"symgrad_kernel_{key(source)}"
    if name in sys.modules:
        return sys.modules[name]
    if use_cache:
        try:
            if (root := cache_root()) is not None:
                return _load_cached(source, name, root / name)
        except Exception as error:  # a full disk, or whatever else: an error of the source's own will come again
            log.debug("no kernel cache: %r", error)
    return _execute(source, name, None)


def key(source: str) -> str:
    """What compiled code depends on: the source, the versions, the CPU and its SIMD library, how Numba compiles."""
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
        config.BOUNDSCHECK,
        config.ENABLE_CUDASIM,
        _version("numba-cuda"),
    )
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]


@cache
def _version(package: str) -> str:
    from importlib import metadata  # reads e-mail's headers, and imports what does

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _load_cached(source: str, name: str, folder: Path) -> ModuleType:
    path = folder / f"{name}.py"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != source.encode():
        write_atomically(path, source)
    os.utime(folder)  # when it was last used, for pruning; the file's own time is part of Numba's key
    _discard_damaged(folder)
    module = _execute(source, name, path)
    _record(folder)
    for function in vars(module).values():
        if hasattr(getattr(function, "_cache", None), "save_overload"):
            function._cache = _Careful(function._cache, folder)
    return module


def _execute(source: str, name: str, path: Path | None) -> ModuleType:
    """Runs the source as a module: of the file at `path`, which holds it, or of none; then Numba keeps nothing.

    Not by way of importlib, which would believe bytecode on disk.
    """
    module = ModuleType(name)
    file = f"<{name}>" if path is None else str(path)
    if path is None:
        linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file  # for tracebacks
    else:
        module.__file__ = file
    sys.modules[name] = module
    try:
        exec(compile(source, file, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


# Checksums ------------------------------------------------------------------------------------------------------------


class _Careful:
    """Numba's cache of one function, for what is compiled at a later call: what cannot be kept is no error."""

    def __init__(self, numbas: Any, folder: Path) -> None:
        self._numbas, self._folder = numbas, folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._numbas, name)

    def load_overload(self, *arguments: Any) -> Any:
        try:
            return self._numbas.load_overload(*arguments)
        except OSError as error:
            log.debug("no kernel cache: %r", error)
            return None

    def save_overload(self, *arguments: Any) -> None:
        try:
            self._numbas.save_overload(*arguments)
            _record(self._folder)
        except OSError as error:
            log.debug("no kernel cache: %r", error)


def _compiled_files(folder: Path) -> Iterator[Path]:
    """Numba's files of the source in `folder`: beside it, or where NUMBA_CACHE_DIR says."""
    from numba import config

    for place in (folder / "__pycache__", *(Path(config.CACHE_DIR).glob("*") if config.CACHE_DIR else ())):
        yield from place.glob(f"{folder.name}.*.nb[ic]")


def _discard_damaged(folder: Path) -> None:
    """Removes the files of compiled code that are not as they were when they were recorded."""
    recorded = folder / _CHECKSUMS
    known = set(recorded.read_text("utf-8", "replace").splitlines()) if recorded.exists() else set()
    for file in _compiled_files(folder):
        if _checksum(file) not in known:
            log.debug("discarded from the kernel cache, as it is damaged or unknown: %s", file)
            file.unlink(missing_ok=True)


def _record(folder: Path) -> None:
    text = "".join(f"{line}\n" for line in sorted(map(_checksum, _compiled_files(folder))))
    recorded = folder / _CHECKSUMS
    if not recorded.exists() or recorded.read_bytes() != text.encode():
        write_atomically(recorded, text)


def _checksum(file: Path) -> str:
    try:
        return f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}"
    except FileNotFoundError:  # another process has discarded it
        return ""


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
