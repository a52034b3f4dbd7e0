"""The rig's certificate authority, by the openssl command. All keys are P-256; all live below one directory.

  ca.pem, ca.key      the authority; ca.pem is the whole CA bundle inside the rig
  other-ca.pem        an authority that nothing trusts
  leaf-NAME.pem       certificate and key in one file, see leaf()
"""

import os
import subprocess


def _openssl(*argv, text=None):
    done = subprocess.run(["openssl", *argv], input=text, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(argv)}: {done.stderr.strip()}")


def _authority(home, name, title):
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-subj", f"/CN={title}", "-addext", "basicConstraints=critical,CA:TRUE",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign",
             "-keyout", os.path.join(home, f"{name}.key"), "-out", os.path.join(home, f"{name}.pem"))


def make_authority(home):
    _authority(home, "ca", "rig CA")
    _authority(home, "other-ca", "authority nothing trusts")
    os.chmod(os.path.join(home, "ca.pem"), 0o644)


def leaf(home, tag, names, authority="ca", days=20, start=None):
    """Path of a PEM file with a key and a certificate for the DNS names. start: e.g. -days before now."""
    path = os.path.join(home, f"leaf-{tag}.pem")
    if os.path.exists(path):
        return path
    key, request, cert, ext = (os.path.join(home, f"leaf-{tag}.{x}") for x in ("key", "csr", "crt", "ext"))
    _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-subj", f"/CN={names[0][:60]}", "-keyout", key, "-out", request)
    with open(ext, "w", encoding="ascii") as f:
        f.write("basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
                "subjectAltName=" + ",".join(f"DNS:{n}" for n in names) + "\n")
    when = ["-days", str(days)]
    if start is not None:  # "openssl x509" cannot date back; "openssl ca" can
        return _dated(home, tag, request, key, ext, authority, start)
    _openssl("x509", "-req", "-in", request, "-CA", os.path.join(home, f"{authority}.pem"),
             "-CAkey", os.path.join(home, f"{authority}.key"), "-set_serial", str(int.from_bytes(os.urandom(8), "big")),
             "-extfile", ext, "-out", cert, *when)
    return _join(path, cert, key)


def _dated(home, tag, request, key, ext, authority, start):
    base = os.path.join(home, f"ca-db-{tag}")
    os.makedirs(base, exist_ok=True)
    config = os.path.join(base, "config")
    open(os.path.join(base, "index"), "w", encoding="ascii").close()
    with open(config, "w", encoding="ascii") as f:
        f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={base}/index\nnew_certs_dir={base}\nrand_serial=yes\n"
                "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
    cert = os.path.join(base, "cert")
    _openssl("ca", "-batch", "-notext", "-config", config, "-in", request, "-out", cert, "-extfile", ext,
             "-cert", os.path.join(home, f"{authority}.pem"), "-keyfile", os.path.join(home, f"{authority}.key"),
             "-startdate", start[0], "-enddate", start[1])
    return _join(os.path.join(home, f"leaf-{tag}.pem"), cert, key)


def _join(path, cert, key):
    with open(path, "w", encoding="ascii") as out:
        for part in (key, cert):
            with open(part, encoding="ascii") as f:
                out.write(f.read())
    return path
