"""What each producer has had settled, in a file that outlives a kill, so that a later one can announce it.

A killed worker cannot say any more up to which number all is settled. Nothing is lost by that, but for its
last messages it could not be shown. So it keeps a record, and any worker of this host that finds the record
of a dead one publishes a checkpoint in its name.

The record is written after the confirm and before the answer 201, so it names whatever was answered. Of a
message that was on its way it says nothing: that was never answered, and whether it arrives or not, no number
lacks. The record is not fsynced: a killed process leaves it whole, and what a power cut leaves is older, or
nothing. That is still true, and only shows less.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from shared.messages import Header
from shared.settings import Settings, masked

log = logging.getLogger("leadgate.predecessors")

SUFFIX = ".settled"
# settled through, leads in that, the first number of the voids not announced yet (0: none).
_RECORD = b"%020d %020d %020d\n"

Announce = Callable[[Header], bool]


def records_folder(settings: Settings) -> Path:
    """Where producers that share a queue and a database keep their records.

    Others must not announce them: they would announce messages to a database that never was to get them.
    """
    place = f"{masked(settings.amqp_url)} {masked(settings.leads_database_url)}"
    return settings.data_dir / "producers" / hashlib.sha256(place.encode()).hexdigest()[:16]


class Records:
    """Our own record, and those that dead producers have left in the same folder. For one thread."""

    def __init__(self, folder: Path, producer_id: UUID) -> None:
        self._folder = folder
        self._path = folder / f"{producer_id}{SUFFIX}"
        self._file: int | None = None

    def start(self) -> None:
        """Makes our own record. Without one we go on: leads are as safe, there is less to show."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            new = self._path.with_suffix(".new")
            self._file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(self._file, _RECORD % (0, 0, 0), 0)  # an empty file would be taken for a broken one
            new.rename(self._path)  # locked already, so that nobody takes us for dead
        except OSError as error:
            self._give_up(error)

    def note(self, through: int, leads: int, voids: tuple[int, ...]) -> None:
        """Every number up to `through` is settled, with so many leads; `voids` are to be announced still.

        Those are always the last ones: a message that is confirmed announces all before it.
        """
        if self._file is None:
            return
        try:
            os.pwrite(self._file, _RECORD % (through, leads, voids[0] if voids else 0), 0)
        except OSError as error:
            self._give_up(error)

    def close(self, *, is_announced: bool) -> None:
        """Our own record is left for another producer unless a message has announced all that is in it."""
        if self._file is None:
            return
        if is_announced:
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = None

    def announce_dead(self, announce: Announce) -> None:
        """Announces what dead producers had settled, and removes their records; stops where it fails."""
        try:
            for path in sorted(self._folder.glob(f"*{SUFFIX}")):
                if path != self._path and not _announce(path, announce):
                    return
        except OSError as error:
            log.warning("what dead producers had settled cannot be read: %s", error)

    def _give_up(self, error: OSError) -> None:
        log.warning("no record of what is settled is kept in %s: %s", self._folder, error)
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _announce(path: Path, announce: Announce) -> bool:
    """Announces one record if its producer is dead, and removes it; False if it could not be announced."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True  # another worker was faster
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_nlink:
            header = _header(path, os.pread(file, len(_RECORD % (0, 0, 0)), 0))
            if header is not None and not announce(header):
                return False
            path.unlink()
    except BlockingIOError:
        pass  # it lives, or another worker announces it
    finally:
        os.close(file)
    return True


def _header(path: Path, record: bytes) -> Header | None:
    """The checkpoint for a record; None if there is nothing to announce."""
    try:
        producer_id = UUID(path.stem)
        through, leads, first_void = map(int, record.split())
    except ValueError:
        log.warning("the record %s of a dead producer cannot be read: %r", path.name, record)
        return None
    voids = tuple(range(first_void, through + 1)) if first_void else ()
    return Header(producer_id, 0, through, leads, voids) if through else None
