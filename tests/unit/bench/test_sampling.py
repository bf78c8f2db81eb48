"""What a sample counts for, and how a cost is divided by them."""

import sysconfig

import pytest

from tests.bench.sampling import REST, ROOT, SHOWN, layer_of, shares


@pytest.mark.parametrize(
    ("file", "layer"),
    [
        ("/x/lib/python3.11/site-packages/pika/adapters/select_connection.py", "pika"),
        ("/x/lib/python3.11/site-packages/typing_extensions.py", "typing_extensions"),
        (f"{ROOT}shared/limits.py", "shared/limits.py"),
        (f"{ROOT}tests/bench/profiled_wsgi.py", ""),
        (f"{sysconfig.get_path('stdlib')}/json/decoder.py", ""),
        ("<string>", ""),
    ],
)
def test_a_sample_counts_for_a_package_or_a_file_of_ours(file: str, layer: str) -> None:
    assert layer_of(file) == layer


def test_a_cost_is_divided_as_the_samples_are() -> None:
    assert shares({"flask": 1, "pika": 3}, 200.0) == {"pika": 150.0, "flask": 50.0}


def test_small_layers_share_a_line_and_nothing_gets_lost() -> None:
    divided = shares({f"layer {number}": 100 - number for number in range(SHOWN + 5)}, 80.0)
    assert len(divided) == SHOWN + 1
    assert REST in divided
    assert sum(divided.values()) == pytest.approx(80)


def test_no_samples_are_no_layers() -> None:
    assert shares({}, 80.0) == {}
