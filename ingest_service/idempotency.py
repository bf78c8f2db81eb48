"""Idempotency keys: the same key of the same partner is the same lead, however often and wherever it is sent.

Nothing is remembered here. The id follows from partner and key, so every worker gives the same one; that the
lead is stored once is the consumer's part.
"""

from __future__ import annotations

import hashlib
import re
from uuid import UUID, uuid5

import orjson

from shared.current import current_request
from shared.errors import validation_failed
from shared.lead_forms import MAX_KEY_LENGTH

HEADER = "Idempotency-Key"
_IDS = UUID("7d3f1a56-0a0e-4a4f-9d0c-2f9c54f8c1e7")  # ids that follow from keys and nothing else
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"')  # a string of RFC 8941
_BARE = re.compile(r"[!#-~][ -~]{0,254}")
_ESCAPED = re.compile(r"\\(.)")


def key_of_request() -> str | None:
    """The key in the header of the current request, quoted or bare, or None.

    Raises ApiError 400 that names the header if it holds anything else.
    """
    sent: str | None = current_request().environ.get("HTTP_IDEMPOTENCY_KEY")
    if sent is None:
        return None
    sent = sent.strip()
    quoted = _QUOTED.fullmatch(sent)
    if quoted:
        return _ESCAPED.sub(r"\1", quoted[1])
    if not _BARE.fullmatch(sent):
        message = f"This value should be 1 to {MAX_KEY_LENGTH} ASCII characters, bare or in double quotes"
        raise validation_failed({HEADER: [message]})
    return sent


def hash_of_key(key: str, index: int | None = None) -> bytes:
    """What stands for a key in messages and tables; with `index`, for that lead of a batch sent under it."""
    return hashlib.sha256(orjson.dumps([key] if index is None else [key, index])).digest()


def lead_id_of(client_id: int, key_hash: bytes) -> UUID:
    """The id of the lead that this partner sends under that key."""
    return uuid5(_IDS, f"{client_id}/{key_hash.hex()}")
