"""The same for asyncio: an interceptor for `grpc.aio.server`, and a session for asyncio callers."""

from authclient._calling.aio.session import Session
from authclient._serving.aio.interceptor import AuthInterceptor

__all__ = ["AuthInterceptor", "Session"]
