"""Whatever is sent to a system with two consumers, in whichever order and at the same time: what it shows
is what a model in memory says.

`make stories` tells many more and longer ones.
"""

from __future__ import annotations

import itertools
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.system.client import LISTED_SECONDS
from tests.system.running import System
from tests.system.story_model import Accepted, Content, Key, Model
from tests.system.story_telling import (
    CSV,
    NDJSON,
    QUARANTINE,
    Batch,
    Item,
    Post,
    Replay,
    Request,
    Stage,
    Troupe,
    second_consumer,
)

FEW = 6  # stories
STORIES = int(os.environ.get("STORIES", FEW))
IS_SUITE = STORIES <= FEW
STEPS = 12 if IS_SUITE else 40
PARTNERS = 2
ORDERED = 4  # leads that were sent at once: so many have few enough orders to try them all
# What becomes of leads; all of it must have happened.
WORDS = ("stored", "duplicate", "repeated", "conflict", "replayed", "discarded", "erased")

# Few of each, so that they meet.
names = st.sampled_from(["ada", "ADA", "Ada", "grace", "Grace"])
keys = st.sampled_from(["k1", "k2", "k3"])
partners = st.integers(0, PARTNERS - 1)
contents = st.builds(Content, names, st.sampled_from(["Bonn", "Köln"]), st.sampled_from([False] * 4 + [True]))
untested = st.builds(Content, names, st.sampled_from(["Bonn", "Köln"]), st.just(False))
faulty = st.just(Content("", "Bonn", False))
posts = st.builds(Post, partners, contents, st.none() | keys, st.just("leads")) | st.builds(
    Post, partners, untested, st.none() | keys, st.just("tracking")
)
items = st.builds(Item, contents | contents | contents | faulty, st.none() | keys)
batches = st.builds(
    Batch,
    partners,
    st.lists(items, min_size=1, max_size=4).map(tuple),
    st.none() | keys,
    st.sampled_from(["application/json", NDJSON, CSV]),
)
requests = posts | batches
places = st.integers(0, 99)  # of something that is there: taken modulo how many there are


class WholeStory(RuleBasedStateMachine):
    """One story. Its people are its own, so it begins with nothing on a system that has seen others."""

    def __init__(self, stage: Stage, became: Counter[str]) -> None:
        super().__init__()
        self.stage = stage
        self.became = became
        self.troupe = Troupe(stage, PARTNERS)
        self.before = stage.office.client.total()
        self.mark = uuid.uuid4().hex[:8]
        self.model = Model()
        self.ids: list[str] = []  # of all that was accepted
        self.id_of: dict[Key, str] = {}
        self.keyed: list[Post] = []

    # --- what may happen ------------------------------------------------------------------------------

    @rule(request=requests)
    def send(self, request: Request) -> None:
        self._settle(self._send([request]))

    @rule(together=st.lists(requests, min_size=2, max_size=3))
    def send_at_once(self, together: list[Request]) -> None:
        self._settle(self._send(together))

    @precondition(lambda self: self.keyed)
    @rule(place=places, times=st.integers(1, 3), city=st.none() | st.just("Rom"))
    def send_again(self, place: int, times: int, city: str | None) -> None:
        """The same under its key, or something else, perhaps several times at once."""
        post = self.keyed[place % len(self.keyed)]
        if city is not None:
            post = post._replace(content=post.content._replace(city=city))
        self._settle(self._send([post] * times))

    @precondition(lambda self: self.model.open_rows)
    @rule(place=places, correction=st.none() | contents, together=st.lists(requests, max_size=2))
    def replay(self, place: int, correction: Content | None, together: list[Request]) -> None:
        """While others are posted."""
        self._settle(self._send([self._replay(place, correction), *together]))

    @precondition(lambda self: self.model.open_rows)
    @rule(place=places)
    def replay_twice(self, place: int) -> None:
        accepted = self._send([self._replay(place, None)] * 2)
        assert sorted(map(len, accepted)) == [0, 1]
        self._settle(accepted)

    @precondition(lambda self: self.model.open_rows)
    @rule(place=places)
    def replay_many(self, place: int) -> None:
        """All of one partner, in an order that the model does not know."""
        partner = self.model.parked[self._open_row(place)].partner
        rows = [id for id in self.model.open_rows if self.model.parked[id].partner == partner]
        if len(rows) <= ORDERED:
            accepted = self.troupe.replay_many(partner, rows, self.model)
            self._note(accepted)
            self._settle(accepted)

    @precondition(lambda self: self.model.open_rows)
    @rule(place=places)
    def discard(self, place: int) -> None:
        path = f"{QUARANTINE}/{self._open_row(place)}"
        self.stage.office.ask("DELETE", path)
        self.model.discard(self._open_row(place))
        for method, again in (("DELETE", path), ("POST", f"{path}/replay")):
            answer = self.stage.office.client.ask(method, again)
            assert answer.status == 409, answer.body
        self._settle([])

    @rule(name=names, on_the_way=st.lists(requests, max_size=1))
    def erase_person(self, name: str, on_the_way: list[Request]) -> None:
        """Perhaps while a request that was answered is still on its way."""
        accepted = self._send(on_the_way)
        email = self._email(name)
        person = email.casefold()
        erased = self.stage.office.ask("POST", "/admin/api/erasures", {"email": email}).data["erased"]
        at_least = self.model.after([]).erase_person(person)
        at_most = self.model.after(accepted).erase_person(person)
        assert at_least <= erased <= at_most
        self._settle_around(
            lambda model: model.erase_person(person), accepted, lambda lead: lead.content.person == person
        )

    @precondition(lambda self: self.model.open_rows)
    @rule(place=places, whole=st.booleans())
    def erase_what_is_replayed(self, place: int, whole: bool) -> None:
        """The person, or what it was a conflict with: the lead that comes back has an id of its own."""
        sent = self._replay(place, None)
        lead_id = self.model.parked[sent.row].lead_id
        accepted = self._send([sent])
        if whole:
            self.model = self.model.after(accepted)
            person = sent.content.person
            erased = self.stage.office.ask("POST", "/admin/api/erasures", {"email": person}).data["erased"]
            assert erased == self.model.erase_person(person)
            self._settle([])
        else:
            self._erase_lead(lead_id, accepted)

    @precondition(lambda self: self.ids)
    @rule(place=places, on_the_way=st.lists(requests, max_size=1))
    def erase_lead(self, place: int, on_the_way: list[Request]) -> None:
        accepted = self._send(on_the_way)
        self._erase_lead(self.ids[-1 - place % len(self.ids)], accepted)

    # --- what holds at any time -----------------------------------------------------------------------

    @invariant()
    def counts_agree(self) -> None:
        ask = self.stage.office.ask
        for partner in self.troupe.partners:
            stats = ask("GET", f"/admin/api/stats?bucket=day&clientId={partner.id}").data["totals"]
            assert stats == self.model.statistics(partner.number)
            for status, test in itertools.product(("stored", "duplicate"), (False, True)):
                query = f"clientId={partner.id}&status={status}&test={str(test).lower()}&limit=1"
                total = ask("GET", f"/api/leads?{query}").data["pagination"]["total"]
                assert total == self.model.total(partner.number, status, test), query
        assert self.stage.office.client.total() == self.before + len(self.model.leads)

    def teardown(self) -> None:
        try:
            self._each_reads_back()
            for partner in self.troupe.partners:
                assert partner.exports_what_it_lists()
            self._all_is_accounted_for()
            self.became += self.model.became
        finally:
            self.troupe.close()

    def _each_reads_back(self) -> None:
        """To its own partner, and to nobody else."""
        for id in self.ids:
            seen = [partner.client.ask("GET", f"/api/leads/{id}") for partner in self.troupe.partners]
            found = [answer.data["status"] for answer in seen if answer.status == 200]
            status = self.model.status_of(id)
            assert found == ([] if status is None else [status]), id
            assert {answer.status for answer in seen} <= {200, 404}

    def _all_is_accounted_for(self) -> None:
        give_up_at = time.monotonic() + LISTED_SECONDS
        while (data := self.stage.settle())["pending"] > 0:
            assert time.monotonic() < give_up_at, data
            time.sleep(0.05)
        assert [producer["gaps"] for producer in data["items"] if producer["gaps"]] == []

    # --- below: only for this class -------------------------------------------------------------------

    def _email(self, name: str) -> str:
        return f"{name}.{self.mark}@{'EXAMPLE' if name.isupper() else 'example'}.com"

    def _content(self, content: Content) -> Content:
        """What a lead of this story says for it."""
        is_done = not content.email or "." in content.email
        return content if is_done else content._replace(email=self._email(content.email))

    def _request(self, request: Request) -> Request:
        if isinstance(request, Batch):
            return request._replace(
                items=tuple(item._replace(content=self._content(item.content)) for item in request.items)
            )
        return request._replace(content=self._content(request.content))

    def _open_row(self, place: int) -> str:
        rows = self.model.open_rows
        return rows[place % len(rows)]

    def _replay(self, place: int, correction: Content | None) -> Replay:
        id = self._open_row(place)
        row = self.model.parked[id]
        return Replay(row.partner, id, correction or row.content, is_corrected=correction is not None)

    def _send(self, drawn: Sequence[Request]) -> list[list[Accepted]]:
        """Send these at once; what was accepted of each, under ids that are new or those of their keys."""
        sent = [self._request(request) for request in drawn]
        self.keyed += [request for request in sent if isinstance(request, Post) and request.key is not None]
        accepted = self.troupe.send(sent)
        self._note(accepted)
        return accepted

    def _note(self, accepted: Sequence[Sequence[Accepted]]) -> None:
        for lead in itertools.chain.from_iterable(accepted):
            if lead.key is None or lead.key not in self.id_of:
                assert lead.id not in self.ids
                self.ids.append(lead.id)
            if lead.key is not None:
                assert self.id_of.setdefault(lead.key, lead.id) == lead.id
            if lead.replay_of is not None:
                self.model.send_again(lead.replay_of, lead.id)

    def _erase_lead(self, id: str, accepted: Sequence[Sequence[Accepted]]) -> None:
        """While what was accepted is still on its way."""
        was_there = self.model.status_of(id) is not None
        answer = self.stage.office.client.ask("DELETE", f"/admin/api/leads/{id}")
        is_there = self.model.after(accepted).status_of(id) is not None
        assert answer.status in {204 if known else 404 for known in (was_there, is_there)}, answer.body
        if answer.status == 204:
            self._settle_around(lambda model: model.erase_lead(id), accepted, lambda lead: lead.id == id)
        else:
            self._settle(accepted)

    def _settle(self, accepted: Sequence[Sequence[Accepted]]) -> None:
        """Wait until all is written. What was sent at once has been written in some order."""
        self._become([self.model.after(order) for order in itertools.permutations(accepted)])

    def _settle_around(
        self,
        erase: Callable[[Model], object],
        accepted: Sequence[Sequence[Accepted]],
        is_erased: Callable[[Accepted], bool],
    ) -> None:
        """Wait until what was on its way during an erasure is written: before that had begun, while it was
        noted and not done yet, or after it."""
        others = [[lead for lead in request if not is_erased(lead)] for request in accepted]
        outcomes = []
        for before, after in ((accepted, []), (others, []), ([], others)):
            model = self.model.after(before)
            erase(model)
            outcomes.append(model.after(after))
        self._become(outcomes)

    def _become(self, outcomes: Sequence[Model]) -> None:
        """Wait until all is written, and go on with that of the outcomes that is there."""
        self.stage.settle()
        seen = self.troupe.seen()
        fitting = [outcome for outcome in outcomes if outcome.is_what(seen)]
        assert fitting, f"there is {seen}\nin place of one of {outcomes}"
        self.model = fitting[0].knowing(seen)


@pytest.mark.timeout(60 + 60 * STORIES)
def test_a_system_with_two_consumers_does_what_the_model_says(own_system: System, kind: str) -> None:
    own_system.start()
    became: Counter[str] = Counter()
    with second_consumer(own_system), closing(Stage(own_system)) as stage:
        run_state_machine_as_test(
            lambda: WholeStory(stage, became),
            settings=settings(
                max_examples=STORIES,
                stateful_step_count=STEPS,
                derandomize=IS_SUITE,
                deadline=None,
                database=None,
                phases=[Phase.generate] if IS_SUITE else [Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )
    assert own_system.stop() == 0
    print(f"{kind}: {dict(became)} of {stage.sent} leads sent")
    assert became.keys() >= set(WORDS)
