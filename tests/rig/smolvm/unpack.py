#!/usr/bin/env python3
"""unpack.py FOLDER FLAGS LAYER...: one root file system from an image's layers, run with the guest's ids.

A LAYER is FILE or FILE::MEMBER (of an outer tar), plain, gzip or zstd. It is unpacked from inside FOLDER
(chroot), so that no link of the image leads out. FLAGS: w = whiteouts are obeyed (smolvm since 1.1.0),
o = owners are kept (since 1.1.1).
"""

import os
import shutil
import subprocess
import sys
import tarfile

OPAQUE = ".wh..wh..opq"
WHITEOUT = ".wh."
ZSTD = b"\x28\xb5\x2f\xfd"


class Layer(tarfile.TarFile):
    keeps_owner = True

    def chown(self, member, path, numeric_owner):
        if not self.keeps_owner:
            return
        try:
            os.lchown(path, member.uid, member.gid)
        except OSError:
            pass  # an id that the guest does not have: the file stays root's

    def makedev(self, member, path):
        pass  # devices are not ours to make; the guest's /dev has those it needs


def open_stream(layer):
    path, _, member = layer.partition("::")
    if member:
        outer = tarfile.open(path)
        stream = outer.extractfile(member)
    else:
        stream = open(path, "rb")
    magic = stream.read(4)
    stream.seek(0)
    if magic != ZSTD:
        return stream, "r:*"
    process = subprocess.Popen(["zstd", "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if os.fork() == 0:
        process.stdout.close()
        shutil.copyfileobj(stream, process.stdin)
        process.stdin.close()
        os._exit(0)
    process.stdin.close()
    return process.stdout, "r|"


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def obey_whiteout(folder, name):
    if name == OPAQUE:
        for entry in os.listdir(folder) if os.path.isdir(folder) else ():
            remove(os.path.join(folder, entry))
    else:
        remove(os.path.join(folder, name[len(WHITEOUT):]))


def unpack(stream, mode, obeys, keeps_owner):
    with Layer.open(fileobj=stream, mode=mode) as tar:
        tar.keeps_owner = keeps_owner
        for member in tar:
            path = os.path.normpath("/" + member.name)
            folder, name = os.path.split(path)
            if name.startswith(WHITEOUT):
                if obeys:
                    obey_whiteout(folder, name)
                continue
            if path != "/" and os.path.lexists(path) and not (
                    member.isdir() and os.path.isdir(path) and not os.path.islink(path)):
                remove(path)
            tar.extract(member, "/", numeric_owner=True)


def main(folder, flags, *layers):
    streams = [open_stream(layer) for layer in layers]
    "x".encode("idna").decode("utf-8")  # codecs are loaded before the file system is another
    os.umask(0)
    os.chroot(folder)
    os.chdir("/")
    for stream, mode in streams:
        unpack(stream, mode, "w" in flags, "o" in flags)


main(*sys.argv[1:])
