"""Event loops, threads and the end of a process under the asyncio interceptor."""

import asyncio
import subprocess
import sys

from authclient import Trust
from authclient._judging.verified import Verified
from authclient._serving.aio.stream import Stream
from authclient._serving.interception import RENEW_RULE
from authclient._serving.leases import Lease
from authclient._wire.refusals import Refused
from authclient.aio import AuthInterceptor

from tests.clients.aio_guarded import AioGuarded
from tests.clients.auth_server import AuthServer
from tests.clients.guarded import SIGNED_IN
from tests.clients.protos import service_file
from tests.clients.scripted import bearer, ended, token, uuid
from tests.clients.serving.idle import Idle, Opened
from tests.clients.shapes import OPEN_SHAPES


def test_two_event_loops_share_one_trust(auth: AuthServer, trust: Trust) -> None:
    one, two = Idle(), Idle()
    with AioGuarded(trust, one.handlers()) as first, AioGuarded(trust, two.handlers()) as second:
        streams = [Opened(first, one, shape) for shape in OPEN_SHAPES]
        streams += [Opened(second, two, shape) for shape in OPEN_SHAPES]
        auth.revoke(ended())
        assert {stream.ending().reason for stream in streams} == {"SESSION_ENDED"}
        one.release.set()
        two.release.set()


def test_a_loop_that_was_closed_with_open_streams_does_not_hurt_another(
    auth: AuthServer, trust: Trust, idle: Idle
) -> None:
    gone = asyncio.new_event_loop()
    interceptor = AuthInterceptor(trust, service_file(Gone=SIGNED_IN))
    verified = trust.judge.judge(token(), 10.0)
    assert isinstance(verified, Verified)

    async def leave_open() -> None:
        interceptor._leases.open(Lease("/gone", RENEW_RULE, verified, None, Stream(object()).refuse))  # type: ignore[arg-type]

    gone.run_until_complete(leave_open())
    gone.close()
    for lease in interceptor._leases._leases:
        lease.end(Refused("SESSION_ENDED"))  # Raises nothing.
    with AioGuarded(trust, idle.handlers()) as served:
        stream = Opened(served, idle, ("async", "unary_stream"))
        auth.revoke(ended())
        assert stream.ending().reason == "SESSION_ENDED"
        late = bearer(token(sid=uuid(4)))
        stream = Opened(served, idle, ("async", "unary_stream"), late)
        auth.time += 1000
        assert stream.ending().reason == "TOKEN_EXPIRED", "the clock still ticks"


def test_nothing_keeps_the_process_from_exiting() -> None:
    program = """
import asyncio, threading, grpc
from authclient import Trust
from authclient.aio import AuthInterceptor
from tests.clients.guarded import PUBLIC, handler, path
from tests.clients.protos import SERVICE, service_file

def wait(request, context):
    yield b"first"
    threading.Event().wait()

async def main():
    trust = Trust("127.0.0.1:1", audience="a")
    server = grpc.aio.server(interceptors=[AuthInterceptor(trust, service_file(Wait=PUBLIC))])
    handlers = grpc.method_handlers_generic_handler(SERVICE, {"Wait": handler("unary_stream", wait)})
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_stream(path("Wait"))(b"")
        print(await call.read())
    await server.stop(0)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "b'first'"), done.stderr
