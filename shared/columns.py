"""Column types that mean the same on SQLite and on MySQL/MariaDB, and the keys text is sorted by."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Integer, LargeBinary, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

SORT_KEY_BYTES = 1020  # 255 characters of four bytes
_DIGEST_BYTES = 64

# SQLite numbers rows by itself only where the key's type is exactly INTEGER.
BigId: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")

# Long JSON is kept as the text it came as: the databases' JSON types reorder keys and rewrite numbers.
LongText: TypeEngine[str] = Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
LongBytes: TypeEngine[bytes] = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def exact_text(length: int) -> TypeEngine[str]:
    """Text of up to `length` characters that compares character by character, accents and case kept apart."""
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    )


class UtcTime(TypeDecorator[datetime]):
    """An aware time in UTC, to the microsecond."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        own: TypeEngine[Any] = DateTime() if dialect.name == "sqlite" else mysql.DATETIME(fsp=6)
        return dialect.type_descriptor(own)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Bytes(TypeDecorator[bytes]):
    """Exactly `length` bytes: hashes."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        own = LargeBinary(self.length) if dialect.name == "sqlite" else mysql.BINARY(self.length)
        return dialect.type_descriptor(own)


class LeadId(TypeDecorator[UUID]):
    """A UUID in its 16 bytes."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        own = LargeBinary(16) if dialect.name == "sqlite" else mysql.BINARY(16)
        return dialect.type_descriptor(own)

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value.bytes

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> UUID | None:
        return None if value is None else UUID(bytes=bytes(value))


class SortKey(TypeDecorator[bytes]):
    """What `sort_key` makes of a text. Bytes, because no collation is the same on both databases."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        own = LargeBinary() if dialect.name == "sqlite" else mysql.VARBINARY(SORT_KEY_BYTES)
        return dialect.type_descriptor(own)


def normalised(text: str) -> str:
    """The form in which names and emails are the same: NFKC, case folded, accents kept."""
    if text.isascii():
        return text.lower()  # the same in a tenth of the time
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def sort_key(text: str) -> bytes:
    """The bytes by which a name or email sorts and matches, at most SORT_KEY_BYTES of them.

    UTF-8 sorts as its code points do. NFKC can make a text 18 times as long: what would not fit is cut
    and ends in a digest of the whole, so that two different texts never get the same key.
    """
    key = normalised(text).encode()
    if len(key) <= SORT_KEY_BYTES:
        return key
    digest = hashlib.sha256(key).hexdigest().encode()
    return key[: SORT_KEY_BYTES - _DIGEST_BYTES] + digest
