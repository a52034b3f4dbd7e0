"""The command grammar, by version. Options are tables; a command is a function of what was parsed."""

import json
import os
import sys

from . import execute, images, machine, network, store, switches
from .switches import Failure, Usage, since

# name: (short or None, takes a value, may be repeated, since)
CREATE = {
    "name": ("n", True, False, "1.0.2"), "image": ("I", True, False, "0"), "from": (None, True, False, "0"),
    "cpus": (None, True, False, "0"), "mem": (None, True, False, "0"), "storage": (None, True, False, "0"),
    "overlay": (None, True, False, "0"), "port": ("p", True, True, "0"), "net": (None, False, False, "0"),
    "net-backend": (None, True, False, "0"), "allow-cidr": (None, True, True, "0"),
    "allow-host": (None, True, True, "0"), "outbound-localhost-only": (None, False, False, "0"),
    "init": (None, True, True, "0"), "env": ("e", True, True, "0"), "workdir": ("w", True, False, "0"),
    "dns": (None, True, False, "1.2.5"), "mount-socket": (None, True, True, "1.6.4"),
    "label": (None, True, True, "1.8.0"),
}
NAMED = {"name": ("n", True, False, "0")}
NAMED_LATER = {"name": ("n", True, False, "1.0.2")}
JSON = {"json": (None, False, False, "0")}
EXEC = {
    "name": (None, True, False, "0"), "workdir": ("w", True, False, "0"), "env": ("e", True, True, "0"),
    "timeout": (None, True, False, "0"), "interactive": ("i", False, False, "0"), "tty": ("t", False, False, "0"),
    "stream": (None, False, False, "0"), "detach": ("d", False, False, "1.3.0"),
}
PACK = {
    "image": (None, True, False, "0"), "output": ("o", True, False, "0"), "cpus": (None, True, False, "0"),
    "mem": (None, True, False, "0"), "entrypoint": (None, True, False, "0"),
    "oci-platform": (None, True, False, "0"), "no-sign": (None, False, False, "0"),
}


def known(table):
    return {k: v for k, v in table.items() if v[3] == "0" or since(v[3])}


def find_option(table, word):
    for name, (short, takes, repeats, _) in known(table).items():
        if word == "--" + name or (short and word == "-" + short):
            return name, takes, repeats
    raise Usage(f"unexpected argument '{word}' found")


def split_short(table, word):
    """-it as -i -t; -eK=V as -e K=V."""
    flags = {v[0]: v[1] for v in known(table).values() if v[0]}
    if len(word) > 2 and word[0] == "-" and word[1] != "-" and word[1] in flags:
        return [word[:2], word[2:].lstrip("=")] if flags[word[1]] else [word[:2], "-" + word[2:]]
    return None


def parse(table, argv, has_command=False):
    """(options, positionals, what stood behind --)."""
    options, positionals, argv = {}, [], list(argv)
    while argv:
        word = argv.pop(0)
        if word == "--":
            return options, positionals, argv
        if not word.startswith("-") or word == "-":
            positionals.append(word)
            if has_command:  # a trailing command ends the options
                return options, positionals[:-1], [word, *argv]
            continue
        split = split_short(table, word)
        if split:
            argv[:0] = split
            continue
        word, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        name, takes, repeats = find_option(table, word)
        if takes and not equals:
            if not argv:
                raise Usage(f"a value is required for '{word}' but none was supplied")
            value = argv.pop(0)
        if repeats:
            options.setdefault(name, []).append(value)
        elif name in options:
            raise Usage(f"the argument '{word}' cannot be used multiple times")
        else:
            options[name] = value if takes else True
    return options, positionals, []


def to_int(options, name, default, highest):
    text = str(options.get(name, default))
    if not text.isdigit() or not 0 < int(text) <= highest:
        raise Usage(f"invalid value '{text}' for '--{name}'")
    return int(text)


def pairs(words):
    """K=V; one without '=' or key is dropped, silently."""
    return [w.split("=", 1) for w in words if "=" in w and not w.startswith("=")]


def name_of(options, positionals):
    """create, delete, data-dir: positional until 1.0.1, --name since."""
    if since("1.0.2"):
        if positionals:
            raise Usage(f"unexpected argument '{positionals[0]}' found")
        return options.get("name")
    if len(positionals) > 1:
        raise Usage(f"unexpected argument '{positionals[1]}' found")
    return positionals[0] if positionals else None


def need_name(name):
    if name is None:
        raise Usage("the following required arguments were not provided: " +
                    ("--name <NAME>" if since("1.0.2") else "<NAME>"))
    return name


def port_pair(text):
    host, _, guest = text.partition(":")
    if not host.isdigit() or not (guest or host).isdigit():
        raise Usage(f"invalid value '{text}' for '--port'")
    return [int(host), int(guest or host)]


def socket_entry(text):
    host, colon, guest = text.partition(":")
    if not colon or not os.path.isabs(host) or not os.path.isabs(guest):
        raise Usage(f"invalid value '{text}' for '--mount-socket': HOST:GUEST, both absolute")
    return {"direction": "mount", "host": host, "guest": guest}


def policy_of(options):
    cidrs = [network.normal_cidr(c) for c in options.get("allow-cidr", [])]
    hosts = options.get("allow-host", [])
    for host in hosts:
        if ":" in host and host.count(":") < 2:
            raise Failure(f"invalid --allow-host '{host}': no port")
        cidrs += network.resolve(host)
    if options.get("outbound-localhost-only"):
        cidrs += ["127.0.0.0/8", "::1/128"]
    return cidrs or None, hosts or None


def image_fields(options, is_networked):
    """What --image or --from say, as record members."""
    if "image" in options and "from" in options:
        raise Usage("the argument '--from <PATH>' cannot be used with '--image <REF>'")
    if "image" in options:
        ref = options["image"]
        is_local = since("1.1.0") and (ref.startswith((".", "/")) or ref.endswith(".tar"))
        if is_local:
            ref = os.path.abspath(ref)
            images.read_archive(ref)
        elif since("1.7.3") and not is_networked:
            raise Failure(f"registry image '{ref}' needs a network to be pulled: add --net")
        return {"image": ref}
    if "from" not in options:
        return {}
    print("Extracting .smolmachine assets...")
    path = os.path.abspath(options["from"])
    pack = images.read_pack(path)
    fields = {"image": pack.pack["image"], "source_smolmachine": path, "entrypoint": pack.field("Entrypoint", []),
              "cmd": pack.field("Cmd", []), "workdir": pack.field("WorkingDir", None),
              "env": [v.split("=", 1) for v in pack.field("Env", [])], "network": pack.pack["network"]}
    # 4 and 8192 cannot be told from "not given": the manifest wins
    for key, default in (("cpus", 4), ("mem", 8192)):
        if int(options.get(key, default)) == default:
            fields[key] = pack.pack[key]
    return fields


def create(options, positionals, command):
    name = name_of(options, positionals) or "vm-" + os.urandom(4).hex()
    if command and not since("1.0.2"):
        raise Usage(f"unexpected argument '{command[0]}' found")
    cidrs, hosts = policy_of(options)
    is_pack = "from" in options
    if is_pack and not since("1.8.0"):
        cidrs = hosts = None  # dropped, silently, and they imply no --net either
    is_networked = bool(options.get("net") or cidrs or hosts)
    from_image = image_fields(options, is_networked)
    record = store.new_record(
        name=name, created_at=store.now(), cpus=to_int(options, "cpus", 4, 255),
        mem=to_int(options, "mem", 8192, 1 << 30), storage_gb=to_int(options, "storage", 20, 1 << 20),
        overlay_gb=to_int(options, "overlay", 10, 1 << 20), init=options.get("init", []), allowed_cidrs=cidrs,
        dns_filter_hosts=hosts, network_backend=options.get("net-backend"),
        ports=[port_pair(p) for p in options.get("port", [])])
    record.update(from_image)
    record["env"] = record["env"] + pairs(options.get("env", []))
    record["workdir"] = options.get("workdir", record["workdir"])
    record["network"] = record["network"] or is_networked
    if command:
        record.update(entrypoint=[], cmd=command)
    if "published_sockets" in record:
        record["published_sockets"] = [socket_entry(s) for s in options.get("mount-socket", [])]
    if is_pack and options.get("mount-socket") and not since("1.7.0"):
        raise Failure("--mount-socket cannot be used with --from")
    if "labels" in record:
        record["labels"] = dict(pairs(options.get("label", [])))
    if "dns" in record:
        record["dns"] = options.get("dns")
    machine.create(record, is_pack)
    print(f"Created machine: {name}")
    print(f"  CPUs: {record['cpus']}, Memory: {record['mem']} MiB, Storage: {record['storage_gb']} GiB")
    print(f"\nStart it with: smolvm machine start --name {name}")
    print(f"Then run: smolvm machine exec --name {name} -- <command>")
    return 0


def start(options, positionals, _):
    machine.start(named(options, positionals))
    return 0


def stop(options, positionals, _):
    machine.stop(named(options, positionals))
    return 0


def named(options, positionals):
    if positionals:
        raise Usage(f"unexpected argument '{positionals[0]}' found")
    return options.get("name") or "default"


def delete(options, positionals, _):
    machine.delete(need_name(name_of(options, positionals)), options.get("force", False))
    return 0


def data_dir(options, positionals, _):
    name = need_name(name_of(options, positionals))
    machine.must_load(name)
    print(machine.data_dir(name))
    return 0


def describe(record):
    """The object that ls and status print. No version shows the allowed networks here."""
    state = machine.state_of(record)
    restart = record["restart"]
    health = record["health_cmd"]
    out = {
        "name": record["name"], "state": state, "cpus": record["cpus"], "memory_mib": record["mem"],
        "pid": record["pid"] if state in ("running", "unreachable") else None, "mounts": len(record["mounts"]),
        "ports": len(record["ports"]), "created_at": record["created_at"], "storage_gb": record["storage_gb"],
        "overlay_gb": record["overlay_gb"], "image": record["image"], "entrypoint": record["entrypoint"],
        "cmd": record["cmd"], "ephemeral": record["ephemeral"], "gpu": record["gpu"],
        "gpu_vram_mib": record["gpu_vram_mib"], "restart_policy": restart.get("policy", "never"),
        "restart_max_retries": restart.get("max_retries", 0), "restart_count": restart.get("restart_count", 0),
        "health_cmd": " ".join(health) if isinstance(health, list) else health,
    }
    for key in ("interval_secs", "timeout_secs", "retries", "startup_grace_secs"):
        out["health_" + key] = record["health_" + key]
    out["network"] = record["network"]
    if since("1.9.3"):
        for key in ("cuda", "forkable", "cuda_fork_pool_size", "cuda_vram_limit_mib", "forkpoint_held", "labels"):
            out[key] = record[key]
    return out


def status(options, positionals, _):
    record = machine.must_load(named(options, positionals))
    out = describe(record)
    if options.get("json"):
        print(json.dumps(out, indent=2))
    elif out["state"] == "running":
        print(f"Machine '{out['name']}': running (PID: {out['pid']})")
    else:
        print(f"Machine '{out['name']}': " + ("unreachable" if out["state"] == "unreachable" else "not running"))
    return 0


def ls(options, _, __):
    found = [describe(r) for r in store.load_all().values()]
    if options.get("json"):
        print(json.dumps(found, indent=2))
        return 0
    if not found:
        print("No machines found")
    for m in found:
        print(f"{m['name']:24} {m['state']:12} {m['cpus']:4} {m['memory_mib']:8} {m['pid'] or '-'}")
    return 0


def seconds(text):
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    for unit, factor in units.items():
        if text.endswith(unit) and text[:-len(unit)].isdigit():
            return int(text[:-len(unit)]) * factor
    if text.isdigit():
        return int(text)
    raise Usage(f"invalid value '{text}' for '--timeout'")


def run_exec(options, positionals, command):
    if not command:
        raise Usage("the following required arguments were not provided: <COMMAND>...")
    if options.get("detach") and any(options.get(o) for o in ("interactive", "tty", "stream")):
        raise Usage("the argument '--detach' cannot be used with -i, -t or --stream")
    chosen = dict(options, env=pairs(options.get("env", [])))
    if "timeout" in options:
        chosen["timeout"] = seconds(options["timeout"])
    return execute.run(options.get("name") or "default", command, chosen)


def pack_create(options, positionals, _):
    if positionals or "image" not in options or "output" not in options:
        raise Usage("pack create --image <REF> -o <OUT>")
    images.create_pack(options["image"], options["output"], options)
    return 0


COMMANDS = {
    ("machine", "create"): (CREATE, create), ("machine", "start"): (NAMED, start),
    ("machine", "stop"): (NAMED, stop), ("machine", "status"): ({**NAMED, **JSON}, status),
    ("machine", "delete"): ({**NAMED_LATER, "force": ("f", False, False, "0")}, delete),
    ("machine", "ls"): ({**JSON, "verbose": ("v", False, False, "0")}, ls),
    ("machine", "data-dir"): (NAMED_LATER, data_dir), ("machine", "exec"): (EXEC, run_exec),
    ("pack", "create"): (PACK, pack_create),
}
ALIASES = {"vm": "machine", "rm": "delete", "list": "ls"}


def dispatch(argv, text):
    if argv[:1] in (["--version"], ["-V"]):
        print(f"smolvm {switches.VERSION_TEXT}")
        return 0
    if not argv or argv[0] in ("--help", "-h", "help"):
        print(text)
        return 0 if argv else 2
    key = tuple(ALIASES.get(w, w) for w in argv[:2])
    if key not in COMMANDS:
        raise Usage(f"unrecognized subcommand '{' '.join(argv[:2])}' (or one that the stand-in does not have)")
    table, act = COMMANDS[key]
    return act(*parse(table, argv[2:], has_command=key[1] == "exec"))


def main(argv, text):
    try:
        code = dispatch(argv, text)
        sys.stdout.flush()
        return code
    except Usage as e:
        print(f"error: {e}\n\nFor more information, try '--help'.", file=sys.stderr)
        return 2
    except Failure as e:
        sys.stdout.flush()
        print(f"Error: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
