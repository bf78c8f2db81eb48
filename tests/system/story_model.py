"""What a system should hold after whatever was sent to it: the contract's rules, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

Key = tuple[int | str, ...]  # a partner, its idempotency key and, in a batch under one, the place


class Content(NamedTuple):
    """What a lead says, as far as leads of a story differ."""

    email: str
    city: str
    test: bool

    @property
    def is_valid(self) -> bool:
        return "@" in self.email

    @property
    def person(self) -> str:
        """Whose it is, in whichever way the email is written."""
        return self.email.casefold()


class Accepted(NamedTuple):
    """A lead that was accepted; `replay_of` is the row of quarantine that it came from."""

    partner: int
    id: str
    content: Content
    key: Key | None = None
    replay_of: str | None = None


class Lead(NamedTuple):
    """A lead as it is listed."""

    partner: int
    content: Content
    status: str = "stored"
    duplicate_of: str | None = None
    replay_of: str | None = None


class Parked(NamedTuple):
    """A row of quarantine."""

    partner: int
    lead_id: str
    content: Content
    reason: str = "idempotency_conflict"
    resolution: str | None = None
    replayed_as: str | None = None

    def is_under(self, id: str) -> bool:
        """Whether it is shown under that id: once it is replayed under another, it is another lead."""
        return self.lead_id == id and self.replayed_as in (None, id)


class Holder(NamedTuple):
    """The first lead under a key, which is remembered as long as that lead."""

    id: str
    content: Content


class Seen(NamedTuple):
    """What a system shows: leads and rows of quarantine by their ids."""

    leads: dict[str, Lead]
    parked: dict[str, Parked]


@dataclass
class Model:
    """What should be there. `new` are rows of quarantine whose ids nobody has seen yet."""

    leads: dict[str, Lead] = field(default_factory=dict)
    parked: dict[str, Parked] = field(default_factory=dict)
    new: list[Parked] = field(default_factory=list)
    keys: dict[Key, Holder] = field(default_factory=dict)
    firsts: dict[tuple[int, str], str] = field(default_factory=dict)
    became: Counter[str] = field(default_factory=Counter)

    def after(self, requests: Iterable[Sequence[Accepted]]) -> Model:
        """The model once what these requests had accepted has been written, in this order."""
        later = Model(
            dict(self.leads),
            dict(self.parked),
            list(self.new),
            dict(self.keys),
            dict(self.firsts),
            Counter(self.became),
        )
        for request in requests:
            for accepted in request:
                later.became[later._take(accepted)] += 1
        return later

    def is_what(self, seen: Seen) -> bool:
        """Whether that is what should be there."""
        unknown = [row for id, row in seen.parked.items() if id not in self.parked]
        known = {id: row for id, row in seen.parked.items() if id in self.parked}
        return (self.leads, self.parked, Counter(self.new)) == (seen.leads, known, Counter(unknown))

    def knowing(self, seen: Seen) -> Model:
        """The same with the ids of all rows of quarantine, in an order that chance has no part in."""
        rows = sorted(seen.parked.items(), key=lambda item: (item[1].partner, item[1].content))
        return replace(self, parked=dict(rows), new=[])

    def status_of(self, id: str) -> str | None:
        """What a partner sees under an id of its own; None where there is nothing."""
        if id in self.leads:
            return self.leads[id].status
        return "quarantined" if any(row.is_under(id) for row in self.rows) else None

    @property
    def rows(self) -> list[Parked]:
        return [*self.parked.values(), *self.new]

    @property
    def open_rows(self) -> list[str]:
        return [id for id, row in self.parked.items() if row.resolution is None]

    def statistics(self, partner: int) -> dict[str, int]:
        """What became of the leads of a partner that were not erased."""
        found = Counter(lead.status for lead in self.leads.values() if lead.partner == partner)
        waiting = sum(row.partner == partner and row.resolution != "replayed" for row in self.rows)
        kinds = {"stored": found["stored"], "duplicate": found["duplicate"], "quarantined": waiting}
        return {"accepted": sum(kinds.values()), **kinds}

    def total(self, partner: int, status: str, test: bool) -> int:
        return sum(
            (lead.partner, lead.status, lead.content.test) == (partner, status, test)
            for lead in self.leads.values()
        )

    def discard(self, id: str) -> None:
        self.parked[id] = self.parked[id]._replace(resolution="discarded")
        self.became["discarded"] += 1

    def send_again(self, id: str, lead_id: str) -> None:
        """The row is replayed, under that id, and may still be on its way."""
        self.parked[id] = self.parked[id]._replace(resolution="replayed", replayed_as=lead_id)

    def erase_person(self, person: str) -> int:
        """How many leads, stored or quarantined, those were."""
        leads = {id for id, lead in self.leads.items() if lead.content.person == person}
        return self._erase(leads, lambda row: row.content.person == person)

    def erase_lead(self, id: str) -> None:
        """Also what waits in quarantine under its id. What was replayed from there has an id of its own."""
        self._erase({id} & self.leads.keys(), lambda row: row.is_under(id))

    # --- below: only for this class -------------------------------------------------------------------

    def _take(self, accepted: Accepted) -> str:
        """What becomes of it: the word for it."""
        partner, id, content, key, replay_of = accepted
        if key is not None:
            if key in self.keys and self.keys[key].content == content:
                return "repeated"
            if key in self.keys:
                self.new.append(Parked(partner, id, content))
                return "conflict"
            self.keys[key] = Holder(id, content)
        if replay_of is not None:
            self.became["replayed"] += 1
        first = id if content.test else self.firsts.setdefault((partner, content.person), id)
        if first == id:
            self.leads[id] = Lead(partner, content, replay_of=replay_of)
        else:
            self.leads[id] = Lead(partner, content, "duplicate", first, replay_of)
        return self.leads[id].status

    def _erase(self, leads: set[str], is_theirs: Callable[[Parked], bool]) -> int:
        """Erases these leads and rows of quarantine, those that the leads came from, and what they held."""
        origins = {self.leads[id].replay_of for id in leads}
        rows = {id for id, row in self.parked.items() if is_theirs(row)}
        still_new = [row for row in self.new if not is_theirs(row)]
        # What was replayed is counted where it is now.
        waiting = sum(self.parked[id].resolution != "replayed" for id in rows)
        erased = len(leads) + waiting + len(self.new) - len(still_new)
        self.leads = {id: lead for id, lead in self.leads.items() if id not in leads}
        self.parked = {id: row for id, row in self.parked.items() if id not in rows | origins}
        self.new = still_new
        self.keys = {key: holder for key, holder in self.keys.items() if holder.id not in leads}
        self.firsts = {key: first for key, first in self.firsts.items() if first not in leads}
        self.became["erased"] += erased
        return erased
