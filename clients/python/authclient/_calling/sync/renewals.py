"""Keeping open streams open: a fresh token is presented for each before the one it was opened with expires."""

import contextlib
import threading
import time
from collections.abc import Callable

import grpc
from authapi.v1 import stream_service_pb2 as api
from authapi.v1 import stream_service_pb2_grpc as rpc

from authclient._calling import renewal
from authclient._calling.held_tokens import CALL_SECONDS, NO_TOKEN
from authclient._calling.renewal import Counter, Renewal
from authclient._wire.metadata import bearer


class Renewals:
    """Presents fresh tokens for the open streams of one channel. Its thread lives as long as there are any.

    Args:
        access_token: returns a token that is good for a while; raises one of NO_TOKEN.
        streams: the StreamService of the guarded service, through that channel.
        counter: hears of rounds that an error has ended.
    """

    def __init__(
        self, access_token: Callable[[], str], streams: rpc.StreamServiceStub, counter: Counter | None
    ) -> None:
        self._counter = counter
        self._access_token = access_token
        self._streams = streams
        self._lock = threading.Lock()
        self._open: dict[str, Renewal] = {}
        self._thread: threading.Thread | None = None

    def add(self, name: str, token: str) -> None:
        """Renew a stream that was opened with a token, until `forget`."""
        with self._lock:
            self._open[name] = Renewal(name, token)
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name=renewal.THREAD, daemon=True)
                # Where no thread can be had the stream lives as long as its token, or until the next one is opened.
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._thread = thread

    def forget(self, name: str) -> None:
        """Renew a stream no more."""
        with self._lock:
            self._open.pop(name, None)

    def _run(self) -> None:
        pause = renewal.RENEWAL_SECONDS
        while True:
            time.sleep(pause)
            with self._lock:
                streams = list(self._open.values())
                if not streams:
                    self._thread = None
                    return
            # A stream ends by itself if this fails for good.
            try:
                self._renew(streams, self._access_token())
            except (*NO_TOKEN, RuntimeError):
                pass
            except Exception:  # Of what stands around the channel, perhaps. The other streams are to be renewed.
                renewal.tell_failure(self._counter)
            pause = min(stream.pause for stream in streams)

    def _renew(self, streams: list[Renewal], token: str) -> None:
        for stream in streams:
            if stream.is_due(token) and stream.name in self._open:
                stream.settle(token, self._present(stream.name, token))

    def _present(self, name: str, token: str) -> grpc.RpcError | None:
        """Renew a stream. Returns why that failed, or None."""
        request = api.RenewStreamRequest(stream_id=name)
        try:
            self._streams.RenewStream(request, metadata=(bearer(token),), timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            return error
        return None
