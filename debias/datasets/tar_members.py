"""Members of a tar archive, header by header: nothing is extracted and no link is followed.

Python's tarfile reads the headers. Here is what it lets pass: an archive that ends too early or
goes on after its end, sizes below zero, headers that fill memory, and compressed files.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from debias.errors import DataError, UnsafeArchiveError
from debias.storage.files import shown

MOST_MEMBERS = 10_000_000
LARGEST_HEADER = 16_384  # bytes of a long name or of extended attributes
EXTENDED = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
COMPRESSED = {
    b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ\x00": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"
}  # fmt: skip
AGAIN = "get it again, or pack it again"


class Member(NamedTuple):
    """One member that is no folder.

    Attributes:
        name: As the archive gives it, without "./" at the front.
        offset: Byte of the archive at which the content begins.
        length: Of the content, bytes.
        problem: Why it must not be read; empty if it may.
    """

    name: str
    offset: int
    length: int
    problem: str


class _HeaderRefused(Exception):
    """A header that must not be followed."""


class _Header(tarfile.TarInfo):
    """A header whose size is checked before anything is read or skipped by it."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        header = super().frombuf(buf, encoding, errors)
        _require_length(header.size)
        if header.type in EXTENDED and header.size > LARGEST_HEADER:
            raise _HeaderRefused(
                f"a name or attributes of {header.size} bytes; at most {LARGEST_HEADER} are read"
            )
        return header


class Archive:
    """An uncompressed tar file, listed in the order of its members."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            DataError: It is compressed or no tar archive.
        """
        self._named = shown(path)
        self._content = path.open("rb")
        try:
            self._archive = self._opened()
        except BaseException:
            self._content.close()
            raise

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self._content.close()

    def __iter__(self) -> Iterator[Member]:
        """Every member but folders.

        Raises:
            DataError: The archive is cut off, damaged, or goes on after its end.
            UnsafeArchiveError: It has more than ten million members, a member with a negative
                size, or a header of more than 16 KiB.
        """
        count = 0
        while (member := self._next()) is not None:
            count += 1
            if count > MOST_MEMBERS:
                raise UnsafeArchiveError(
                    f"{self._named} has more than {MOST_MEMBERS:,} members; split it into several "
                    "archives"
                )
            if not member.isdir():
                name = member.name.removeprefix("./")
                yield Member(name, member.offset_data, member.size, _problem(member))
        self._require_end()

    def read(self, member: Member) -> bytes:
        """The content of a member.

        Raises:
            DataError: The archive ends before it does.
            UnsafeArchiveError: Its length is negative, which would mean all that follows.
        """
        try:
            _require_length(member.length)
        except _HeaderRefused as error:
            raise self._refused(member.offset, error) from error
        self._content.seek(member.offset)
        content = self._content.read(member.length)
        if len(content) < member.length:
            raise DataError(f"{self._named} is cut off within '{shown(member.name)}'; {AGAIN}")
        return content

    def _opened(self) -> tarfile.TarFile:
        start = self._content.read(6)
        self._content.seek(0)
        for magic, program in COMPRESSED.items():
            if start.startswith(magic):
                raise DataError(
                    f"{self._named} is compressed, so its images cannot be read one by one: unpack "
                    f"it with {program}, or pack it again without compression"
                )
        try:
            return tarfile.open(fileobj=self._content, mode="r:", tarinfo=_Header)
        except tarfile.TarError as error:
            raise DataError(
                f"{self._named} is no tar archive: {shown(str(error))}; {AGAIN}"
            ) from error
        except (_HeaderRefused, RecursionError) as error:
            raise self._refused(0, error) from error

    def _next(self) -> tarfile.TarInfo | None:
        offset = self._archive.offset
        try:
            member = self._archive.next()
            self._archive.members = []  # type: ignore[attr-defined]  # else each stays in memory
            if member is not None:
                offset = member.offset
                _require_length(member.size)  # extended attributes replace what the header said
                if self._archive.offset <= offset:  # reading on would go round in circles
                    raise _HeaderRefused("it says that it ends before it begins")
        except tarfile.TarError as error:
            offset = self._archive.offset
            raise DataError(
                f"{self._named} is cut off or damaged at byte {offset}: {shown(str(error))}; "
                f"{AGAIN}"
            ) from error
        except (_HeaderRefused, RecursionError, ValueError, OverflowError) as error:
            raise self._refused(offset, error) from error
        return member

    def _refused(self, offset: int, error: Exception) -> UnsafeArchiveError:
        return UnsafeArchiveError(
            f"{self._named}, header at byte {offset}: {shown(str(error))}; do not use this "
            "archive, or pack its images again"
        )

    def _require_end(self) -> None:
        """An archive ends in zeros: tarfile takes any end of the file, or garbage, for the end."""
        offset = self._archive.offset
        self._content.seek(offset)
        block = self._content.read(tarfile.BLOCKSIZE)
        if len(block) < tarfile.BLOCKSIZE or any(block):
            raise DataError(
                f"{self._named} is cut off or damaged at byte {offset}: there is neither another "
                f"member nor the mark of the end; {AGAIN}"
            )
        while block := self._content.read(1 << 20):
            if block.count(0) != len(block):
                raise DataError(
                    f"{self._named} goes on after its end at byte {offset}, like archives that "
                    "were joined; pack it again as one archive"
                )


def _require_length(size: int) -> None:
    if size < 0:
        raise _HeaderRefused(f"it says that it holds {size} bytes")


def _problem(member: tarfile.TarInfo) -> str:
    """Why a member must not be read; empty if it may."""
    if member.issparse():
        return "a sparse file"
    if not member.isreg():
        return "a link, device or pipe"
    steps = member.name.replace("\\", "/").split("/")
    if steps[0] == "" or ".." in steps or steps[0][1:2] == ":":
        return "an absolute name, or one with '..' in it"
    return ""
