"""What the load targets promise to send."""

import pytest

from tests.load.profiles import PROFILES, Profile, Stage


def test_the_sustained_load_is_a_thousand_a_minute_for_five_minutes() -> None:
    assert PROFILES["sustained"].seconds == 300
    assert PROFILES["sustained"].requests == pytest.approx(5000)


def test_the_spike_goes_from_17_a_second_to_30_and_back() -> None:
    spike = PROFILES["spike"]
    assert [stage.users / spike.pace for stage in spike.stages] == [17, 30, 17]


def test_a_profile_is_over_after_its_last_stage() -> None:
    first, second = Stage(10, 1), Stage(5, 2)
    profile = Profile((first, second))
    assert [profile.stage_at(at) for at in (0, 9.9, 10, 14.9, 15)] == [first, first, second, second, None]


def test_the_most_is_sent_as_single_leads_and_then_as_batches_at_no_pace() -> None:
    most = PROFILES["max"]
    assert [stage.leads for stage in most.stages] == [1, 500]
    assert most.requests is None


def test_a_shorter_run_keeps_the_rates() -> None:
    profile = Profile((Stage(10, 1), Stage(30, 2, leads=5)), pace=2)
    shorter = profile.lasting(4)
    assert shorter == Profile((Stage(1, 1), Stage(3, 2, leads=5)), pace=2)
    assert (profile.requests, shorter.requests) == (35, 3.5)
