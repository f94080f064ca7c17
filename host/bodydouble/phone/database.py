"""Opens the file that a home lives in: schema, versions, and one clear line for every file that is none.

The journal is SQLite's default rollback journal, not WAL: a home has one writer and a few small writes a minute,
so WAL's concurrency buys nothing, while it leaves two more files beside the home's and needs shared memory that
network folders lack. A phone that dies in the middle of a write leaves a hot journal, from which the next open
restores the state before that write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bodydouble.errors import InputError

APPLICATION_ID = 0x62_64_68_6D  # "bdhm", in the file's header: tells a home from another program's database
BUSY_TIMEOUT_S = 2.0  # how long one phone waits for another that writes to the same home

# One script for each schema version, applied in order; never edit one that was released, add one.
MIGRATIONS = (
    """
    CREATE TABLE devices (
        name TEXT PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('light', 'switch', 'thermostat', 'lock', 'sensor')),
        area TEXT NOT NULL,
        position INTEGER NOT NULL,
        is_on INTEGER CHECK (is_on IN (0, 1)),
        brightness_percent INTEGER CHECK (brightness_percent BETWEEN 0 AND 100),
        target_c REAL,
        measured_c REAL,
        is_locked INTEGER CHECK (is_locked IN (0, 1))
    );
    CREATE TABLE shopping (
        item TEXT PRIMARY KEY,
        quantity INTEGER NOT NULL CHECK (quantity > 0),
        added_at REAL NOT NULL
    );
    CREATE TABLE timers (
        id INTEGER PRIMARY KEY,
        label TEXT NOT NULL,
        seconds REAL NOT NULL CHECK (seconds > 0),
        ends_at REAL NOT NULL,
        state TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'cancelled', 'finished'))
    );
    CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        what TEXT NOT NULL,
        subject TEXT NOT NULL,
        before TEXT,
        after TEXT
    );
    """,
)
SCHEMA_VERSION = len(MIGRATIONS)


def open_database(path: Path | None) -> sqlite3.Connection:
    """Open (or begin) the database at `path`, in memory when None.

    The schema is brought up to date in one transaction. Raises InputError, with the cure, for a file that cannot
    be opened, is damaged, belongs to another program, or was written by a newer version.
    """
    shown = str(path) if path else "the home in memory"
    try:
        # Any thread may use it: Home serialises access by its own lock.
        connection = sqlite3.connect(
            path or ":memory:", timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise InputError(
            f"cannot open the home {shown}: {error}", hint="its folder must exist and be writable"
        ) from error
    try:
        _prepare(connection, shown)
    except sqlite3.OperationalError as error:
        connection.close()
        raise _explain(error, shown) from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _damaged(shown) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, shown: str) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous = FULL")
    # The write lock comes before the look at the version: two phones may begin the same home at once.
    with transaction(connection):
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
        tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if version or application or tables:
            if application != APPLICATION_ID:
                raise InputError(
                    f"{shown} is another program's database, not a home", hint="name another file for the home"
                )
            if version > SCHEMA_VERSION:
                raise InputError(
                    f"{shown} was written by a newer bodydouble (home version {version}, this one reads up to "
                    f"{SCHEMA_VERSION})",
                    hint="upgrade with: pip install --upgrade bodydouble; or name another file for the home",
                )
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise _damaged(shown)
        for script in MIGRATIONS[version:]:
            for statement in script.split(";"):
                connection.execute(statement)  # executescript() would commit first
        if version != SCHEMA_VERSION:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing; takes the write lock at once, so that what is read stays true until the commit."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        # SQLite itself has rolled back already after, for example, a full disk.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _explain(error: sqlite3.OperationalError, shown: str) -> InputError:
    text = str(error)
    if "locked" in text:
        return InputError(f"another program is writing to the home {shown}", hint="try again once it has ended")
    if "malformed" in text:
        return _damaged(shown)
    return InputError(f"cannot use the home {shown}: {text}", hint="the file and its folder must be writable")


def _damaged(shown: str) -> InputError:
    return InputError(
        f"{shown} is damaged or not a home",
        hint="move it away, and the next run begins a new home there; or name another file",
    )
