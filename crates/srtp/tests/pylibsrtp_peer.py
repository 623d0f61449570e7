"""libsrtp as a peer: takes frames on its standard input and answers each on its standard output.

The first frame names the profile and has the key with its salt. Each further one has a verb of one byte and a packet;
the answer has a byte that is zero if libsrtp took it, and what it made of it. A frame has its length before it, in
four bytes with the highest first.
"""

import struct
import sys

from pylibsrtp import Error, Policy, Session

PROFILES = {
    b"AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    b"AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    b"AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    b"AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}


def read():
    head = sys.stdin.buffer.read(4)
    return sys.stdin.buffer.read(*struct.unpack(">I", head)) if head else None


def session(kind, key, profile):
    policy = Policy(key=key, ssrc_type=kind, srtp_profile=PROFILES[profile])
    policy.window_size = 1024
    return Session(policy=policy)


profile, key = read().split(b":", 1)
sends = session(Policy.SSRC_ANY_OUTBOUND, key, profile)
receives = session(Policy.SSRC_ANY_INBOUND, key, profile)
verbs = {
    b"P": sends.protect,
    b"p": sends.protect_rtcp,
    b"U": receives.unprotect,
    b"u": receives.unprotect_rtcp,
}
while (frame := read()) is not None:
    try:
        answer = b"\0" + verbs[frame[:1]](frame[1:])
    except Error as error:
        answer = b"\1" + str(error).encode()
    sys.stdout.buffer.write(struct.pack(">I", len(answer)) + answer)
    sys.stdout.buffer.flush()
