"""However a system ends, what it has answered is there after the next start, and nothing of it goes on."""

from __future__ import annotations

import signal
import time
from http.client import IncompleteRead

from tests.system.posting import POSTERS, Posting, accepted_ids, post_at_once
from tests.system.running import ADMIN, System, wait_until_gone

SETTLED_SECONDS = 20.0


def is_listed_once(system: System, accepted: list[str], unanswered: int = 0) -> bool:
    """Whether the partner finds each accepted lead once, and at most as many others as had no answer."""
    with system.client() as partner:
        # By the time that a later lead is read back, what came before it has been, too.
        latest = partner.post_lead().data["id"]
        partner.wait_for_lead(latest)
        partner.wait_for_total(len(accepted) + 1)
        listed = partner.listed_ids()
        assert partner.total() == len(listed)
    assert len(set(listed)) == len(listed)
    assert set(accepted) <= set(listed)
    assert len(listed) - 1 - len(accepted) <= unanswered
    return True


def is_accounted_for(system: System, accepted: list[str]) -> bool:
    """Whether no lead is missing, with the producers that were killed having told what they had accepted."""
    with system.client(ADMIN) as admin:
        give_up_at = time.monotonic() + SETTLED_SECONDS
        while True:
            data = admin.ask("GET", "/admin/api/reconciliation?limit=100").data
            settled = sum(producer["settledLeads"] for producer in data["items"])
            if settled >= len(accepted) and data["pending"] == 0:
                break
            assert time.monotonic() < give_up_at, data
            time.sleep(0.1)
    assert (data["missing"], data["inconsistent"]) == (0, 0)
    assert data["settled"]["leads"] >= len(accepted)
    return True


def test_answered_leads_outlive_power_cuts(own_system: System) -> None:
    own_system.start()
    processes = own_system.processes()
    answers = post_at_once(own_system.port, own_system.token(), connections=4, leads_each=25)
    own_system.kill(processes)
    assert {answer.status for answer in answers} == {201}
    own_system.start()
    assert is_accounted_for(own_system, accepted_ids(answers))
    assert is_listed_once(own_system, accepted_ids(answers))


def test_leads_answered_while_the_power_is_cut_outlive_that(own_system: System) -> None:
    own_system.start()
    processes = own_system.processes()
    with Posting(own_system.port, own_system.token()) as posting:
        posting.wait_for_answers(200)
        own_system.kill(processes)
    # The power may go in the middle of an answer as well as between two.
    assert [fault for fault in posting.faults if not isinstance(fault, IncompleteRead)] == []
    assert {answer.status for answer in posting.answers} == {201}
    own_system.start()
    accepted = accepted_ids(posting.answers)
    assert is_accounted_for(own_system, accepted)
    assert is_listed_once(own_system, accepted, unanswered=POSTERS)
    reconciled = own_system.run_to_end("reconcile")
    assert reconciled.status == 0, reconciled.output


def survives(system: System, posting: Posting) -> bool:
    """Whether the leads answered before a stop and meanwhile are listed after the next start."""
    assert system.processes() == []
    assert posting.faults == []
    assert {answer.status for answer in posting.answers} <= {201, 503}
    system.start()
    return is_listed_once(system, accepted_ids(posting.answers), unanswered=posting.lost)


def test_sigterm_loses_no_lead_of_either_worker_and_leaves_no_process(own_system: System) -> None:
    own_system.environment["WEB_WORKERS"] = "2"
    own_system.start()
    with Posting(own_system.port, own_system.token()) as posting:
        posting.wait_for_answers(200)
        assert own_system.stop() == 0, own_system.output
    assert survives(own_system, posting)


def test_ctrl_c_loses_no_lead_and_leaves_no_process(embedded_system: System) -> None:
    embedded_system.start(in_terminal=True)
    with Posting(embedded_system.port, embedded_system.token()) as posting:
        posting.wait_for_answers(200)
        embedded_system.press_ctrl_c()
        assert embedded_system.wait() == 0, embedded_system.output
    assert survives(embedded_system, posting)


def test_clients_that_keep_their_connections_do_not_hold_up_the_stop(embedded_system: System) -> None:
    embedded_system.start()
    with (
        embedded_system.client() as partner,
        embedded_system.client(port=embedded_system.admin_port) as reader,
    ):
        partner.post_lead()
        reader.total()
        assert embedded_system.stop() == 0
    assert "is killed" not in embedded_system.output


def test_a_part_that_dies_takes_the_others_down_and_is_named(embedded_system: System) -> None:
    embedded_system.start()
    embedded_system.kill_part("-m consumer")
    assert embedded_system.wait() == 1
    assert embedded_system.processes() == []
    last_lines = embedded_system.output.splitlines()[-20:]
    assert any(line.startswith("consumer stopped by SIGKILL") for line in last_lines), last_lines


def test_no_part_outlives_its_supervisor(embedded_system: System) -> None:
    embedded_system.start()
    assert embedded_system.stop(signal.SIGKILL) == -signal.SIGKILL
    wait_until_gone(embedded_system)
