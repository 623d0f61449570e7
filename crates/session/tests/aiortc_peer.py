"""aiortc as offerer or answerer: descriptions come and go on standard input and output, each behind its length."""

import asyncio
import sys

from aiortc import RTCPeerConnection, RTCSessionDescription


def read():
    length = int(sys.stdin.buffer.readline())
    return sys.stdin.buffer.read(length).decode()


def write(text):
    data = text.encode()
    sys.stdout.buffer.write(b"%d\n" % len(data) + data)
    sys.stdout.buffer.flush()


async def main():
    connection = RTCPeerConnection()
    if sys.argv[1] == "offer":
        connection.addTransceiver("audio")
        connection.addTransceiver("video")
        connection.createDataChannel("chat")
        await connection.setLocalDescription(await connection.createOffer())
        write(connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(read(), "answer"))
    else:
        await connection.setRemoteDescription(RTCSessionDescription(read(), "offer"))
        for transceiver in connection.getTransceivers():
            transceiver.direction = "sendrecv"
        await connection.setLocalDescription(await connection.createAnswer())
        write(connection.localDescription.sdp)
    directions = [transceiver.currentDirection for transceiver in connection.getTransceivers()]
    write(" ".join(str(direction) for direction in directions))
    await connection.close()


asyncio.run(main())
