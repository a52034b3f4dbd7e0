"""The state database: SQLite in WAL mode, one JSON record a machine, kept as a BLOB."""

import json
import os
import sqlite3
import subprocess
import sys
import time

from . import switches
from .switches import Failure

BUSY_SECONDS = 15

TABLES = ["CREATE TABLE IF NOT EXISTS vms (name TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL)",
          "CREATE TABLE IF NOT EXISTS config (key TEXT PRIMARY KEY, value TEXT)"]
TABLES_1_0_0 = ["CREATE TABLE IF NOT EXISTS vm_create_reservations "
                "(name TEXT PRIMARY KEY NOT NULL, owner_token TEXT, owner_pid INTEGER, created_at INTEGER)"]
TABLES_1_7_0 = [f"CREATE TABLE IF NOT EXISTS {t} (id TEXT PRIMARY KEY NOT NULL, data BLOB)"
                for t in ("fork_pools", "fork_pool_snapshots", "fork_pool_slots", "fork_leases")]

# Record members: name -> (default, types, omitted when null). A member that is not listed for the version is
# ignored on read and therefore gone after the next rewrite.
NULL = type(None)
MEMBERS = {
    "name": ("", (str,), False), "created_at": (0, (int, str), False), "state": ("created", (str,), False),
    "pid": (None, (int, NULL), False), "pid_start_time": (None, (int, NULL), False),
    "cpus": (4, (int,), False), "mem": (8192, (int,), False),
    "mounts": ([], (list,), False), "ports": ([], (list,), False), "network": (False, (bool,), False),
    "gpu": (False, (bool,), False), "gpu_vram_mib": (None, (int, NULL), False),
    "restart": ({"policy": "never", "max_retries": 0, "max_backoff_secs": 0, "restart_count": 0,
                 "user_stopped": False}, (dict,), False),
    "last_exit_code": (None, (int, NULL), False), "init": ([], (list,), False),
    "init_completed": (False, (bool,), False), "env": ([], (list,), False),
    "workdir": (None, (str, NULL), False), "user": (None, (str, NULL), True),
    "storage_gb": (None, (int, NULL), False), "overlay_gb": (None, (int, NULL), False),
    "allowed_cidrs": (None, (list, NULL), False), "network_backend": (None, (str, NULL), True),
    "image": (None, (str, NULL), False), "entrypoint": ([], (list,), False), "cmd": ([], (list,), False),
    "health_cmd": (None, (str, list, NULL), False), "health_interval_secs": (None, (int, NULL), False),
    "health_timeout_secs": (None, (int, NULL), False), "health_retries": (None, (int, NULL), False),
    "health_startup_grace_secs": (None, (int, NULL), False), "ssh_agent": (False, (bool,), False),
    "dns_filter_hosts": (None, (list, NULL), True), "ephemeral": (False, (bool,), False),
    "source_smolmachine": (None, (str, NULL), True),
}
LATER_MEMBERS = {
    "published_sockets": ([], (list,), False, "1.6.4"), "rosetta": (False, (bool,), False, "1.7.0"),
    "remote_volumes": ([], (list,), False, "1.7.0"), "secret_refs": ({}, (dict,), False, "1.0.0"),
    "dns": (None, (str, NULL), False, "1.2.5"), "network_name": (None, (str, NULL), False, "1.8.3"),
    "labels": ({}, (dict,), False, "1.8.0"), "cuda": (False, (bool,), False, "1.7.0"),
    "forkable": (False, (bool,), False, "1.0.0"), "cuda_fork_pool_size": (None, (int, NULL), False, "1.7.0"),
    "cuda_vram_limit_mib": (None, (int, NULL), False, "1.7.0"),
    "cuda_preload_modules": ([], (list,), False, "1.7.0"), "docker_socket": (False, (bool,), False, "1.7.0"),
    "golden": (None, (str, NULL), False, "1.7.0"), "forkpoint_held": (False, (bool,), False, "1.7.0"),
    "fork_env": ([], (list,), False, "1.7.0"), "runtime_managed": (False, (bool,), False, "1.7.0"),
}


def members():
    known = dict(MEMBERS)
    known.update({k: v[:3] for k, v in LATER_MEMBERS.items() if switches.since(v[3])})
    return known


def new_record(**values):
    record = {k: json.loads(json.dumps(default)) for k, (default, _, _) in members().items()}
    record.update(values)
    return record


def path():
    return os.path.join(switches.data_home(), "smolvm/server/smolvm.db")


def open_db():
    os.makedirs(os.path.dirname(path()), exist_ok=True)
    db = sqlite3.connect(path(), timeout=BUSY_SECONDS, isolation_level=None)
    tables = TABLES + (TABLES_1_0_0 if switches.since("1.0.0") else []) + (
        TABLES_1_7_0 if switches.since("1.7.0") else [])
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        for sql in tables:
            db.execute(sql)
    except sqlite3.Error as e:
        raise Failure(f"database error: {e}")
    return db


def _decode(name, data):
    if not isinstance(data, bytes):
        raise Failure(f"database error: Invalid column type Text at index: 1, name: data (machine '{name}')")
    try:
        raw = json.loads(data.decode("utf-8"))
    except ValueError as e:
        raise Failure(f"database error: failed to parse the record of '{name}': {e}")
    if not isinstance(raw, dict):
        raise Failure(f"database error: the record of '{name}' is not an object")
    record = new_record()
    for key, (_, types, _) in members().items():
        if key not in raw:
            continue
        # bool is an int to Python, not to serde
        if not isinstance(raw[key], types) or (isinstance(raw[key], bool) and bool not in types):
            raise Failure(f"database error: record of '{name}': invalid type for `{key}`")
        record[key] = raw[key]
    for item in record["allowed_cidrs"] or []:
        if not isinstance(item, str):
            raise Failure(f"database error: record of '{name}': invalid type for `allowed_cidrs`")
    return record


def load_all():
    """Every row: one bad row breaks every command that lists."""
    db = open_db()
    try:
        return {n: _decode(n, d) for n, d in db.execute("SELECT name, data FROM vms ORDER BY name")}
    finally:
        db.close()


def load(name):
    db = open_db()
    try:
        row = db.execute("SELECT data FROM vms WHERE name = ?", (name,)).fetchone()
        return _decode(name, row[0]) if row else None
    finally:
        db.close()


def _encode(record):
    known = members()
    kept = {k: record[k] for k in known if not (known[k][2] and record[k] is None)}
    return json.dumps(kept, separators=(",", ":")).encode()


def save(record):
    """Replaces the row, whole."""
    data = _encode(record)
    db = open_db()
    try:
        db.execute("INSERT INTO vms (name, data) VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET data = excluded.data",
                   (record["name"], data.decode() if switches.has_fault("text-row") else data))
    except sqlite3.Error as e:
        raise Failure(f"database error: {e}")
    finally:
        db.close()


def remove(name):
    db = open_db()
    try:
        db.execute("DELETE FROM vms WHERE name = ?", (name,))
    except sqlite3.Error as e:
        raise Failure(f"database error: {e}")
    finally:
        db.close()


HOLDER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def hold_busy():
    """Fault `busy`: another process holds the write lock for STANDIN_BUSY_SECONDS."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path(), str(switches.number("BUSY_SECONDS", 20))],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              start_new_session=True)
    holder.stdout.readline()


def now():
    return int(time.time())
