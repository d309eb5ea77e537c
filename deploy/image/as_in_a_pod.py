#!/usr/bin/env python3
"""Runs a program as a container runtime runs it under deploy/kubernetes/deployment.yaml: in a root file system of its own,
uid 65532, of all capabilities NET_BIND_SERVICE alone, and no_new_privs (allowPrivilegeEscalation: false). Under the last
two a capability of the file counts only as far as the process was allowed it before.

    as_in_a_pod.py ROOT PROGRAM ARGUMENT…
"""
import ctypes
import os
import struct
import sys

PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 8, 24, 38
NET_BIND_SERVICE, LAST = 10, 40
VERSION = 0x20080522  # of capset(2): two sets of 32
NOBODY = 65532

libc = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments) -> None:
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{function.__name__}{arguments}")


root, *command = sys.argv[1:]
os.chroot(root)
os.chdir("/")
for capability in range(LAST + 1):
    if capability != NET_BIND_SERVICE:
        call(libc.prctl, PR_CAPBSET_DROP, capability, 0, 0, 0)
call(libc.prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0)
os.setgroups([])
os.setgid(NOBODY)
os.setuid(NOBODY)
permitted = 1 << NET_BIND_SERVICE
call(libc.capset, struct.pack("II", VERSION, 0), struct.pack("6I", permitted, permitted, 0, 0, 0, 0))
call(libc.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
os.execv(command[0], command)
