"""Logs of people who were erased while their exchanges were on the way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote
from uuid import UUID

from shared.erasures import Erased
from shared.exchanges import Exchange

_EMAIL = re.compile(r"[^\s\"'<>(),;:\\\[\]&=?]+@[^\s\"'<>(),;:\\\[\]&=?]+")
_LEAD_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def without_erased(exchanges: Sequence[Exchange], erased: Erased) -> list[Exchange]:
    """The exchanges, without bodies and query where these have an erased email or lead in them."""
    if not erased.moments:
        return list(exchanges)
    return [
        replace(exchange, query=None, payload=None, body=None) if _is_erased(exchange, erased) else exchange
        for exchange in exchanges
    ]


def _is_erased(exchange: Exchange, erased: Erased) -> bool:
    text = "\n".join(filter(None, [unquote(exchange.query or ""), exchange.payload, exchange.body]))
    at = exchange.received_at
    return any(erased.has_email(email, at) for email in _EMAIL.findall(text)) or any(
        erased.has_lead(UUID(id), at) for id in _LEAD_ID.findall(text)
    )
