"""The identity of the document: a hash of its bytes, computed only if the file changed."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from typing import NamedTuple, Optional

# A file that was changed less than this before it was read may change once more without a new time
# stamp, since file systems store times coarsely (FAT: 2 seconds).
_TIME_STAMP_NS = 2_000_000_000


class _Signature(NamedTuple):
    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


class _Observation(NamedTuple):
    signature: _Signature
    digest: bytes
    #: Whether the signature alone shows that the bytes are the same.
    is_settled: bool


class Document:
    """The file with the migrations. Safe to use from several threads."""

    def __init__(self, path: Optional[str]) -> None:
        #: The absolute path; `None` until the program reported which file it reads.
        self.path = path
        self._last: Optional[_Observation] = None

    def digest(self) -> Optional[bytes]:
        """The hash of the file's bytes; `None` if it cannot be read or its path is not known.

        While the file does not change, the cost is that of one `stat`.
        """
        path, last = self.path, self._last
        if path is None:
            return None
        try:
            now = time.time_ns()
            signature = _signature(path)
            if signature is None:
                return None
            if last is not None and last.is_settled and last.signature == signature:
                return last.digest
            with open(path, "rb") as file:
                digest = hashlib.sha256(file.read()).digest()
        except OSError:
            return None
        changed = max(signature.modified_ns, signature.changed_ns)
        is_settled = now - changed > _TIME_STAMP_NS
        self._last = _Observation(signature, digest, is_settled)
        return digest

    def is_older_than(self, time_ns: int) -> bool:
        """Whether the file is certain not to have changed since a point in time."""
        try:
            signature = None if self.path is None else _signature(self.path)
        except OSError:
            return False
        if signature is None:
            return False
        return max(signature.modified_ns, signature.changed_ns) < time_ns - _TIME_STAMP_NS


def _signature(path: str) -> Optional[_Signature]:
    """`None` if the path is not a regular file: opening a FIFO would wait for a writer."""
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        return None
    return _Signature(
        found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    )
