"""The same for asyncio: an interceptor for `grpc.aio.server`, and a session for asyncio callers."""

from authclient.aio.interceptor import AuthInterceptor
from authclient.aio.session import Session

__all__ = ["AuthInterceptor", "Session"]
