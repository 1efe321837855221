"""A zip archive of stored records, written front to back, as `torch.load` reads and maps it.

Python's `zipfile` computes every checksum itself; here a record that is copied verbatim keeps the one its source has,
and is copied inside the kernel. Format: PKWARE
APPNOTE 6.3.9, https://pkware.cachefly.net/webdocs/APPNOTE/APPNOTE-6.3.9.TXT
"""

from __future__ import annotations

import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import attrs

from lab_bridge.checkpoint.stored import FileStorage, Storage, write_all

__all__ = ["ZipWriter"]

_ALIGNMENT = 64  # where torch puts the bytes of its storages
_LIMIT = 0xFFFFFFFF
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
_VERSION = 45  # zip64
_DATE = (1980 - 1980) << 9 | 1 << 5 | 1
_PADDING_FIELD = 0x4246  # "FB", as torch's own padding


@attrs.frozen
class _Record:
    name: bytes
    offset: int
    size: int
    crc32: int


def _checksum(storage: Storage) -> int:
    crc32 = 0
    for chunk in storage.chunks(0, storage.nbytes):
        crc32 = zlib.crc32(chunk, crc32)
    return crc32


class ZipWriter:
    """Adds records to an empty file; `finish` writes the directory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at = 0
        self._records: list[_Record] = []

    def add(self, name: str, data: bytes) -> None:
        """A record from memory."""
        self._begin(name, len(data), zlib.crc32(data))
        self._write(data)

    def add_storage(self, name: str, storage: Storage) -> None:
        """The bytes of a storage, with the checksum that their own file gives, or one computed on the way."""
        known = storage.crc32 if isinstance(storage, FileStorage) else None
        self._begin(name, storage.nbytes, known or 0)
        start = self._at
        if known is not None:
            assert isinstance(storage, FileStorage)
            storage.send(self._file, 0, storage.nbytes)
            self._at += storage.nbytes
        elif isinstance(storage, FileStorage):
            with ThreadPoolExecutor(1) as aside:
                crc32 = aside.submit(_checksum, storage)
                storage.send(self._file, 0, storage.nbytes)
                self._at += storage.nbytes
            self._correct(crc32.result())
        else:
            running = 0
            for chunk in storage.chunks(0, storage.nbytes):
                running = zlib.crc32(chunk, running)
                self._write(chunk)
            if self._at - start != storage.nbytes:
                raise ValueError(f"{name}: expected {storage.nbytes} bytes, found {self._at - start}")
            self._correct(running)

    def _correct(self, crc32: int) -> None:
        record = self._records[-1] = attrs.evolve(self._records[-1], crc32=crc32)
        os.pwrite(self._file.fileno(), struct.pack("<L", crc32), record.offset + 14)

    def finish(self) -> None:
        """The central directory."""
        start = self._at
        for record in self._records:
            wide = struct.pack("<HH3Q", 1, 24, record.size, record.size, record.offset)
            header = _CENTRAL.pack(
                b"PK\x01\x02", _VERSION, _VERSION, 0, 0, 0, _DATE, record.crc32, _LIMIT, _LIMIT,
                len(record.name), len(wide), 0, 0, 0, 0, _LIMIT,
            )  # fmt: skip
            self._write(header + record.name + wide)
        size, count = self._at - start, len(self._records)
        end64 = _END64.pack(b"PK\x06\x06", _END64.size - 12, _VERSION, _VERSION, 0, 0, count, count, size, start)
        locator = _LOCATOR.pack(b"PK\x06\x07", 0, self._at, 1)
        few = min(count, 0xFFFF)
        end = _END.pack(b"PK\x05\x06", 0, 0, few, few, min(size, _LIMIT), min(start, _LIMIT), 0)
        self._write(end64 + locator + end)

    def _begin(self, name: str, size: int, crc32: int) -> None:
        encoded = name.encode("ascii")
        wide = struct.pack("<HH2Q", 1, 16, size, size)
        bare = self._at + _LOCAL.size + len(encoded) + len(wide) + 4
        padding = struct.pack("<HH", _PADDING_FIELD, -bare % _ALIGNMENT) + b"Z" * (-bare % _ALIGNMENT)
        self._records.append(_Record(encoded, self._at, size, crc32))
        header = _LOCAL.pack(
            b"PK\x03\x04", _VERSION, 0, 0, 0, _DATE, crc32, _LIMIT, _LIMIT, len(encoded), len(wide) + len(padding)
        )
        self._write(header + encoded + wide + padding)

    def _write(self, data: bytes | memoryview) -> None:
        write_all(self._file, memoryview(data))
        self._at += len(data)
