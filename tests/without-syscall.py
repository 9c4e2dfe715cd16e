#!/usr/bin/env python3
"""Runs a program as a kernel without some system calls would: they answer ENOSYS.

  without-syscall.py NUMBER[,NUMBER...] PROGRAM [ARGUMENT...]

A filter of seccomp(2) in mode 2, x86-64 and aarch64 alike: only the number is looked at.
"""
import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO, ENOSYS = 0x7FFF0000, 0x00050000, 38

numbers = [int(number) for number in sys.argv[1].split(",")]
program = [struct.pack("HBBI", LOAD, 0, 0, 0)]
for number in numbers:
    program.append(struct.pack("HBBI", JUMP_EQUAL, 0, 1, number))
    program.append(struct.pack("HBBI", RETURN, 0, 0, ERRNO | ENOSYS))
program.append(struct.pack("HBBI", RETURN, 0, 0, ALLOW))
code = ctypes.create_string_buffer(b"".join(program))
header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))

libc = ctypes.CDLL(None, use_errno=True)
for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, MODE_FILTER, header, 0, 0)):
    if libc.prctl(*call) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[2], sys.argv[2:])
