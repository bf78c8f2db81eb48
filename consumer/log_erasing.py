"""Logs of people who were erased while their exchanges were on the way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from shared.emails_in_text import emails_in
from shared.erasures import Erased
from shared.exchanges import Exchange

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
    said = list(filter(None, [exchange.query, exchange.payload, exchange.body]))
    at = exchange.received_at
    return (
        erased.has_request(exchange.request_id, at)
        or any(erased.has_email(email, at) for text in said for email in emails_in(text))
        or any(erased.has_lead(UUID(id), at) for text in said for id in _LEAD_ID.findall(text))
    )
