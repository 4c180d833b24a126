"""Keeping open streams open: a fresh token is presented for each before the one it was opened with expires."""

import contextlib
import threading
import time
from collections.abc import Callable

import grpc
from authapi.v1 import stream_service_pb2 as api
from authapi.v1 import stream_service_pb2_grpc as rpc

from authclient._calling.held_tokens import CALL_SECONDS, NO_TOKEN, may_repeat
from authclient._wire.metadata import bearer

RENEWAL_SECONDS = 1.0
"""Between two looks at whether open streams need a fresher token. A refreshed one is good for minutes."""


class Renewals:
    """Presents fresh tokens for the open streams of one channel. Its thread lives as long as there are any.

    Args:
        access_token: returns a token that is good for a while; raises one of NO_TOKEN.
        streams: the StreamService of the guarded service, through that channel.
    """

    def __init__(self, access_token: Callable[[], str], streams: rpc.StreamServiceStub) -> None:
        self._access_token = access_token
        self._streams = streams
        self._lock = threading.Lock()
        self._presented: dict[str, str] = {}
        self._thread: threading.Thread | None = None

    def add(self, name: str, token: str) -> None:
        """Renew a stream that was opened with a token, until `forget`."""
        with self._lock:
            self._presented[name] = token
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="authclient-renewals", daemon=True)
                self._thread.start()

    def forget(self, name: str) -> None:
        """Renew a stream no more."""
        with self._lock:
            self._presented.pop(name, None)

    def _run(self) -> None:
        while True:
            time.sleep(RENEWAL_SECONDS)
            with self._lock:
                streams = dict(self._presented)
                if not streams:
                    self._thread = None
                    return
            # The stream ends by itself if this fails for good.
            with contextlib.suppress(*NO_TOKEN):
                token = self._access_token()
                for name in [name for name, presented in streams.items() if presented != token]:
                    self._renew(name, token)

    def _renew(self, name: str, token: str) -> None:
        request = api.RenewStreamRequest(stream_id=name)
        try:
            self._streams.RenewStream(request, metadata=(bearer(token),), timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            if may_repeat(error):
                return
        with self._lock:
            if name in self._presented:
                self._presented[name] = token
