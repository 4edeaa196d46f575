"""A container runtime as small as it can be: starts a command in the unpacked image, as the Deployment of deploy/ asks a kubelet to.

    runtime.py ROOT USER:GROUP [--tmpfs FOLDER:PATH] [--bind FILE:PATH]... [--env NAME=VALUE]... -- COMMAND...

ROOT becomes the root (pivot_root in a mount namespace of its own), read-only, and nothing of the machine is left in it: no /proc, no /dev.
--tmpfs mounts an empty file system, writable for the user, and copies a folder into it; --bind shows a file or folder, read-only. The command
runs as USER without other groups, without any capability and without a way to get one (bounding set empty, no_new_privs). Needs root. The
process is the command itself, so that a test can look at it in /proc.
"""

import ctypes
import errno
import os
import shutil
import sys

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 24, 38, 47, 4
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}[os.uname().machine]


def call(what, result):
    if result != 0:
        code = ctypes.get_errno()
        sys.exit(f"runtime.py: {what}: {os.strerror(code)}")


def mount(source, target, kind, flags, data=""):
    text = lambda s: ctypes.c_char_p(s.encode())
    call(f"mount {target}", libc.mount(text(source), text(target), text(kind), ctypes.c_ulong(flags), text(data)))


def bind(source, target, flags):
    mount(source, target, "", MS_BIND | MS_REC)
    mount("", target, "", MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV | flags)


def inside(root, path, like_file):
    """The mount point, made as a runtime makes it."""
    target = root + path
    os.makedirs(os.path.dirname(target) if like_file else target, exist_ok=True)
    if like_file:
        open(target, "a").close()
    return target


def main(arguments):
    split = arguments.index("--")
    (root, user, *options), command = arguments[:split], arguments[split + 1 :]
    uid, gid = map(int, user.split(":"))
    pairs = list(zip(options[::2], options[1::2]))
    call("unshare", libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC))
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    targets = []
    for option, value in pairs:
        if option != "--env":
            source, path = value.split(":")
            targets.append((option, source, inside(root, path, os.path.isfile(source))))
    bind(root, root, MS_RDONLY)
    for option, source, target in targets:
        if option == "--bind":
            bind(source, target, MS_RDONLY | MS_NOEXEC * (not os.access(source, os.X_OK)))
        else:
            mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, f"mode=0700,uid={uid},gid={gid},size=16m")
            shutil.copytree(source, target, dirs_exist_ok=True, symlinks=True)
            for folder, folders, files in os.walk(target):
                for name in [".", *folders, *files]:
                    os.chown(os.path.join(folder, name), uid, gid, follow_symlinks=False)
    # The new root goes over the old one, which is then taken away below it.
    os.chdir(root)
    call("pivot_root", libc.syscall(SYS_PIVOT_ROOT, b".", b"."))
    call("umount", libc.umount2(b".", MNT_DETACH))
    os.chdir("/")
    try:
        open("/written", "w").close()
        sys.exit("runtime.py: the root can be written to")
    except OSError as error:
        if error.errno != errno.EROFS:
            sys.exit(f"runtime.py: the root is not read-only: {error}")
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    call("ambient", libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    # Inheritable ones are left by setuid.
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    call("capset", libc.capset(header, none))
    call("no_new_privs", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    os.execve(command[0], command, dict(value.split("=", 1) for option, value in pairs if option == "--env"))


main(sys.argv[1:])
