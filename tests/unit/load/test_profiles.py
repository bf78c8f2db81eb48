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
    profile = Profile((Stage(10, 1), Stage(5, 2)))
    assert [profile.users_at(second) for second in (0, 9.9, 10, 14.9, 15)] == [1, 1, 2, 2, None]


def test_a_shorter_run_keeps_the_rates() -> None:
    profile = Profile((Stage(10, 1), Stage(30, 2)), pace=2)
    shorter = profile.lasting(4)
    assert shorter == Profile((Stage(1, 1), Stage(3, 2)), pace=2)
    assert shorter.requests == profile.requests / 10
